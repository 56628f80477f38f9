// Package interop holds tests against a PPTP server of other people's making:
// Debian's pptpd and pppd, in a user-mode Linux guest that lab/lab.sh boots in
// network namespaces of its own. See lab/README.md.
//
// The tests need root, Debian 12 on amd64 and a package source, and are skipped
// with the reason elsewhere, and with -short. CONNEXA_NO_SKIP=1 makes a lab that
// does not come up on a machine that could have it a failure.
package interop

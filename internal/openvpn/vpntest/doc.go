// Package vpntest has what tests of OpenVPN exits need: network namespaces as
// computers of their own, the real openvpn as a client in one, and a tap on the
// wire between them. It needs Linux and root.
package vpntest

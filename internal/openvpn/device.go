package openvpn

import (
	"context"
	"os"

	"github.com/connexa-panel/connexa/internal/openvpn/cage"
)

// fdpassEnv names the environment variable that openvpn sets for its helper: the path
// of the socket where the panel receives openvpn's packet socket.
const fdpassEnv = "CONNEXA_OPENVPN_HANDOVER"

// device is where an openvpn has its packets of clients from: a TUN device in a
// cage, or a socket that it hands over.
type device interface {
	// options sets what the configuration of openvpn says of it.
	options(*serverOptions)
	// port is where the packets are, once openvpn runs.
	port(context.Context, *process) (Port, error)
	// inspect says whether it is still closed.
	inspect() error
	// close ends what port has not taken.
	close()
}

// blockingError reports that the packet socket of an openvpn could not be made
// non-blocking. The exit then uses a device (see nonblock_linux.go).
type blockingError struct{ err error }

func (e *blockingError) Error() string {
	return "openvpn cannot go on without a device: " + e.err.Error()
}
func (e *blockingError) Unwrap() error { return e.err }

// openDevice opens device number n for openvpn, and says as which user openvpn is
// to run. The error is a *Lack where something is missing.
func openDevice(n int, b Binaries, dir string) (device, uint32, error) {
	if b.Helper != "" {
		uid, err := Owner()
		if err != nil {
			return nil, 0, err
		}
		if b.deviceless(uid) {
			d, err := openFDPass(socketOf(dir, n, "port"), b.Helper)
			if err != nil {
				return nil, 0, err
			}
			return d, uid, nil
		}
	}
	uid, err := prepare(n)
	if err != nil {
		return nil, 0, err
	}
	if !mayBecome(uid) {
		return nil, 0, notBecome(uid)
	}
	node, err := cage.DeviceNode(dir, uid)
	if err != nil {
		return nil, 0, noNode(err)
	}
	tap, err := cage.Open(n)
	if err != nil {
		return nil, 0, &Lack{Code: "raw", Fix: "sudo setcap cap_net_raw+ep connexa", Err: err}
	}
	return &tun{n, node, tap}, uid, nil
}

// deviceless says whether an openvpn of a user can do without a device: it can start
// the helper, and this process may reach its files (see setNonblock).
func (b Binaries) deviceless(uid uint32) bool {
	return runnable(b.Helper, uid) && (os.Geteuid() == int(uid) || has(effective, sysPtrace))
}

// tun is a TUN device in a cage, which is tapped.
type tun struct {
	n    int
	node string
	tap  *cage.Port
}

func (t *tun) options(o *serverOptions)                     { o.deviceNode = t.node }
func (t *tun) port(context.Context, *process) (Port, error) { return t.tap, nil }
func (t *tun) inspect() error                               { return inspect(t.n) }
func (t *tun) close()                                       { _ = t.tap.Close() }

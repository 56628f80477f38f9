package openvpn

import (
	"context"
	"os"

	"github.com/connexa-panel/connexa/internal/openvpn/cage"
)

// handoverPath is the variable of the environment with the path where the panel
// waits for the socket of an openvpn without a device; that sets it for its helper.
const handoverPath = "CONNEXA_OPENVPN_HANDOVER"

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

// stuck is why an openvpn without a device would stand still now and then: it is
// to have one.
type stuck struct{ err error }

func (e *stuck) Error() string { return "openvpn goes without a device no longer: " + e.err.Error() }
func (e *stuck) Unwrap() error { return e.err }

// openDevice opens device number n for openvpn, and says as which user openvpn is
// to run. The error is a *Lack where something is missing.
func openDevice(n int, b Binaries, dir string) (device, uint32, error) {
	if b.Helper != "" {
		uid, err := Owner()
		if err != nil {
			return nil, 0, err
		}
		if b.deviceless(uid) {
			d, err := openHandover(socketOf(dir, n, "port"), b.Helper)
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
// our helper, and we may reach its files (see unblock).
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

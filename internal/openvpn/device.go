package openvpn

import (
	"context"
	"os"

	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
)

// fdpassEnv names the environment variable that openvpn sets for its helper: the path
// of the socket where the panel receives openvpn's packet socket.
const fdpassEnv = "CONNEXA_OPENVPN_HANDOVER"

// device is where an openvpn has its packets of clients from: a TUN device in a
// cage, or a socket that it hands over.
type device interface {
	// setOptions sets what the configuration of openvpn says of it.
	setOptions(*serverOptions)
	// openConn is where the packets are, once openvpn runs.
	openConn(context.Context, *process) (PacketConn, error)
	// checkClosed says whether it is still closed.
	checkClosed() error
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
func openDevice(n int, b Programs, dir string) (device, uint32, error) {
	if b.Helper != "" {
		uid, err := DeviceOwner()
		if err != nil {
			return nil, 0, err
		}
		if b.canSkipDevice(uid) {
			d, err := openFDPass(socketOf(dir, n, "port"), b.Helper)
			if err != nil {
				return nil, 0, err
			}
			return d, uid, nil
		}
	}
	uid, err := prepareDevice(n)
	if err != nil {
		return nil, 0, err
	}
	if !canBecome(uid) {
		return nil, 0, notBecome(uid)
	}
	node, err := isolation.DeviceNode(dir, uid)
	if err != nil {
		return nil, 0, noNode(err)
	}
	tap, err := isolation.Open(n)
	if err != nil {
		return nil, 0, &MissingError{Code: "raw", Fix: "sudo setcap cap_net_raw+ep connexa", Err: err}
	}
	return &tunDevice{n, node, tap}, uid, nil
}

// canSkipDevice says whether an openvpn of a user can do without a device: it can start
// the helper, and this process may reach its files (see setNonblock).
func (b Programs) canSkipDevice(uid uint32) bool {
	return canExecute(b.Helper, uid) && (os.Geteuid() == int(uid) || hasCapability(effective, sysPtrace))
}

// tunDevice is a TUN device in a cage, which is tapped.
type tunDevice struct {
	n    int
	node string
	conn *isolation.PacketConn
}

func (t *tunDevice) setOptions(o *serverOptions)                            { o.deviceNode = t.node }
func (t *tunDevice) openConn(context.Context, *process) (PacketConn, error) { return t.conn, nil }
func (t *tunDevice) checkClosed() error                                     { return inspectDevice(t.n) }
func (t *tunDevice) close()                                                 { _ = t.conn.Close() }

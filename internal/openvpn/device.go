package openvpn

import (
	"context"
	"os"

	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
)

// fdpassEnv names the environment variable that openvpn sets for its helper: the path
// of the socket where the panel receives openvpn's packet socket.
const fdpassEnv = "CONNEXA_OPENVPN_HANDOVER"

// device is where the packets of openvpn are: an isolated TUN device, or a socket that
// openvpn passes.
type device interface {
	// setOptions sets the device options of openvpn's configuration.
	setOptions(*serverOptions)
	// openConn returns the connection to a running openvpn.
	openConn(context.Context, *process) (PacketConn, error)
	// checkClosed returns an error if the device is not isolated any more.
	checkClosed() error
	// close releases what openConn has not taken over.
	close()
}

// blockingError reports that the packet socket of an openvpn could not be made
// non-blocking. The exit then uses a device (see nonblock_linux.go).
type blockingError struct{ err error }

func (e *blockingError) Error() string {
	return "openvpn cannot go on without a device: " + e.err.Error()
}
func (e *blockingError) Unwrap() error { return e.err }

// openDevice opens device number n for openvpn and returns the user that openvpn must run
// as. If something is missing, the error is a *MissingError.
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

// canSkipDevice reports whether an openvpn of the user uid can run without a device: it
// can start the helper, and this process may access its files (see setNonblock).
func (b Programs) canSkipDevice(uid uint32) bool {
	return canExecute(b.Helper, uid) && (os.Geteuid() == int(uid) || hasCapability(effective, sysPtrace))
}

// tunDevice is an isolated TUN device with a packet socket on it.
type tunDevice struct {
	n    int
	node string
	conn *isolation.PacketConn
}

func (t *tunDevice) setOptions(o *serverOptions)                            { o.deviceNode = t.node }
func (t *tunDevice) openConn(context.Context, *process) (PacketConn, error) { return t.conn, nil }
func (t *tunDevice) checkClosed() error                                     { return inspectDevice(t.n) }
func (t *tunDevice) close()                                                 { _ = t.conn.Close() }

package probe

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// TestDialFailureCauses checks that each error of a connect is either a fact about the
// server or a failure of this machine.
func TestDialFailureCauses(t *testing.T) {
	for _, tt := range []struct {
		err    error
		online bool
		want   string // empty for a failure of this machine
	}{
		{syscall.ECONNREFUSED, true, "tcp.refused"},
		{syscall.ECONNRESET, true, "tcp.reset"},
		{syscall.EHOSTUNREACH, true, "tcp.unreachable"},
		{syscall.ENETUNREACH, true, "tcp.unreachable"},
		{syscall.EHOSTUNREACH, false, ""},
		{syscall.ENOPROTOOPT, true, "tcp.unreachable"}, // ICMP protocol unreachable
		{syscall.EHOSTDOWN, true, "tcp.unreachable"},   // ICMP source host isolated
		{syscall.ETIMEDOUT, true, "tcp.timeout"},
		{os.ErrDeadlineExceeded, true, "tcp.timeout"},
		{syscall.EPROTO, true, "tcp.failed"},
		{syscall.ECONNABORTED, true, "tcp.failed"},
		{syscall.EMFILE, true, ""},
		{syscall.EADDRNOTAVAIL, true, ""},
	} {
		p := &Prober{Online: func() bool { return tt.online }}
		err := p.dialFailure(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", tt.err)})
		var s *stopped
		switch {
		case tt.want == "":
			if !errors.As(err, new(*connexa.LocalError)) {
				t.Errorf("%v, online %v: %v, want a failure of this machine", tt.err, tt.online, err)
			}
		case !errors.As(err, &s) || string(s.cause) != tt.want:
			t.Errorf("%v: %v, want %s", tt.err, err, tt.want)
		}
	}
}

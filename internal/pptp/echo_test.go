package pptp_test

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// TestSessionEchoesConcurrently sends many concurrent echoes over an established session.
func TestSessionEchoesConcurrently(t *testing.T) {
	wires := gre.NewSwitch()
	fleet := labtest.Start(t, lab.Config{Nodes: 1, GRE: wires.Open})
	n := fleet.Nodes()[0]
	s, err := pptp.Dial(t.Context(), pptp.Config{
		Address: n.Addr.Addr().String(), Login: n.Login, Password: n.Password, GRE: gre.NewMux(wires.Open),
	})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if d, err := s.Echo(t.Context()); err != nil || d <= 0 || d > 10*time.Second {
				t.Errorf("LCP: %v, %v", d, err)
			}
			if d, err := s.ControlEcho(t.Context()); err != nil || d <= 0 || d > 10*time.Second {
				t.Errorf("control: %v, %v", d, err)
			}
		})
	}
	all.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Echo(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("LCP, after the end: %v", err)
	}
	if _, err := s.ControlEcho(t.Context()); err == nil {
		t.Error("control: no error after the end")
	}
}

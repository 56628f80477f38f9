package speed_test

import (
	"net/http"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/speed"
)

// These are the endpoints inside the tunnels of a rig.
var (
	good   = connexa.Endpoint{Kind: connexa.EndpointOwn, URL: "http://speed.lab.test", Token: "Blue-Kite-7"}
	busy   = connexa.Endpoint{Kind: connexa.EndpointOwn, URL: "http://busy.lab.test"}
	broken = connexa.Endpoint{Kind: connexa.EndpointOwn, URL: "http://broken.lab.test"}
)

// rig is a fleet of one server and a mux to dial it. GRE stays in this process.
type rig struct {
	node lab.Node
	mux  *gre.Mux
}

func newRig(t testing.TB, behaviour string) rig {
	t.Helper()
	r, stop := openRig(t, behaviour, 5)
	t.Cleanup(stop)
	return r
}

// openRig returns a rig and stops it with stop. seed decides which packets the line
// loses.
func openRig(t testing.TB, behaviour string, seed uint64) (r rig, stop func()) {
	t.Helper()
	wires := gre.NewSwitch()
	fleet, stop := labtest.Open(t, lab.Config{
		Nodes: 1, Seed: seed, Faults: labtest.Faults(t, behaviour+"=1"), GRE: wires.Open,
		Sites: map[string]http.Handler{
			"speed.lab.test":  speed.NewServer(speed.ServerOptions{Token: good.Token}),
			"busy.lab.test":   refusingHandler(http.StatusTooManyRequests),
			"broken.lab.test": refusingHandler(http.StatusServiceUnavailable),
		},
	})
	return rig{fleet.Nodes()[0], gre.NewMux(wires.Open)}, stop
}

func refusingHandler(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		http.Error(w, http.StatusText(status), status)
	})
}

// newTunnel returns a session to the rig's server that is ready for a measurement.
func (r rig) newTunnel(t testing.TB) *speed.Session {
	t.Helper()
	s, err := r.dialSession(t)
	for range 2 {
		// The control connection uses the kernel. While one of its packets is late, virtual
		// time jumps to the deadline of the dial.
		if err != nil && virtual {
			s, err = r.dialSession(t)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	tunnel, err := speed.Through(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tunnel.Close() })
	return tunnel
}

func (r rig) dialSession(t testing.TB) (*pptp.Session, error) {
	return pptp.Dial(t.Context(), pptp.Config{
		Address: r.node.Addr.Addr().String(), Port: r.node.Addr.Port(), Login: r.node.Login, Password: r.node.Password, GRE: r.mux,
	})
}

package interop

import (
	"fmt"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/speed"
)

// The size of a full packet in the server's network, in bytes, and its TCP payload.
// The packet has 1396 bytes of IP, 52 of them headers; PPP and MPPE, GRE with an
// acknowledgment in half of the packets, IP and Ethernet are added outside.
const (
	fullPacket  = 1396
	tcpHeaders  = 52
	outside     = 4 + 4 + 14 + 20 + 14
	payloadPart = float64(fullPacket-tcpHeaders) / (fullPacket + outside)
)

// inside is the web server behind the tunnel.
var inside = connexa.Endpoint{
	Kind: connexa.EndpointURLs, URL: "http://web.lab.test/bytes/250000000", UpURL: "http://web.lab.test/upload",
}

// shapeNetwork sets the rate and the one-way delay of the server's network.
func shapeNetwork(t testing.TB, mbit, delay int) {
	t.Helper()
	if out, err := labCommand("net", "rate", fmt.Sprintf("%dmbit", mbit), "delay", fmt.Sprintf("%dms", delay)); err != nil {
		t.Fatal(err, out)
	}
	t.Cleanup(func() {
		if out, err := labCommand("net", "off"); err != nil {
			t.Error(err, out)
		}
	})
}

// measureShare measures a line and returns the result as a share of its configured rate.
func measureShare(t testing.TB, mode connexa.SpeedMode, mbit int) (down, up float64, m connexa.Measurement) {
	t.Helper()
	s, err := pptp.Dial(t.Context(), aliceConfig())
	if err != nil {
		t.Fatal(err)
	}
	way, err := speed.Through(s)
	if err != nil {
		t.Fatal(err)
	}
	defer way.Close()
	m, err = speed.Measure(t.Context(), way, []connexa.Endpoint{inside}, speed.Options{Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	set := float64(mbit) * 1e6 * payloadPart
	return float64(m.Down) / set, float64(m.Up) / set, m
}

func TestSpeed(t *testing.T) {
	noLeaks(t)
	needVariant(t, "mppe128")
	const mbit = 2 // a guest on a busy machine reaches no more
	shapeNetwork(t, mbit, 20)
	labtest.Within(t, 0.88, 1.08, func() (down, up float64) {
		down, up, m := measureShare(t, connexa.SpeedQuick, mbit)
		t.Logf("down %.3f, up %.3f; %+v", down, up, m)
		return down, up
	})
}

// BenchmarkRealSpeed prints measured ÷ configured at rates below the server's maximum, which
// it prints first.
func BenchmarkRealSpeed(b *testing.B) {
	if noLab != "" {
		b.Skip(noLab)
	}
	if out, err := labCommand("set", "mppe128"); err != nil {
		b.Fatal(out, err)
	}
	for b.Loop() {
		_, _, m := measureShare(b, connexa.SpeedQuick, 1)
		fmt.Printf("Benchmark: real server, no rate: %.1f Mbit/s down, %.1f up\n", float64(m.Down)/1e6, float64(m.Up)/1e6)
		for _, mbit := range []int{2, 5, 10, 20, 30} {
			if least := min(m.Down, m.Up); float64(mbit)*1e6 > 0.7*float64(least) {
				continue
			}
			b.Run(fmt.Sprint(mbit), func(b *testing.B) {
				shapeNetwork(b, mbit, 20)
				for _, mode := range []connexa.SpeedMode{connexa.SpeedQuick, connexa.SpeedFull} {
					late := labtest.WatchDelay()
					down, up, m := measureShare(b, mode, mbit)
					fmt.Printf("Benchmark: real server, %2d Mbit/s, 20 ms, %-5s: down %.3f up %.3f, confidence %s; this machine was up to %v late\n",
						mbit, mode, down, up, m.Confidence, late().Round(time.Millisecond))
				}
			})
		}
	}
}

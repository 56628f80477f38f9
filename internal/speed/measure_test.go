package speed_test

import (
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/speed"
)

// payloadShare is the share of an IP packet of the lab, of 1396 bytes, that is
// TCP payload: the headers are 20 bytes of IP and 32 of TCP with its timestamps.
const payloadShare = float64(1396-52) / 1396

func TestMeasure(t *testing.T) {
	for _, tt := range []struct {
		behaviour string
		down, up  float64 // bits per second
	}{
		{"rate:1M+latency:5ms", 1e6, 1e6},
		{"rate:5M/1M+latency:40ms", 5e6, 1e6},
		{"rate:20M/5M+latency:5ms", 20e6, 5e6},
		{"rate:20M+latency:40ms", 20e6, 20e6},
	} {
		t.Run(tt.behaviour, func(t *testing.T) {
			way := newRig(t, tt.behaviour).tunnel(t)
			m, err := speed.Measure(t.Context(), way, []connexa.Endpoint{good}, speed.Options{Mode: connexa.SpeedQuick})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("down %.3f up %.3f of what was set, %+v", float64(m.Down)/tt.down/payloadShare, float64(m.Up)/tt.up/payloadShare, m)
		})
	}
}

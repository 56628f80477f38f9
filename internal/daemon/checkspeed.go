package daemon

import (
	"context"
	"fmt"
	"math"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/speed"
)

// checkedSpeed is what a check measured. Its JSON is relied on by scripts. A
// direction that was not measured is 0.
type checkedSpeed struct {
	DownMbps   float64            `json:"down_mbps"`
	UpMbps     float64            `json:"up_mbps"`
	LatencyMS  float64            `json:"latency_ms"`
	JitterMS   float64            `json:"jitter_ms"`
	Confidence connexa.Confidence `json:"confidence"`
}

// measure measures through the session, and closes it. It says so before: it takes
// a while.
func (c *checker) measure(ctx context.Context, s *pptp.Session, l *ladder) (connexa.Measurement, error) {
	tunnel, err := speed.Through(s)
	if err != nil {
		return connexa.Measurement{}, err
	}
	// The result stands whatever becomes of the leave-taking, which is bounded.
	defer func() { _ = tunnel.Close() }()
	l.remark(fmt.Sprintf("    measures against %s, for %.0f s at most", c.cfg.Endpoint.Name(), speed.Deadline(connexa.SpeedQuick).Seconds()))
	return speed.Measure(ctx, tunnel, []connexa.Endpoint{c.cfg.Endpoint}, speed.Options{Mode: connexa.SpeedQuick})
}

// beyond notes the last step, where the climb got as far as to try it.
func (c *checked) beyond(rungs []connexa.Rung) (connexa.Rung, bool) {
	if len(rungs) == 0 || rungs[len(rungs)-1].Step != connexa.Internet {
		return connexa.Rung{}, false
	}
	r := rungs[len(rungs)-1]
	c.Steps = append(c.Steps, checkedStep{r.Step, r.OK, milliseconds(r.At)})
	return r, true
}

// measured notes the figures.
func (c *checked) measured(m *connexa.Measurement) {
	if m == nil || m.Down == 0 {
		return
	}
	c.Speed = &checkedSpeed{
		DownMbps: mbps(m.Down), UpMbps: mbps(m.Up), LatencyMS: milliseconds(m.Latency), JitterMS: milliseconds(m.Jitter), Confidence: m.Confidence,
	}
	c.Message = "All is well: a session came up, was measured and closed again."
	c.say("Download", fmt.Sprintf("%.2f Mbit/s", mbps(m.Down)))
	if m.Up > 0 {
		c.say("Upload", fmt.Sprintf("%.2f Mbit/s", mbps(m.Up)))
	}
	c.say("Latency", fmt.Sprintf("%.1f ms, jitter %.1f ms", milliseconds(m.Latency), milliseconds(m.Jitter)))
	if m.Grade != "" {
		c.say("Under load", fmt.Sprintf("%.1f ms down, %.1f ms up: bufferbloat grade %s", milliseconds(m.LoadedDown), milliseconds(m.LoadedUp), m.Grade))
	}
	c.say("Loss", fmt.Sprintf("%.2f %% of the packets to us", 100*m.Loss))
	c.say("Exit", m.ExitIP)
	c.say("Confidence", string(m.Confidence))
}

// mbps is bits per second in millions, to a thousandth.
func mbps(bits int64) float64 { return math.Round(float64(bits)/1e3) / 1e3 }

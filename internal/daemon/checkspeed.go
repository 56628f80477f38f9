package daemon

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/probe"
	"github.com/connexa-panel/connexa/internal/speed"
)

// checkedSpeed is what a check measured. Its JSON is relied on by scripts. An
// upload that was not measured has no figure, but a cause and a reason.
type checkedSpeed struct {
	DownMbps   float64            `json:"down_mbps"`
	UpMbps     *float64           `json:"up_mbps,omitempty"`
	UpCause    connexa.Cause      `json:"up_cause,omitempty"`
	UpReason   string             `json:"up_reason,omitempty"`
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

// noUpload is the reason for no figure of an endpoint that has nothing to send to.
const noUpload = "this endpoint takes no upload"

// measured notes the figures; failed is why there is none of the upload.
func (c *checked) measured(m *connexa.Measurement, failed error) {
	if m == nil || m.Down == 0 {
		return
	}
	c.Speed = &checkedSpeed{DownMbps: mbps(m.Down), LatencyMS: milliseconds(m.Latency), JitterMS: milliseconds(m.Jitter), Confidence: m.Confidence}
	c.Message = "All is well: a session came up, was measured and closed again."
	c.say("Download", fmt.Sprintf("%.2f Mbit/s", mbps(m.Down)))
	switch {
	case failed != nil:
		c.Speed.UpCause, c.Speed.UpReason = probe.MeasureCause(failed), failed.Error()
		c.Message = "A session came up and was closed again. The download was measured, the upload was not: " + c.Speed.UpReason + "."
		c.say("Upload", "not measured: "+c.Speed.UpReason)
	case m.Up == 0:
		c.Speed.UpReason = noUpload
		c.Message = "All is well: a session came up, its download was measured, and it was closed again."
		c.say("Upload", "not measured: "+noUpload)
	default:
		up := mbps(m.Up)
		c.Speed.UpMbps = &up
		c.say("Upload", fmt.Sprintf("%.2f Mbit/s", up))
	}
	c.say("Latency", fmt.Sprintf("%.1f ms, jitter %.1f ms", milliseconds(m.Latency), milliseconds(m.Jitter)))
	if m.Grade != "" {
		c.say("Under load", loadedLine(*m))
	}
	c.say("Loss", fmt.Sprintf("%.2f %% of the packets to us", 100*m.Loss))
	c.say("Exit", m.ExitIP)
	c.say("Confidence", string(m.Confidence))
}

// mbps is bits per second in millions, to a thousandth.
func mbps(bits int64) float64 { return math.Round(float64(bits)/1e3) / 1e3 }

// loadedLine says how latency grew in the directions in which it was measured.
func loadedLine(m connexa.Measurement) string {
	var ways []string
	if m.LoadedDown > 0 {
		ways = append(ways, fmt.Sprintf("%.1f ms down", milliseconds(m.LoadedDown)))
	}
	if m.LoadedUp > 0 {
		ways = append(ways, fmt.Sprintf("%.1f ms up", milliseconds(m.LoadedUp)))
	}
	return strings.Join(ways, ", ") + ": bufferbloat grade " + m.Grade
}

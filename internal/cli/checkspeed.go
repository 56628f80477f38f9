package cli

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

// speedResult is the measurement of a check. Scripts rely on its JSON. An upload that
// was not measured has a cause and a reason instead of a figure.
type speedResult struct {
	DownMbps   float64            `json:"down_mbps"`
	UpMbps     *float64           `json:"up_mbps,omitempty"`
	UpCause    connexa.Cause      `json:"up_cause,omitempty"`
	UpReason   string             `json:"up_reason,omitempty"`
	LatencyMS  float64            `json:"latency_ms"`
	JitterMS   float64            `json:"jitter_ms"`
	LoadedDown float64            `json:"loaded_down_ms,omitempty"` // latency under load
	LoadedUp   float64            `json:"loaded_up_ms,omitempty"`
	Grade      string             `json:"bufferbloat,omitempty"` // a letter
	Loss       float64            `json:"loss_percent"`
	ExitIP     string             `json:"exit_ip,omitempty"`
	Confidence connexa.Confidence `json:"confidence"`
}

// measureSession measures through the session and closes it. It prints a remark first,
// because it takes a while.
func (c *checker) measureSession(ctx context.Context, s *pptp.Session, l *tracePrinter) (connexa.Measurement, error) {
	tunnel, err := speed.Through(s)
	if err != nil {
		return connexa.Measurement{}, err
	}
	// The result is valid even if the bounded close fails.
	defer func() { _ = tunnel.Close() }()
	l.addRemark(fmt.Sprintf("    measures against %s, for %.0f s at most", c.cfg.Endpoint.Name(), speed.Deadline(connexa.SpeedQuick).Seconds()))
	return speed.Measure(ctx, tunnel, []connexa.Endpoint{c.cfg.Endpoint}, speed.Options{Mode: connexa.SpeedQuick})
}

// noUpload is the reason for an endpoint without an upload URL.
const noUpload = "this endpoint takes no upload"

// setSpeed sets the figures. failed is why the upload was not measured.
func (c *checkResult) setSpeed(m *connexa.Measurement, failed error) {
	if m == nil || m.Down == 0 {
		return
	}
	s := &speedResult{
		DownMbps: toMbps(m.Down), LatencyMS: toMilliseconds(m.Latency), JitterMS: toMilliseconds(m.Jitter), Grade: m.Grade,
		Loss: math.Round(1e4*m.Loss) / 100, ExitIP: m.ExitIP, Confidence: m.Confidence,
	}
	if m.Grade != "" {
		s.LoadedDown, s.LoadedUp = toMilliseconds(m.LoadedDown), toMilliseconds(m.LoadedUp)
	}
	c.Speed, c.Seen, c.Evidence = s, "", ""
	c.Message = "OK: a session was established, measured and closed again."
	switch {
	case failed != nil:
		s.UpCause, s.UpReason = probe.MeasureCause(failed), failed.Error()
		c.Message = "A session came up and was closed again. The download was measured, the upload was not: " + s.UpReason + "."
	case m.Up == 0:
		s.UpReason = noUpload
		c.Message = "OK: a session was established, its download was measured, and it was closed again."
	default:
		up := toMbps(m.Up)
		s.UpMbps = &up
	}
}

// detailLines returns the figures as labelled lines.
func (s *speedResult) detailLines() []detailLine {
	up := "not measured: " + s.UpReason
	if s.UpMbps != nil {
		up = fmt.Sprintf("%.2f Mbit/s", *s.UpMbps)
	}
	return []detailLine{
		{"Download", fmt.Sprintf("%.2f Mbit/s", s.DownMbps)}, {"Upload", up},
		{"Latency", fmt.Sprintf("%.1f ms, jitter %.1f ms", s.LatencyMS, s.JitterMS)}, {"Under load", s.loadedText()},
		{"Loss", fmt.Sprintf("%.2f %% of the packets to us", s.Loss)}, {"Exit", s.ExitIP}, {"Confidence", string(s.Confidence)},
	}
}

// toMbps converts bits per second to Mbit/s, rounded to a thousandth.
func toMbps(bits int64) float64 { return math.Round(float64(bits)/1e3) / 1e3 }

// loadedText describes the latency under load in the directions that were measured.
func (s *speedResult) loadedText() string {
	if s.Grade == "" {
		return ""
	}
	var ways []string
	if s.LoadedDown > 0 {
		ways = append(ways, fmt.Sprintf("%.1f ms down", s.LoadedDown))
	}
	if s.LoadedUp > 0 {
		ways = append(ways, fmt.Sprintf("%.1f ms up", s.LoadedUp))
	}
	return strings.Join(ways, ", ") + ": bufferbloat grade " + s.Grade
}

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/speed"
)

// newSpeedCheckTest is newCheckTest with a speed test against the endpoint inside the
// fleet's tunnels.
func newSpeedCheckTest(t *testing.T, faults string) *checkTest {
	t.Helper()
	c, _ := newCheckTest(t, faults)
	c.cfg.Speed = true
	c.cfg.Endpoint = connexa.Endpoint{Kind: connexa.EndpointOwn, URL: "http://" + labEndpoint}
	return c
}

func TestCheckSpeed(t *testing.T) {
	t.Parallel()
	c := newSpeedCheckTest(t, "rate:2M/500k")
	got, code := c.runCheck(t)
	if code != 0 || got.Reached != connexa.Internet || got.Cause != "" || got.Session == nil || got.Speed == nil {
		t.Fatalf("exit %d: %+v", code, got)
	}
	// The line is so slow that a busy machine fills at least a tenth of it.
	if s := got.Speed; s.DownMbps > 2.2 || s.DownMbps < .2 || s.UpMbps == nil || *s.UpMbps > .55 || *s.UpMbps < .05 || s.LatencyMS <= 0 || s.Confidence == "" {
		t.Errorf("%+v", s)
	}
	if last := got.Steps[len(got.Steps)-1]; last.Step != connexa.Internet || !last.OK {
		t.Errorf("the last step is %+v", last)
	}
}

func TestCheckSpeedText(t *testing.T) {
	t.Parallel()
	c := newSpeedCheckTest(t, "rate:100M")
	if code := c.runCode(t.Context()); code != 0 {
		t.Errorf("exit %d", code)
	}
	text := c.out.String()
	for _, want := range []string{"measures against " + labEndpoint, "✓ Internet", "Download", "Mbit/s", "Upload", "Latency", "Exit        " + c.cfg.Address, "Confidence"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

func TestCheckSpeedNamesTheCause(t *testing.T) {
	for faults, want := range map[string]struct {
		reached connexa.Step
		cause   connexa.Cause
		session bool
	}{
		"endpoint:429": {connexa.IP, "internet.refused", true},
		"no-dns":       {connexa.IP, "internet.no_dns", true},
		"no-internet":  {connexa.IP, "internet.no_internet", true},
		"refuse":       {connexa.Resolve, "tcp.refused", false},
	} {
		t.Run(faults, func(t *testing.T) {
			t.Parallel()
			c := newSpeedCheckTest(t, faults)
			got, code := c.runCheck(t)
			if code != ExitFailed || got.Reached != want.reached || got.Cause != want.cause || got.Speed != nil || (got.Session != nil) != want.session {
				t.Errorf("exit %d: %+v", code, got)
			}
			if last := got.Steps[len(got.Steps)-1]; last.OK {
				t.Errorf("the last step is %+v", last)
			}
		})
	}
}

// TestCheckSpeedWithoutUpload uses results without an upload figure: the JSON has none
// either, and has the reason.
func TestCheckSpeedWithoutUpload(t *testing.T) {
	for name, tt := range map[string]struct {
		err   error
		cause connexa.Cause
		why   string
		well  bool
	}{
		"redirected": {&speed.Refused{Endpoint: "speed.example.net", Status: 302, Reason: speed.ReasonRedirect, Elsewhere: "other.example.net"},
			"internet.redirected", "other.example.net", false},
		"refused": {&speed.Refused{Endpoint: "speed.example.net", Status: 503}, "internet.refused", "503", false},
		"early":   {&speed.Refused{Endpoint: "speed.example.net", Status: 200, Reason: speed.ReasonEarly}, "internet.refused", "before it has read", false},
		"cut":     {&speed.NoInternet{Endpoint: "speed.example.net", Code: speed.CodeTimeout, Err: io.ErrUnexpectedEOF}, "internet.timeout", "timeout", false},
		"none":    {nil, "", "takes no upload", true},
	} {
		t.Run(name, func(t *testing.T) {
			found := &checkResult{Steps: []stepResult{}}
			m := connexa.Measurement{Down: 40_000_000, UpBytes: 12_345, Latency: time.Millisecond}
			found.setServerResult(connexa.Probed{Outcome: connexa.Outcome{Reached: connexa.Internet}, Detail: connexa.Detail{Speed: &m}}, tt.err, i18n.New("en", nil))
			var out bytes.Buffer
			if err := found.writeJSON(&out); err != nil {
				t.Fatal(err)
			}
			var got struct {
				Message string         `json:"message"`
				Speed   map[string]any `json:"speed"`
			}
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if _, has := got.Speed["up_mbps"]; has || got.Speed["down_mbps"] != 40. {
				t.Errorf("%s", out.String())
			}
			if cause, _ := got.Speed["up_cause"].(string); cause != string(tt.cause) || !strings.Contains(fmt.Sprint(got.Speed["up_reason"]), tt.why) {
				t.Errorf("%s", out.String())
			}
			if strings.HasPrefix(got.Message, "OK: ") != tt.well {
				t.Errorf("the message is %q", got.Message)
			}
		})
	}
}

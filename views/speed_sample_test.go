package views

import (
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// speedSamples returns the speed test pages.
func speedSamples(p *i18n.Printer, at func(Nav, string, ...RunBar) Page) map[string]templ.Component {
	plan := SpeedPlan{Kind: connexa.RunPingSpeed, Nodes: 300, Cap: 25e6, Bytes: 15e9, Took: 25 * time.Minute, Left: 12_300_000_000, Endpoints: 1}
	form := connexa.FilterText("x").Values()
	wrong := EndpointForm{
		Typed:  connexa.Endpoint{Kind: connexa.EndpointURLs, URL: "files.example.net/big"},
		Errors: connexa.FieldErrors{"url": connexa.T("field.endpoint.url")}, Run: hiddenFields(form),
	}
	setup := SpeedSetupOf(connexa.DefaultSpeedSettings())
	setup.Endpoints = []connexa.Endpoint{{Kind: connexa.EndpointOwn, URL: "https://speed.example.net:8081", Token: "Copper-Lantern-42"}, {Kind: connexa.EndpointLibreSpeed, URL: "https://libre.example.org/speed/"}}
	setup.Spent = connexa.SpeedSpent{Hour: 7_700_000_000, Month: 231_000_000_000}
	setup.Uplink = connexa.Uplink{At: now.Add(-3 * time.Hour), Found: connexa.Measurement{Endpoint: "speed.example.net:8081", Down: 940_000_000, Up: 920_000_000}}
	settings := SettingsOf(connexa.DefaultSettings())
	settings.Speed = setup
	node := sampleNode()
	node.Status, node.Failures, node.Testing = connexa.SpeedOK, connexa.FailureStreaks{}, true
	node.Live = connexa.SpeedLive{Phase: connexa.PhaseDownload, Bits: 41_700_000}
	node.Kinds = []connexa.RunKind{connexa.RunPing, connexa.RunLogin, connexa.RunSpeed, connexa.RunPingSpeed}
	node.Speed = &connexa.Entry{
		What: connexa.EntryProbe, Result: connexa.ResultGood, At: now.Add(-2 * time.Minute),
		Detail: connexa.Detail{Speed: &connexa.Measurement{
			Endpoint: "speed.example.net", ExitIP: "203.0.113.77", Mode: connexa.SpeedFull, Down: 43_100_000, Up: 11_900_000, DownBytes: 53_800_000, UpBytes: 14_900_000,
			Latency: 97 * time.Millisecond, Jitter: 3 * time.Millisecond, LoadedDown: 140 * time.Millisecond, LoadedUp: 310 * time.Millisecond,
			Loss: 0.004, Grade: "D", Confidence: connexa.ConfidenceMedium, Spread: 0.14, Limited: true,
		}},
	}
	refused := sampleNode()
	refused.Status, refused.Failures = connexa.LoginOK, connexa.FailureStreaks{}
	refused.Basis = &connexa.Entry{
		What: connexa.EntryProbe, Fact: connexa.LoggedIn, Result: connexa.ResultBad,
		Outcome: connexa.Outcome{Kind: connexa.Speed, At: now.Add(-2 * time.Minute), Reached: connexa.IP, Cause: "internet.refused", Attempts: 1},
		Detail:  connexa.Detail{Evidence: "speed: speed.example.net refuses: HTTP status 429"},
	}
	waiting := sampleRun()
	waiting.Kind, waiting.Notice = connexa.RunSpeed, connexa.T("run.notice.speed.endpoint")
	waiting.Answers = []Action{{Text: connexa.T("speed.choose"), URL: "/speed/endpoints", Get: true}}
	return map[string]templ.Component{
		"settings":        Settings(at(NavSettings, p.T("settings.title")), settings),
		"speed-choose":    EndpointPage(at(NavSettings, p.T("speed.choose.title")), EndpointForm{}),
		"speed-wrong":     EndpointPage(at(NavSettings, p.T("speed.choose.title")), wrong),
		"speed-confirm":   ConfirmPage(at(NavNodes, p.T("kind.speed")), ConfirmSpeed(p, plan, "/runs", form)),
		"speed-node":      NodePage(at(NavNodes, "203.0.113.77"), node),
		"speed-refused":   NodePage(at(NavNodes, "203.0.113.77"), refused),
		"speed-run-waits": RunPage(at(NavRuns, p.T("kind.speed")), waiting),
	}
}

func TestTheEndpointDialogIsWhole(t *testing.T) {
	for _, lang := range i18n.Langs() {
		p := i18n.New(lang, nil)
		dialog := renderPage(t, p, EndpointDialog(EndpointForm{Run: []Hidden{{"kind", "speed"}}}))
		for _, kind := range endpointKinds {
			for _, text := range []string{p.T("speed.kind." + string(kind)), p.T("speed.kind." + string(kind) + ".more")} {
				if !strings.Contains(dialog, templ.EscapeString(text)) {
					t.Errorf("%s: the dialog does not say %q", lang, text)
				}
			}
		}
	}
}

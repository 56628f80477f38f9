package views

import (
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// TestAServiceAnswersForAServer checks that a probe which a running service answered
// shows only tested steps as reached, on the node page, on the run page and in the
// node list.
func TestAServiceAnswersForAServer(t *testing.T) {
	probe := func(kind connexa.Kind, cause connexa.Cause, text string, rungs ...connexa.StepResult) connexa.Entry {
		mark := connexa.ResultGood
		if cause != "" {
			mark = connexa.ResultBad
		}
		return connexa.Entry{
			What: connexa.EntryProbe, Result: mark, Trace: rungs, Detail: connexa.Detail{Text: connexa.T(text)},
			Outcome: connexa.Outcome{Kind: kind, At: now, Reached: connexa.NoStep, Cause: cause},
		}
	}
	control := connexa.StepResult{Step: connexa.Control, OK: true, Note: connexa.T("rung.through.control", 12*time.Millisecond)}
	lcp := connexa.StepResult{Step: connexa.LCP, OK: true, Note: connexa.T("rung.through.lcp", 12*time.Millisecond)}
	older := probe(connexa.Ping, "", "probe.through")
	older.Reached = connexa.IP
	for _, tt := range []struct {
		name  string
		entry connexa.Entry
		want  string // CSS classes of the steps
	}{
		{"ping", probe(connexa.Ping, "", "probe.through.ping", control), "later later ok"},
		{"ping that the tunnel answers", probe(connexa.Ping, "", "probe.through.ping.lcp", lcp), "later later later"},
		{"login", probe(connexa.Login, "", "probe.through.login", lcp), "later later later later later ok later later later"},
		{"login that the control connection answers", probe(connexa.Login, "", "probe.through.login.control", control), "later later ok later later later later later later"},
		{"speed", probe(connexa.Speed, "", "probe.through.speed", connexa.StepResult{Step: connexa.Internet, OK: true}), "later later later later later later later later later ok"},
		{"speed, not measured", probe(connexa.Speed, "internet.no_dns", "probe.through.speed", connexa.StepResult{Step: connexa.Internet}), "later later later later later later later later later stop"},
		{"a result of an earlier release", older, "later later later later later later later later later"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, lang := range i18n.Langs() {
				p := i18n.New(lang, nil)
				var classes []string
				for _, s := range stepLines(p, &tt.entry) {
					classes = append(classes, s.class)
					if s.class == "later" && s.note != p.T("node.step.untested") {
						t.Errorf("%s: the step %s says %q", lang, s.name, s.note)
					}
				}
				if got := strings.Join(classes, " "); got != tt.want {
					t.Errorf("%s: the steps are %s, want %s", lang, got, tt.want)
				}
				if tt.entry.Cause == "" && goodNews(p, Node{}, &tt.entry) == p.T("node.good") {
					t.Errorf("%s: a probe that tested no step says that all is well", lang)
				}
				b := connexa.Basis{Kind: tt.entry.Kind, At: now, Reached: tt.entry.Reached, Cause: tt.entry.Cause}
				if tt.entry.Reached != connexa.NoStep {
					continue // a row of an old database lacks this information
				}
				a := TraceArgs{Reached: b.Reached, Cause: b.Cause, ByService: b.ByService()}
				if strings.Contains(strings.Join(a.stepBars(), " "), "ok") || !strings.Contains(a.ariaLabel(p), p.T("ladder.service")) {
					t.Errorf("%s: the row shows %v, %q", lang, a.stepBars(), a.ariaLabel(p))
				}
				if title := basisTitle(p, &connexa.Node{Basis: b}); !strings.Contains(title, p.T("ladder.service")) {
					t.Errorf("%s: the row's title is %q", lang, title)
				}
				g := RunGroup{RunGroup: connexa.RunGroup{Result: tt.entry.Result, Reached: tt.entry.Reached, Cause: tt.entry.Cause}}
				if more := g.moreCount(p); !g.ByService() || tt.entry.Cause == "" && more != p.T("run.reached.service") {
					t.Errorf("%s: the group of a run says %q", lang, more)
				}
			}
		})
	}
}

// TestOtherProbesAreNotByAService checks that no other result looks like one that a
// service answered.
func TestOtherProbesAreNotByAService(t *testing.T) {
	for _, e := range []connexa.Entry{
		{What: connexa.EntryProbe, Result: connexa.ResultBad, Outcome: connexa.Outcome{Reached: connexa.NoStep, Cause: "resolve.nxdomain"}},
		{What: connexa.EntryProbe, Result: connexa.ResultBad, Outcome: connexa.Outcome{Reached: connexa.Resolve, Cause: "tcp.refused"}},
		{What: connexa.EntryProbe, Result: connexa.ResultInUse, Outcome: connexa.Outcome{Reached: connexa.NoStep}},
		{What: connexa.EntryProbe, Result: connexa.ResultCancelled},
		{What: connexa.EntryProbe, Result: connexa.ResultGood, Outcome: connexa.Outcome{Reached: connexa.Control}},
		{What: connexa.EntryEdited},
	} {
		if e.ByService() {
			t.Errorf("%+v is taken for one that a service answered", e)
		}
	}
	if (connexa.Basis{}).ByService() {
		t.Error("a node that was never tested is taken for one that a service answered for")
	}
}

package views

import (
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// TestProbeByServiceShowsTestedSteps checks that a probe which a running service answered
// shows only tested steps as reached, on the node page, on the run page and in the
// node list.
func TestProbeByServiceShowsTestedSteps(t *testing.T) {
	probe := func(kind connexa.Kind, cause connexa.Cause, text string, trace ...connexa.StepResult) connexa.Entry {
		result := connexa.ResultGood
		if cause != "" {
			result = connexa.ResultBad
		}
		return connexa.Entry{
			What: connexa.EntryProbe, Result: result, Trace: trace, Detail: connexa.Detail{Text: connexa.T(text)},
			Outcome: connexa.Outcome{Kind: kind, At: now, Reached: connexa.NoStep, Cause: cause},
		}
	}
	control := connexa.StepResult{Step: connexa.Control, OK: true, Note: connexa.T("step.note.through.control", 12*time.Millisecond)}
	lcp := connexa.StepResult{Step: connexa.LCP, OK: true, Note: connexa.T("step.note.through.lcp", 12*time.Millisecond)}
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
				checkServiceProbe(t, i18n.New(lang, nil), tt.entry, tt.want)
			}
		})
	}
}

// checkServiceProbe checks the views of a result. want has the CSS classes of the steps.
func checkServiceProbe(t *testing.T, p *i18n.Printer, e connexa.Entry, want string) {
	t.Helper()
	var classes []string
	for _, s := range stepLines(p, &e) {
		classes = append(classes, s.class)
		if s.class == "later" && s.note != p.T("node.step.untested") {
			t.Errorf("%s: step %s: got note %q, want %q", p.Lang(), s.name, s.note, p.T("node.step.untested"))
		}
	}
	if got := strings.Join(classes, " "); got != want {
		t.Errorf("%s: got steps %s, want %s", p.Lang(), got, want)
	}
	if e.Cause == "" && goodNews(p, Node{}, &e) == p.T("node.good") {
		t.Errorf("%s: got the text of a full test, want that of a service", p.Lang())
	}
	if e.Reached != connexa.NoStep {
		return // a row of an old database lacks this information
	}
	b := connexa.Basis{Kind: e.Kind, At: now, Reached: e.Reached, Cause: e.Cause}
	a := TraceArgs{Reached: b.Reached, Cause: b.Cause, ByService: b.ByService()}
	if strings.Contains(strings.Join(a.stepBars(), " "), "ok") || !strings.Contains(a.ariaLabel(p), p.T("trace.service")) {
		t.Errorf("%s: row: got %v, %q; want no step ok and %q", p.Lang(), a.stepBars(), a.ariaLabel(p), p.T("trace.service"))
	}
	if title := basisTitle(p, &connexa.Node{Basis: b}); !strings.Contains(title, p.T("trace.service")) {
		t.Errorf("%s: row: got title %q, want %q in it", p.Lang(), title, p.T("trace.service"))
	}
	g := RunGroup{RunGroup: connexa.RunGroup{Result: e.Result, Reached: e.Reached, Cause: e.Cause}}
	if more := g.moreCount(p); !g.ByService() || e.Cause == "" && more != p.T("run.reached.service") {
		t.Errorf("%s: group of a run: got %q, want %q", p.Lang(), more, p.T("run.reached.service"))
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

package daemon

import (
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/pptp"
)

func TestLadderTakesBackWhatWasNotSo(t *testing.T) {
	var out strings.Builder
	l := newLadder(&out, i18n.New(i18n.English, nil))
	for _, r := range []pptp.Rung{
		{Step: pptp.StepResolve, OK: true},
		{Step: pptp.StepTCP, OK: true, At: time.Millisecond},
		{Step: pptp.StepGRE, OK: true, At: 2 * time.Millisecond},
		{Step: pptp.StepLCP, OK: true, At: 3 * time.Millisecond},
		{Step: pptp.StepGRE, At: 12 * time.Second, Note: "no_outbound"},
		{Step: pptp.StepGRE, OK: true, At: 13 * time.Second}, // while it is taken down
	} {
		l.step(r)
	}
	rungs := l.end()
	if len(rungs) != 3 || rungs[2].Step != pptp.StepGRE || rungs[2].OK {
		t.Errorf("%+v; want resolve, tcp, and gre that failed", rungs)
	}
	if s := out.String(); strings.Count(s, "\n") != 5 || !strings.HasSuffix(s, "✗ GRE         12000.0 ms   GRE blocked on the way to the server\n") {
		t.Errorf("written:\n%s", s)
	}
	l.step(pptp.Rung{}) // nobody reads any more, and nobody waits
}

func TestLadderEndsWithTheAddress(t *testing.T) {
	var out strings.Builder
	l := newLadder(&out, i18n.New(i18n.English, nil))
	l.step(pptp.Rung{Step: pptp.StepIP, OK: true, Note: "10.0.0.2"})
	l.step(pptp.Rung{Step: pptp.StepLCP, Note: "terminated"})
	if rungs := l.end(); len(rungs) != 1 || !rungs[0].OK {
		t.Errorf("%+v", rungs)
	}
}

func TestFold(t *testing.T) {
	word := strings.Repeat("ж", 30)
	text := strings.Join([]string{word, word, word, word}, " ")
	if got, want := fold(text, "  "), word+" "+word+" "+word+"\n  "+word; got != want {
		t.Errorf("%q", got)
	}
	if got := fold("", "  "); got != "" {
		t.Errorf("%q", got)
	}
}

package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// TestTracePrinterWritesEachStepOnce adds steps that are revised, repeated or late.
func TestTracePrinterWritesEachStepOnce(t *testing.T) {
	ok := func(steps ...pptp.Step) (list []pptp.StepResult) {
		for i, s := range steps {
			list = append(list, pptp.StepResult{Step: s, OK: true, At: time.Duration(i) * time.Millisecond})
		}
		return list
	}
	const (
		resolve, tcp, control, call = pptp.StepResolve, pptp.StepTCP, pptp.StepControl, pptp.StepCall
		gre, lcp, auth              = pptp.StepGRE, pptp.StepLCP, pptp.StepAuth
		encryption, ip              = pptp.StepEncryption, pptp.StepIP
	)
	for _, tt := range []struct {
		name  string
		heard []pptp.StepResult
		final []connexa.StepResult
		want  string
	}{
		{"a session", ok(resolve, tcp, control, call, gre, lcp, auth, encryption, ip), nil, "resolve tcp control call gre lcp auth encryption ip"},
		{"GRE that was taken back", append(ok(resolve, tcp, control, call, gre), pptp.StepResult{Step: gre, Note: "no_outbound"}), []connexa.StepResult{{Step: connexa.GRE}},
			"resolve tcp control call -gre"},
		{"GRE that came while it was taken down", append(ok(resolve, tcp, control, call), pptp.StepResult{Step: gre, Note: "no_inbound"}, pptp.StepResult{Step: gre, OK: true}), nil,
			"resolve tcp control call -gre"},
		{"a link that was taken back", append(ok(resolve, tcp, control, call, gre, lcp), pptp.StepResult{Step: lcp, Note: "terminated"}), []connexa.StepResult{{Step: connexa.LCP}},
			"resolve tcp control call gre -lcp"},
		{"a login that was taken back", append(ok(resolve, tcp, control, call, gre, lcp, auth), pptp.StepResult{Step: auth, Note: "terminated"}), nil,
			"resolve tcp control call gre lcp -auth"},
		{"encryption that was taken back once a session was up", ok(resolve, tcp, control, call, gre, lcp, auth, encryption, ip), []connexa.StepResult{{Step: connexa.Encryption}},
			"resolve tcp control call gre lcp auth -encryption"},
		{"a session that ended while it was closed", append(ok(resolve, ip), pptp.StepResult{Step: lcp, Note: "terminated"}), []connexa.StepResult{{Step: connexa.Resolve, OK: true}, {Step: connexa.IP, OK: true}},
			"resolve ip"},
		{"a second call", append(append(ok(resolve, tcp, control, call, gre, lcp), pptp.StepResult{Step: auth, Note: "691"}), ok(resolve, tcp, control, call, gre, lcp, auth, encryption, ip)...), nil,
			"resolve tcp control call gre lcp auth encryption ip"},
		{"a second call that is refused too", append(append(append(ok(resolve, tcp, lcp), pptp.StepResult{Step: auth, Note: "691"}), ok(resolve, tcp, lcp)...), pptp.StepResult{Step: auth, Note: "691"}), nil,
			"resolve tcp lcp -auth"},
		{"the internet behind a session", ok(resolve, ip), []connexa.StepResult{{Step: connexa.IP, OK: true}, {Step: connexa.Internet, OK: true}}, "resolve ip internet"},
		{"no internet behind a session", ok(resolve, ip), []connexa.StepResult{{Step: connexa.IP, OK: true}, {Step: connexa.Internet}}, "resolve ip -internet"},
		{"nothing", nil, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkPrintedTrace(t, tt.heard, tt.final, tt.want)
		})
	}
}

// checkPrintedTrace prints the steps and compares them with wantSteps, in which a
// minus marks a failed step.
func checkPrintedTrace(t *testing.T, heard []pptp.StepResult, final []connexa.StepResult, wantSteps string) {
	t.Helper()
	var out strings.Builder
	p := i18n.New(i18n.English, nil)
	l := startTracePrinter(&out, p)
	for _, r := range heard {
		l.addStep(r)
	}
	steps := l.finish(final, "it failed")
	var got, want []string
	for _, s := range steps {
		name := string(s.Step)
		mark := "✓"
		if !s.OK {
			name, mark = "-"+name, "✗"
		}
		got = append(got, name)
		want = append(want, mark+" "+p.T("step."+string(s.Step)))
	}
	if s := strings.Join(got, " "); s != wantSteps {
		t.Errorf("steps = %q, want %q", s, wantSteps)
	}
	written := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if wantSteps == "" {
		written = nil
	}
	if len(written) != len(want) {
		t.Fatalf("%d lines for %d steps:\n%s", len(written), len(want), &out)
	}
	for i, line := range written {
		if !strings.HasPrefix(strings.TrimSpace(line), want[i]+" ") {
			t.Errorf("line %d is %q, want %s", i, line, want[i])
		}
		if !steps[i].OK && !strings.HasSuffix(line, "it failed") {
			t.Errorf("line %d is %q", i, line)
		}
	}
	l.addStep(pptp.StepResult{}) // must not block after finish
}

func TestWrapText(t *testing.T) {
	word := strings.Repeat("ж", 30)
	text := strings.Join([]string{word, word, word, word}, " ")
	if got, want := wrapText(text, "  "), word+" "+word+" "+word+"\n  "+word; got != want {
		t.Errorf("%q", got)
	}
	if got := wrapText("", "  "); got != "" {
		t.Errorf("%q", got)
	}
}

// TestTracePrinterInterrupted checks that a step which an interrupt has ended is not
// shown as failed.
func TestTracePrinterInterrupted(t *testing.T) {
	var out strings.Builder
	l := startTracePrinter(&out, i18n.New(i18n.English, nil))
	l.addStep(pptp.StepResult{Step: pptp.StepResolve, OK: true})
	l.addStep(pptp.StepResult{Step: pptp.StepTCP, Note: "timeout"})
	if steps := l.finish(nil, ""); len(steps) != 1 || strings.Contains(out.String(), "✗") {
		t.Errorf("%+v\n%s", steps, &out)
	}
}

package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// tracePrinter writes the steps of one climb as they come and keeps them: each once, in
// order. A failure may take steps back: GRE packets that came prove nothing when
// none of ours arrives. So a step from GRE on is written once the one above it is
// reached, and encryption and address at the end. A terminal may be slow and the
// climb must not wait for it, so a goroutine of its own writes; end ends it.
type tracePrinter struct {
	out   io.Writer
	words *i18n.Printer
	steps chan traceLine
	stop  chan struct{}
	done  chan struct{}

	trace   []stepResult     // of the goroutine that writes, until done
	failed  *pptp.StepResult // the last failure that was reported
	written int              // steps of climb that are written
}

// traceLine is a step, or a remark between two.
type traceLine struct {
	rung pptp.StepResult
	line string
}

// maxTraceLines is more than a climb with both forms of a password has.
const maxTraceLines = 64

func newTracePrinter(out io.Writer, words *i18n.Printer) *tracePrinter {
	l := &tracePrinter{
		out: out, words: words,
		steps: make(chan traceLine, maxTraceLines), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go l.writeLines()
	return l
}

// addStep takes a rung and never waits.
func (l *tracePrinter) addStep(r pptp.StepResult) { l.send(traceLine{rung: r}) }

// addRemark takes a line and never waits.
func (l *tracePrinter) addRemark(line string) { l.send(traceLine{line: line}) }

func (l *tracePrinter) send(h traceLine) {
	select {
	case l.steps <- h:
	default:
	}
}

func (l *tracePrinter) writeLines() {
	defer close(l.done)
	for {
		select {
		case h := <-l.steps:
			l.handleLine(h)
		case <-l.stop:
			for len(l.steps) > 0 {
				l.handleLine(<-l.steps)
			}
			return
		}
	}
}

func (l *tracePrinter) handleLine(h traceLine) {
	switch r := h.rung; {
	case h.line != "":
		fmt.Fprintln(l.out, h.line)
	case !r.OK:
		l.failed = &r
	case r.Step == pptp.StepResolve:
		l.failed = nil // a second call: only what it reaches beyond the first is new
		l.addReached(connexa.Step(r.Step), r.At, l.stepNote(r))
	case l.failed == nil: // a step after a failure comes from taking the session down
		l.addReached(connexa.Step(r.Step), r.At, l.stepNote(r))
	}
	l.flushSteps(false)
}

// addReached keeps a step that is above all that were reached before.
func (l *tracePrinter) addReached(s connexa.Step, at time.Duration, note string) {
	if n := len(l.trace); n == 0 || s.Index() > l.trace[n-1].Step.Index() {
		l.trace = append(l.trace, stepResult{s, true, toMilliseconds(at), note})
	}
}

// flushSteps writes the steps that can no longer be taken back, or all.
func (l *tracePrinter) flushSteps(all bool) {
	for ; l.written < len(l.trace); l.written++ {
		s := l.trace[l.written]
		sure := s.Step.Index() <= connexa.Call.Index() || s.Step.Index() <= connexa.Auth.Index() && l.written < len(l.trace)-1
		if !sure && !all {
			return
		}
		mark := "✓"
		if !s.OK {
			mark = "✗"
		}
		fmt.Fprintf(l.out, "  %s %-10s %8.1f ms   %s\n", mark, l.words.T("step."+string(s.Step)), s.MS, s.Note)
	}
}

// finish waits until what was reported is written, adds what the result of the climb
// knows beyond, writes the rest and returns the steps. final are the rungs of the
// result; without any the failure that was reported is the last step. note is what is
// said of it; without one no failure is written, as of a climb that was interrupted.
func (l *tracePrinter) finish(final []connexa.StepResult, note string) []stepResult {
	close(l.stop)
	<-l.done
	if len(final) == 0 && l.failed != nil && note != "" {
		final = []connexa.StepResult{{Step: connexa.Step(l.failed.Step), At: l.failed.At}}
	}
	for _, r := range final {
		switch {
		case !r.OK:
			l.removeFrom(r.Step)
			l.trace = append(l.trace, stepResult{r.Step, false, toMilliseconds(r.At), note})
		case r.Note.IsZero():
			l.addReached(r.Step, r.At, l.words.T("step."+string(r.Step)+".means"))
		default:
			l.addReached(r.Step, r.At, l.words.Text(r.Note))
		}
	}
	l.flushSteps(true)
	return l.trace
}

// removeFrom drops s and the steps above it: they were taken for reached, and were
// not.
func (l *tracePrinter) removeFrom(s connexa.Step) {
	i := slices.IndexFunc(l.trace, func(c stepResult) bool { return c.Step.Index() >= s.Index() })
	if i >= 0 {
		l.trace = l.trace[:i]
		l.written = min(l.written, i)
	}
}

// stepNote says what was seen at a step that was reached.
func (l *tracePrinter) stepNote(r pptp.StepResult) string {
	means := l.words.T("step." + string(r.Step) + ".means")
	switch {
	case r.Step == pptp.StepResolve && r.Note == "":
		return l.words.T("rung.resolve.given")
	case r.Note == "":
		return means
	case r.Step == pptp.StepEncryption && r.Note == "none":
		return l.words.T("rung.encryption.none")
	case r.Step == pptp.StepTCP:
		return means + ", from " + r.Note
	default:
		return means + ": " + r.Note
	}
}

// causeText is the sentence of a cause, or with the part ".more" what it means
// and with ".try" what to try. A code that a server made up is told by its step.
func causeText(p *i18n.Printer, c connexa.Cause, part string) string {
	for _, key := range []string{"cause." + string(c) + part, "step." + string(c.Step()) + ".fail" + part} {
		if p.Has(key) {
			return p.T(key)
		}
	}
	return string(c)
}

// withoutFullStop returns a message without its full stop, to be shown beside a step.
func withoutFullStop(message string) string { return strings.TrimSuffix(message, ".") }

// toMilliseconds is d to a tenth.
func toMilliseconds(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond).Microseconds()) / 1000
}

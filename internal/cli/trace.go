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

// tracePrinter prints the steps of a probe as they are reached, each once and in order,
// and keeps them. A failure may take steps back: received GRE packets prove nothing if
// none of ours arrives. So a step from GRE on is printed once the next one is reached,
// and encryption and address at the end. A goroutine prints, because a terminal may be
// slow and the probe must not wait for it; finish ends it.
type tracePrinter struct {
	out   io.Writer
	words *i18n.Printer
	steps chan traceLine
	stop  chan struct{}
	done  chan struct{}

	trace   []stepResult     // owned by the goroutine until done is closed
	failed  *pptp.StepResult // the last reported failure
	written int              // steps of trace that are printed
}

// traceLine is a step, or a remark between two steps.
type traceLine struct {
	step pptp.StepResult
	line string
}

// maxTraceLines is more than the steps of a probe that tries both password encodings.
const maxTraceLines = 64

func startTracePrinter(out io.Writer, words *i18n.Printer) *tracePrinter {
	l := &tracePrinter{
		out: out, words: words,
		steps: make(chan traceLine, maxTraceLines), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go l.writeLines()
	return l
}

// addStep adds a step. It never blocks.
func (l *tracePrinter) addStep(r pptp.StepResult) { l.send(traceLine{step: r}) }

// addRemark adds a line. It never blocks.
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
	switch r := h.step; {
	case h.line != "":
		fmt.Fprintln(l.out, h.line)
	case !r.OK:
		l.failed = &r
	case r.Step == pptp.StepResolve:
		l.failed = nil // a second call: only steps beyond those of the first are new
		l.addReached(connexa.Step(r.Step), r.At, l.stepNote(r))
	case l.failed == nil: // steps after a failure come from closing the session
		l.addReached(connexa.Step(r.Step), r.At, l.stepNote(r))
	}
	l.flushSteps(false)
}

// addReached keeps a step if it is above all earlier ones.
func (l *tracePrinter) addReached(s connexa.Step, at time.Duration, note string) {
	if n := len(l.trace); n == 0 || s.Index() > l.trace[n-1].Step.Index() {
		l.trace = append(l.trace, stepResult{s, true, toMilliseconds(at), note})
	}
}

// flushSteps prints the steps that can no longer be taken back, or all.
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

// finish waits until the reported steps are printed, adds those that only the result of
// the probe has, prints the rest and returns all. final are the steps of the result;
// without them the reported failure is the last step. note describes the failure; without
// it no failure is printed, as for an interrupted probe.
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

// removeFrom removes s and the steps above it: they were not reached after all.
func (l *tracePrinter) removeFrom(s connexa.Step) {
	i := slices.IndexFunc(l.trace, func(c stepResult) bool { return c.Step.Index() >= s.Index() })
	if i >= 0 {
		l.trace = l.trace[:i]
		l.written = min(l.written, i)
	}
}

// stepNote describes what was seen at a reached step.
func (l *tracePrinter) stepNote(r pptp.StepResult) string {
	means := l.words.T("step." + string(r.Step) + ".means")
	switch {
	case r.Step == pptp.StepResolve && r.Note == "":
		return l.words.T("step.note.resolve.given")
	case r.Note == "":
		return means
	case r.Step == pptp.StepEncryption && r.Note == "none":
		return l.words.T("step.note.encryption.none")
	case r.Step == pptp.StepTCP:
		return means + ", from " + r.Note
	default:
		return means + ": " + r.Note
	}
}

// causeText returns the sentence of a cause, or with part ".more" what it means and with
// ".try" what to do. An unknown code of a server has the texts of its step.
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

// toMilliseconds converts d, rounded to a tenth.
func toMilliseconds(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond).Microseconds()) / 1000
}

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

// ladder writes the steps of one climb as they come and keeps them: each once, in
// order. A failure may take steps back: GRE packets that came prove nothing when
// none of ours arrives. So a step from GRE on is written once the one above it is
// reached, and encryption and address at the end. A terminal may be slow and the
// climb must not wait for it, so a goroutine of its own writes; end ends it.
type ladder struct {
	out   io.Writer
	words *i18n.Printer
	steps chan ladderLine
	over  chan struct{}
	done  chan struct{}

	climb   []checkedStep    // of the goroutine that writes, until done
	failed  *pptp.StepResult // the last failure that was reported
	written int              // steps of climb that are written
}

// ladderLine is a step, or a remark between two.
type ladderLine struct {
	rung pptp.StepResult
	line string
}

// mostSteps is more than a climb with both forms of a password has.
const mostSteps = 64

func newLadder(out io.Writer, words *i18n.Printer) *ladder {
	l := &ladder{
		out: out, words: words,
		steps: make(chan ladderLine, mostSteps), over: make(chan struct{}), done: make(chan struct{}),
	}
	go l.write()
	return l
}

// step takes a rung and never waits.
func (l *ladder) step(r pptp.StepResult) { l.send(ladderLine{rung: r}) }

// remark takes a line and never waits.
func (l *ladder) remark(line string) { l.send(ladderLine{line: line}) }

func (l *ladder) send(h ladderLine) {
	select {
	case l.steps <- h:
	default:
	}
}

func (l *ladder) write() {
	defer close(l.done)
	for {
		select {
		case h := <-l.steps:
			l.hear(h)
		case <-l.over:
			for len(l.steps) > 0 {
				l.hear(<-l.steps)
			}
			return
		}
	}
}

func (l *ladder) hear(h ladderLine) {
	switch r := h.rung; {
	case h.line != "":
		fmt.Fprintln(l.out, h.line)
	case !r.OK:
		l.failed = &r
	case r.Step == pptp.StepResolve:
		l.failed = nil // a second call: only what it reaches beyond the first is new
		l.reached(connexa.Step(r.Step), r.At, l.note(r))
	case l.failed == nil: // a step after a failure comes from taking the session down
		l.reached(connexa.Step(r.Step), r.At, l.note(r))
	}
	l.flush(false)
}

// reached keeps a step that is above all that were reached before.
func (l *ladder) reached(s connexa.Step, at time.Duration, note string) {
	if n := len(l.climb); n == 0 || s.Index() > l.climb[n-1].Step.Index() {
		l.climb = append(l.climb, checkedStep{s, true, milliseconds(at), note})
	}
}

// flush writes the steps that can no longer be taken back, or all.
func (l *ladder) flush(all bool) {
	for ; l.written < len(l.climb); l.written++ {
		s := l.climb[l.written]
		sure := s.Step.Index() <= connexa.Call.Index() || s.Step.Index() <= connexa.Auth.Index() && l.written < len(l.climb)-1
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

// end waits until what was reported is written, adds what the result of the climb
// knows beyond, writes the rest and returns the steps. final are the rungs of the
// result; without any the failure that was reported is the last step. note is what is
// said of it; without one no failure is written, as of a climb that was interrupted.
func (l *ladder) end(final []connexa.StepResult, note string) []checkedStep {
	close(l.over)
	<-l.done
	if len(final) == 0 && l.failed != nil && note != "" {
		final = []connexa.StepResult{{Step: connexa.Step(l.failed.Step), At: l.failed.At}}
	}
	for _, r := range final {
		switch {
		case !r.OK:
			l.takeBack(r.Step)
			l.climb = append(l.climb, checkedStep{r.Step, false, milliseconds(r.At), note})
		case r.Note.IsZero():
			l.reached(r.Step, r.At, l.words.T("step."+string(r.Step)+".means"))
		default:
			l.reached(r.Step, r.At, l.words.Text(r.Note))
		}
	}
	l.flush(true)
	return l.climb
}

// takeBack drops s and the steps above it: they were taken for reached, and were
// not.
func (l *ladder) takeBack(s connexa.Step) {
	i := slices.IndexFunc(l.climb, func(c checkedStep) bool { return c.Step.Index() >= s.Index() })
	if i >= 0 {
		l.climb = l.climb[:i]
		l.written = min(l.written, i)
	}
}

// note says what was seen at a step that was reached.
func (l *ladder) note(r pptp.StepResult) string {
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

// causeWords is the sentence of a cause, or with the part ".more" what it means
// and with ".try" what to try. A code that a server made up is told by its step.
func causeWords(p *i18n.Printer, c connexa.Cause, part string) string {
	for _, key := range []string{"cause." + string(c) + part, "step." + string(c.Step()) + ".fail" + part} {
		if p.Has(key) {
			return p.T(key)
		}
	}
	return string(c)
}

// stepWords returns a message without its full stop, to be shown beside a step.
func stepWords(message string) string { return strings.TrimSuffix(message, ".") }

// milliseconds is d to a tenth.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond).Microseconds()) / 1000
}

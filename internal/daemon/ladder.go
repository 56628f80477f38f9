package daemon

import (
	"fmt"
	"io"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// ladder writes the steps of one climb as they come and keeps them. A terminal
// may be slow and the climb must not wait for it, so a goroutine of its own
// writes; end ends it.
type ladder struct {
	out   io.Writer
	words *i18n.Printer
	steps chan said
	over  chan struct{}
	done  chan struct{}
	rungs []pptp.Rung // of the goroutine that writes, until done
}

// said is a step, or a line between two.
type said struct {
	rung pptp.Rung
	line string
}

// mostSteps is more than a climb with both forms of a password has.
const mostSteps = 64

func newLadder(out io.Writer, words *i18n.Printer) *ladder {
	l := &ladder{
		out: out, words: words,
		steps: make(chan said, mostSteps), over: make(chan struct{}), done: make(chan struct{}),
	}
	go l.write()
	return l
}

// step takes a rung and never waits.
func (l *ladder) step(r pptp.Rung) { l.say(said{rung: r}) }

// remark takes a line and never waits.
func (l *ladder) remark(line string) { l.say(said{line: line}) }

func (l *ladder) say(s said) {
	select {
	case l.steps <- s:
	default:
	}
}

// end waits until what was told is written and returns the climb: the rungs
// that stand.
func (l *ladder) end() []pptp.Rung {
	close(l.over)
	<-l.done
	return l.rungs
}

func (l *ladder) write() {
	defer close(l.done)
	for {
		select {
		case s := <-l.steps:
			l.hear(s)
		case <-l.over:
			for len(l.steps) > 0 {
				l.hear(<-l.steps)
			}
			return
		}
	}
}

func (l *ladder) hear(s said) {
	if s.line != "" {
		fmt.Fprintln(l.out, s.line)
		return
	}
	l.add(s.rung)
}

func (l *ladder) add(r pptp.Rung) {
	again := r.Step == pptp.StepResolve && len(l.rungs) > 0
	if n := len(l.rungs); n > 0 && !again && (!l.rungs[n-1].OK || l.rungs[n-1].Step == pptp.StepIP) {
		return // what still arrives while a session is taken down is none of the climb
	}
	height := connexa.Step(r.Step).Height()
	if again {
		fmt.Fprintln(l.out, "  The password has letters outside ASCII, which servers read in two ways. Once more, in the other:")
	}
	for i, before := range l.rungs {
		if connexa.Step(before.Step).Height() >= height {
			l.rungs = l.rungs[:i] // taken back
			break
		}
	}
	l.rungs = append(l.rungs, r)
	mark, note := "✓", l.note(r)
	if !r.OK {
		mark, note = "✗", causeWords(l.words, connexa.Cause(string(r.Step)+"."+r.Note), "")
	}
	fmt.Fprintf(l.out, "  %s %-10s %8.1f ms   %s\n", mark, l.words.T("step."+string(r.Step)), milliseconds(r.At), note)
}

// beyond writes the step behind the session, at whose end nothing else writes any
// more.
func (l *ladder) beyond(r connexa.Rung, cause connexa.Cause) {
	mark, note := "✓", l.words.Text(r.Note)
	if !r.OK {
		mark, note = "✗", causeWords(l.words, cause, "")
	}
	fmt.Fprintf(l.out, "  %s %-10s %8.1f ms   %s\n", mark, l.words.T("step."+string(r.Step)), milliseconds(r.At), note)
}

// note says what was seen at a step that was reached.
func (l *ladder) note(r pptp.Rung) string {
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

// milliseconds is d to a tenth.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond).Microseconds()) / 1000
}

package connexa

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// writtenTransitions is the table of transitions as in the documents: a row for each
// fact and a column for each group of statuses. "suspect" keeps the status; the word
// after it is the status after the second failure in a row.
const writtenTransitions = `
	fact          | not_tested ping_failed ping_ok | tunnel_failed login_failed | login_ok speed_slow speed_ok
	answered      | ping_ok                        | unchanged                  | unchanged
	no_answer     | ping_failed                    | ping_failed                | suspect ping_failed
	no_tunnel     | tunnel_failed                  | tunnel_failed              | suspect tunnel_failed
	login_refused | login_failed                   | login_failed               | suspect login_failed
	logged_in     | login_ok                       | login_ok                   | unchanged
	slow          | speed_slow                     | speed_slow                 | speed_slow
	fast          | speed_ok                       | speed_ok                   | speed_ok
`

// transition is an entry of writtenTransitions for a status and a fact: one word or two.
type transition struct {
	status Status
	fact   Fact
}

func readTransitions(t *testing.T) map[transition][]string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(writtenTransitions), "\n")
	head := strings.Split(lines[0], "|")
	written := map[transition][]string{}
	for _, line := range lines[1:] {
		columns := strings.Split(line, "|")
		f := Fact(strings.TrimSpace(columns[0]))
		for i, c := range columns[1:] {
			for s := range strings.FieldsSeq(head[i+1]) {
				written[transition{Status(s), f}] = strings.Fields(c)
			}
		}
	}
	if want := len(Statuses()) * len(Facts()); len(written) != want {
		t.Fatalf("the written table has %d cells, want %d", len(written), want)
	}
	return written
}

// failures are the facts that can end a status. A fact of sessions ends every failure
// streak.
var (
	failures          = []Fact{NoAnswer, NoTunnel, LoginRefused}
	sessions          = []Fact{LoggedIn, Slow, Fast}
	validatedStatuses = []Status{LoginOK, SpeedSlow, SpeedOK}
)

// isStreakOpen reports whether a streak of failure f is open after the facts past. It
// does not count: it searches backward for the last fact about f.
func isStreakOpen(past []Fact, f Fact) bool {
	for _, p := range slices.Backward(past) {
		switch {
		case p == f:
			return true
		case slices.Contains(sessions, p), f == NoAnswer && p == Answered:
			return false
		}
	}
	return false
}

// byHand returns the status after facts and the failure streaks that are then open,
// directly from the written table. Only a session makes a status validated, and it ends
// every streak, so the search backward stops there.
func byHand(written map[transition][]string, from Status, facts []Fact) (Status, []Fact) {
	s := from
	for i, f := range facts {
		if f == NoFact {
			continue
		}
		switch words := written[transition{s, f}]; {
		case words[0] == "unchanged":
		case words[0] != "suspect":
			s = Status(words[0])
		case isStreakOpen(facts[:i], f):
			s = Status(words[1])
		}
	}
	var streaks []Fact
	if slices.Contains(validatedStatuses, s) {
		for _, f := range failures {
			if isStreakOpen(facts, f) {
				streaks = append(streaks, f)
			}
		}
	}
	return s, streaks
}

func openStreaks(d FailureStreaks) (open []Fact) {
	for i, n := range []int{d.NoAnswer, d.NoTunnel, d.LoginRefused} {
		if n > 0 {
			open = append(open, failures[i])
		}
	}
	return open
}

var (
	anyStatus = rapid.SampledFrom(Statuses())
	anyFact   = rapid.SampledFrom(append([]Fact{NoFact}, Facts()...))
	anyFacts  = rapid.SliceOfN(anyFact, 0, 40)
)

// applyFacts returns a verdict after random facts.
func applyFacts(t *rapid.T) Verdict {
	return afterFact(t, Verdict{Status: anyStatus.Draw(t, "from")}, anyFacts.Draw(t, "facts")...)
}

func afterFact(t *rapid.T, v Verdict, facts ...Fact) Verdict {
	t.Helper()
	for _, f := range facts {
		var err error
		if v, err = v.After(f); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func TestEachTransition(t *testing.T) {
	for c, words := range readTransitions(t) {
		v := Verdict{Status: c.status}
		for i, word := range words {
			want := Status(word)
			if word == "suspect" || word == "unchanged" {
				want = c.status
			}
			got, err := v.After(c.fact)
			if err != nil || got.Status != want || got.Failures.Suspect() != (word == "suspect") {
				t.Errorf("%s after %d × %s is %+v, %v; want %s", c.status, i+1, c.fact, got, err, word)
			}
			v = got
		}
	}
}

func TestTransitionsHoldInAnyOrderOfFacts(t *testing.T) {
	written := readTransitions(t)
	rapid.Check(t, func(t *rapid.T) {
		from, facts := anyStatus.Draw(t, "from"), anyFacts.Draw(t, "facts")
		v := Verdict{Status: from}
		for i := range facts {
			v = afterFact(t, v, facts[i])
			status, open := byHand(written, from, facts[:i+1])
			if v.Status != status || !slices.Equal(openStreaks(v.Failures), open) || v.Failures.Suspect() != (len(open) > 0) {
				t.Fatalf("%s after %q is %+v, want %s with open streaks of %q", from, facts[:i+1], v, status, open)
			}
		}
	})
}

func TestSecondFailureOfKindTakesValidatedStatus(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, f := applyFacts(t), anyFact.Draw(t, "fact")
		if !v.Status.Validated() {
			return
		}
		next := afterFact(t, v, f)
		open := slices.Contains(openStreaks(v.Failures), f)
		if next.Status.Validated() == open {
			t.Errorf("%+v after %s: got %+v, want a validated status unless the streak is open", v, f, next)
		}
		if !next.Status.Validated() && next.Failures.Suspect() {
			t.Errorf("%+v after %s: got %+v, want no suspect without a validated status", v, f, next)
		}
	})
}

func TestAnswerTakesNoStatus(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := applyFacts(t)
		want := Verdict{v.Status, v.Failures}
		want.Failures.NoAnswer = 0
		if slices.Contains([]Status{NotTested, PingFailed, PingOK}, v.Status) {
			want = Verdict{Status: PingOK}
		}
		if got := afterFact(t, v, Answered); got != want {
			t.Errorf("%+v after an answer is %+v, want %+v", v, got, want)
		}
	})
}

func TestNoFactChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := applyFacts(t)
		if got := afterFact(t, v, NoFact); got != v {
			t.Errorf("%+v after no fact: got %+v, want no change", v, got)
		}
		for _, unknown := range []Fact{"rumour", "ANSWERED", " "} {
			if got, err := v.After(unknown); CodeOf(err) != Conflict || got != v {
				t.Errorf("%+v after %q: got %+v, %v; want no change and %s", v, unknown, got, err, Conflict)
			}
		}
	})
}

// TestFailureStreaks inserts facts between two failures of a kind. Facts that say nothing
// about it keep the streak. Facts that end the streak make the second failure a first
// one.
func TestFailureStreaks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := Verdict{Status: rapid.SampledFrom(validatedStatuses).Draw(t, "from")}
		f := rapid.SampledFrom(failures).Draw(t, "failure")
		ends, silent := slices.Clone(sessions), []Fact{NoFact}
		if f == NoAnswer {
			ends = append(ends, Answered)
		} else {
			silent = append(silent, Answered)
		}
		between := rapid.SliceOfN(rapid.SampledFrom(silent), 0, 5).Draw(t, "between")
		// There is one of each other failure, because a second one would change the status.
		for _, other := range failures {
			if other != f && rapid.Bool().Draw(t, string(other)) {
				between = slices.Insert(between, rapid.IntRange(0, len(between)).Draw(t, "position"), other)
			}
		}
		if got := afterFact(t, afterFact(t, afterFact(t, v, f), between...), f); got.Status.Validated() || got.Failures.Suspect() {
			t.Errorf("%s after %s, %q, %s: got %+v, want a lost status", v.Status, f, between, f, got)
		}
		end := rapid.SampledFrom(ends).Draw(t, "end")
		between = slices.Insert(between, rapid.IntRange(0, len(between)).Draw(t, "position of the end"), end)
		if got := afterFact(t, afterFact(t, afterFact(t, v, f), between...), f); !got.Status.Validated() || !slices.Contains(openStreaks(got.Failures), f) {
			t.Errorf("%s after %s, %q, %s: got %+v, want the status and an open streak", v.Status, f, between, f, got)
		}
	})
}

// TestOnlyValidatedNodesAreSuspect checks that only validated statuses are suspect, and
// that no streak continues after its second failure.
func TestOnlyValidatedNodesAreSuspect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := applyFacts(t)
		if v.Failures.Suspect() && !v.Status.Validated() {
			t.Errorf("got the suspect %+v, want none that is not validated", v)
		}
		if d := v.Failures; max(d.NoAnswer, d.NoTunnel, d.LoginRefused) > 1 || min(d.NoAnswer, d.NoTunnel, d.LoginRefused) < 0 {
			t.Errorf("got %+v, want streaks of 0 or 1", d)
		}
	})
}

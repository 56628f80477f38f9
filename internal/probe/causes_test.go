package probe_test

import (
	"slices"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/pptp/control"
)

// parts are the three texts of a cause: the sentence of a row, what the cause
// means, and what to try.
var parts = []string{"", ".more", ".try"}

// TestEveryCauseIsTold holds that a person reads, in each language, a sentence
// of its own about every cause: what is told of two faults alike sends someone
// to look for the wrong one.
func TestEveryCauseIsTold(t *testing.T) {
	for _, lang := range i18n.Langs() {
		p := i18n.New(lang, nil)
		for _, part := range parts {
			said := map[string]string{}
			for _, c := range everyCause() {
				key := "cause." + c + part
				if !p.Has(key) {
					t.Errorf("%s lacks %s", lang, key)
					continue
				}
				text := p.T(key)
				if other, twice := said[text]; twice && part != ".try" { // two faults may have one cure
					t.Errorf("%s: %s and %s both say %q", lang, other, key, text)
				}
				said[text] = key
			}
		}
	}
}

// TestEveryCauseHasARung holds that a cause begins with a step of the ladder,
// by which the panel draws it.
func TestEveryCauseHasARung(t *testing.T) {
	for _, c := range everyCause() {
		if connexa.Cause(c).Step().Height() == 0 {
			t.Errorf("%s is of no step", c)
		}
	}
}

// TestANumberWithoutWordsIsALoginNotAccepted holds that a code which a server
// makes up is told by its step.
func TestANumberWithoutWordsIsALoginNotAccepted(t *testing.T) {
	step := connexa.Cause("auth.999").Step()
	for _, lang := range i18n.Langs() {
		p := i18n.New(lang, nil)
		for _, part := range parts {
			if key := "step." + string(step) + ".fail" + part; !p.Has(key) {
				t.Errorf("%s lacks %s", lang, key)
			}
		}
	}
}

// everyCause lists what a ping, a login and a speed test may say.
func everyCause() []string {
	all := slices.Concat(pptp.Causes(), pingCauses(), []string{
		"internet.no_internet", "internet.no_dns", "internet.connect", "internet.tls", "internet.mtu_blackhole", "internet.timeout",
		"internet.refused", "internet.mtu", "internet.lost", "internet.failed",
	})
	slices.Sort(all)
	return slices.Compact(all)
}

// pingCauses are those of Ping: its own, and the codes of the control
// connection.
func pingCauses() []string {
	list := []string{
		"resolve.nxdomain", "resolve.temporary",
		"tcp.refused", "tcp.reset", "tcp.unreachable", "tcp.timeout",
	}
	for _, step := range []control.Step{control.StepStart, control.StepCall} {
		for _, seen := range []control.Seen{
			control.SeenClosed, control.SeenReset, control.SeenTimeout, control.SeenHalf,
			control.SeenNotPPTP, control.SeenMalformed, control.SeenStopped, control.SeenLost,
		} {
			list = append(list, (&control.Error{Step: step, Seen: seen}).Code())
		}
	}
	for _, no := range []*control.Refused{
		{Step: control.StepStart, Result: control.StartNotAuthorised}, {Step: control.StepStart, Result: control.StartVersion},
		{Step: control.StepCall, Result: control.CallBusy}, {Step: control.StepCall, Result: control.CallNotAccepted},
	} {
		list = append(list, no.Code())
	}
	return append(list, (&control.Disconnected{Step: control.StepCall}).Code())
}

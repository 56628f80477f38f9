package probe_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/pptp/control"
	"github.com/connexa-panel/connexa/internal/probe"
)

// parts are the suffixes of the three texts of a cause: the line in a table, its meaning,
// and the advice.
var parts = []string{"", ".more", ".try"}

// TestEveryCauseHasTexts checks that every cause has its own text in each language: two
// faults with the same text would mislead the reader.
func TestEveryCauseHasTexts(t *testing.T) {
	for _, lang := range i18n.Langs() {
		p := i18n.New(lang, nil)
		for _, part := range parts {
			keys := map[string]string{}
			for _, c := range everyCause() {
				key := "cause." + c + part
				if !p.Has(key) {
					t.Errorf("%s lacks %s", lang, key)
					continue
				}
				text := p.T(key)
				if other, twice := keys[text]; twice && part != ".try" { // two faults may have the same advice
					t.Errorf("%s: %s and %s both say %q", lang, other, key, text)
				}
				keys[text] = key
			}
		}
	}
}

// TestEveryCauseHasAStep checks that a cause begins with a step, which the panel
// draws.
func TestEveryCauseHasAStep(t *testing.T) {
	for _, c := range everyCause() {
		if connexa.Cause(c).Step().Index() == 0 {
			t.Errorf("%s is of no step", c)
		}
	}
}

// TestUnknownAuthCodeReadsAsLoginRefused checks that an unknown code of a server has the
// text of its step.
func TestUnknownAuthCodeReadsAsLoginRefused(t *testing.T) {
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

// everyCause lists the causes of pings, logins and speed tests, and the retired ones that
// a database may contain.
func everyCause() []string {
	all := slices.Concat(pptp.Causes(), pptp.RetiredCauses(), pingCauses(), []string{
		"internet.no_internet", "internet.no_dns", "internet.connect", "internet.tls", "internet.mtu_blackhole", "internet.timeout",
		"internet.refused", "internet.redirected", "internet.mtu", "internet.lost", "internet.failed",
	})
	slices.Sort(all)
	return slices.Compact(all)
}

// pingCauses lists the causes of Ping: its own, and the codes of the control
// connection.
func pingCauses() []string {
	list := []string{
		"resolve.nxdomain", "resolve.no_ipv4", "resolve.temporary",
		"tcp.refused", "tcp.reset", "tcp.unreachable", "tcp.timeout", "tcp.failed",
	}
	for _, step := range []control.Step{control.StepStart, control.StepCall} {
		for _, seen := range []control.Failure{
			control.FailureClosed, control.FailureReset, control.FailureTimeout, control.FailureHalf,
			control.FailureNotPPTP, control.FailureMalformed, control.FailureStopped, control.FailureLost,
		} {
			list = append(list, (&control.Error{Step: step, Failure: seen}).Code())
		}
	}
	list = append(list, (&control.Error{Step: control.StepStart, Failure: control.FailureNoAck}).Code())
	for _, no := range []*control.Refused{
		{Step: control.StepStart, Result: control.StartNotAuthorised}, {Step: control.StepStart, Result: control.StartVersion},
		{Step: control.StepCall, Result: control.CallBusy}, {Step: control.StepCall, Result: control.CallNotAccepted},
	} {
		list = append(list, no.Code())
	}
	return append(list, (&control.Disconnected{Step: control.StepCall}).Code())
}

// TestCatalogueHasNoUnusedCause checks that the catalogue has no texts for a cause that no
// probe reports.
func TestCatalogueHasNoUnusedCause(t *testing.T) {
	all := everyCause()
	for _, key := range catalogueKeys(t) {
		cause, ok := strings.CutPrefix(key, "cause.")
		if !ok {
			continue
		}
		cause = strings.TrimSuffix(strings.TrimSuffix(cause, ".more"), ".try")
		if !slices.Contains(all, cause) {
			t.Errorf("%s: no probe finds that", key)
		}
	}
}

// TestCausesReadRightInATerminal checks that the texts of causes also hold for a check from a
// terminal, which has neither nodes nor pages.
func TestCausesReadRightInATerminal(t *testing.T) {
	for lang, words := range map[i18n.Lang][]string{
		i18n.English: {"this node", "the node", "this panel", "the panel runs", "node’s page", "on the page"},
		i18n.Russian: {"узел", "узла", "узлу", "узле", "с панелью", "перед панелью", "на странице"},
	} {
		p := i18n.New(lang, nil)
		for _, c := range everyCause() {
			for _, part := range parts {
				text := strings.ToLower(p.T("cause." + c + part))
				for _, word := range words {
					if strings.Contains(text, word) {
						t.Errorf("%s, %s%s says %q: %s", lang, c, part, word, text)
					}
				}
			}
		}
	}
}

// catalogueKeys returns the keys of the English catalogue.
func catalogueKeys(t *testing.T) (keys []string) {
	t.Helper()
	files, err := filepath.Glob("../i18n/locales/en/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of the catalogue, %v", len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var part map[string]any
		if err := json.Unmarshal(text, &part); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		keys = append(keys, slices.Collect(maps.Keys(part))...)
	}
	return keys
}

// TestPeerNoteNamesServer checks that the note omits what the server did not
// send.
func TestPeerNoteNamesServer(t *testing.T) {
	p := i18n.New(i18n.English, nil)
	for _, tt := range []struct {
		peer connexa.Peer
		want string
	}{
		{connexa.Peer{Vendor: "linux", Host: "local", Firmware: 1}, "linux · local, firmware 1"},
		{connexa.Peer{Vendor: "Microsoft", Firmware: 3790}, "Microsoft, firmware 3790"},
		{connexa.Peer{Host: "vpn7", Firmware: 1}, "vpn7, firmware 1"},
		{connexa.Peer{Vendor: " "}, "firmware 0"},
	} {
		if got := p.Text(probe.Named(tt.peer)); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.peer, got, tt.want)
		}
	}
}

// TestCauseTextsArePlain checks that the texts of causes contain no figures of speech, and
// that each advice is a sentence.
func TestCauseTextsArePlain(t *testing.T) {
	for lang, words := range map[i18n.Lang][]string{
		i18n.English: {"whoever", "talk", "stand by", "meddle", "see to ", " who ", "nobody cares", "does that which", "a word on"},
		i18n.Russian: {"переговор", "кто-нибудь", "вмешивается"},
	} {
		p := i18n.New(lang, nil)
		for _, c := range everyCause() {
			for _, part := range parts {
				text := p.T("cause." + c + part)
				for _, word := range words {
					if strings.Contains(strings.ToLower(text), word) {
						t.Errorf("%s, %s%s says %q: %s", lang, c, part, word, text)
					}
				}
				if full := strings.HasSuffix(text, "."); full != (part != "") {
					t.Errorf("%s, %s%s ends wrongly: %s", lang, c, part, text)
				}
			}
		}
	}
}

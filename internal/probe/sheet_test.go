package probe_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// These flags create a sheet of the causes' texts, for reviewers who do not know them:
// what should an admin do next? The solutions are in a separate file, FILE.key.
//
//	go test ./internal/probe -run TestCausesSheet -sheet FILE [-some 20]
var (
	sheet = flag.String("sheet", "", "a file for the texts of the causes, in all languages, without their names")
	some  = flag.Int("some", 0, "so many causes, chosen and ordered at random; 0: all, in their order")
)

func TestCausesSheet(t *testing.T) {
	if *sheet == "" {
		t.Skip("-sheet FILE writes the texts of the causes")
	}
	text, key := causesSheet(causesOfToday(), *some)
	for name, content := range map[string]string{*sheet: text, *sheet + ".key": key} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSheetHasEveryCauseOnce checks that the sheet contains complete texts without their
// causes.
func TestSheetHasEveryCauseOnce(t *testing.T) {
	all := causesOfToday()
	text, key := causesSheet(all, 0)
	for _, lang := range i18n.Langs() {
		p := i18n.New(lang, nil)
		for _, c := range all {
			if advice := p.T("cause." + c + ".try"); !strings.Contains(text, advice) {
				t.Errorf("%s: the advice of %s is missing", lang, c)
			}
			if strings.Contains(text, c+"\n") || strings.Count(key, " "+c+"\n") != 1 {
				t.Errorf("%s is in the sheet, or not once in the key", c)
			}
		}
	}
	chosen, _ := causesSheet(all, 20)
	if n := strings.Count(chosen, "\n## "); n != 20 {
		t.Errorf("%d of 20 causes", n)
	}
	if most, _ := causesSheet(all, len(all)+5); strings.Count(most, "\n## ") != len(all) {
		t.Error("a sheet of more causes than there are does not have them all")
	}
}

// causesOfToday lists the causes that a probe may report.
func causesOfToday() []string {
	return slices.DeleteFunc(everyCause(), func(c string) bool { return slices.Contains(pptp.RetiredCauses(), c) })
}

// causesSheet returns the texts of all causes, or of n random ones, and a key
// that maps each number to its cause.
func causesSheet(all []string, n int) (text, key string) {
	all = slices.Clone(all)
	if n > 0 {
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:min(n, len(all))]
	}
	var b, k strings.Builder
	b.WriteString("# What should the admin do next, and where: on the server, on the way to it, or here?\n")
	for i, c := range all {
		fmt.Fprintf(&b, "\n## %d\n", i+1)
		for _, lang := range i18n.Langs() {
			p := i18n.New(lang, nil)
			fmt.Fprintf(&b, "\n- %s\n- %s\n- %s\n", p.T("cause."+c), p.T("cause."+c+".more"), p.T("cause."+c+".try"))
		}
		fmt.Fprintf(&k, "%d %s\n", i+1, c)
	}
	return b.String(), k.String()
}

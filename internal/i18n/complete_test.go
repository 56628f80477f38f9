package i18n

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// forms are the CLDR cardinal forms of whole numbers, and "other", which numbers with
// a fraction use.
var forms = map[Lang][]string{English: {"one", "other"}, Russian: {"few", "many", "one", "other"}}

func TestLanguagesAgree(t *testing.T) {
	all := catalogue()
	for _, l := range Langs() {
		if forms[l] == nil {
			t.Errorf("forms has no plural forms of %s, want those of CLDR", l)
		}
		for key := range all[English] {
			if _, ok := all[l][key]; !ok {
				t.Errorf("%s lacks %s", l, key)
			}
		}
		for key, m := range all[l] {
			en, ok := all[English][key]
			if !ok {
				t.Errorf("%s has %s, which en has not", l, key)
				continue
			}
			if len(m) > 1 {
				if got := slices.Sorted(maps.Keys(m)); !slices.Equal(got, forms[l]) {
					t.Errorf("%s: %s has the forms %v, want %v", l, key, got, forms[l])
				}
			}
			if got, want := allBlanks(m), allBlanks(en); got != want {
				t.Errorf("%s: %s has the blanks %q, en has %q", l, key, got, want)
			}
			for form, parts := range m {
				if got := textOf(parts); strings.TrimSpace(got) == "" || strings.Contains(got, "  ") {
					t.Errorf("%s: %s (%s) is %q", l, key, form, got)
				}
			}
		}
	}
}

// TestRussianIsRussian finds sentences that are still in English.
func TestRussianIsRussian(t *testing.T) {
	cyrillic := regexp.MustCompile(`\p{Cyrillic}`)
	letters := regexp.MustCompile(`[a-z]{4,}`)
	for key, m := range catalogue()[Russian] {
		for _, parts := range m {
			if s := textOf(parts); !cyrillic.MatchString(s) && letters.MatchString(s) && s == textOf(catalogue()[English][key]["other"]) && !international[key] {
				t.Errorf("%s is %q in both languages", key, s)
			}
		}
	}
}

// international are keys whose texts are equal in all languages.
var international = map[string]bool{"services.format.clash": true, "export.form.routeros": true, "export.form.networkmanager": true, "services.format.singbox": true}

var uses = []*regexp.Regexp{
	regexp.MustCompile(`\bT\(\s*"([^"]+)"`),
	regexp.MustCompile(`\bErrorf\(\s*[\w.]+,\s*"([^"]+)"`),
	regexp.MustCompile(`\.Add\(\s*(?:"\w+"|\w+),\s*"([a-z]\w*(?:\.\w+)+)"`),
	regexp.MustCompile(`\bbad\("([a-z]\w*(?:\.\w+)+)"`),
}

func TestEveryKeyInTheSourcesExists(t *testing.T) {
	used := 0
	walkSources(t, func(path, source string) {
		for _, re := range uses {
			for _, m := range re.FindAllStringSubmatch(source, -1) {
				key := m[1]
				if strings.HasSuffix(key, ".") { // a prefix; the whole keys are tested where they are listed
					continue
				}
				used++
				for _, l := range Langs() {
					if _, ok := catalogue()[l][key]; !ok {
						t.Errorf("%s: %s lacks %q", path, l, key)
					}
				}
			}
		}
	})
	if used == 0 {
		t.Error("no key was found: the patterns no longer match the sources")
	}
}

// families are the prefixes of keys that the sources build at run time.
var families = []string{
	"acts.history.", "acts.name.", "acts.result.", "acts.same.", "acts.skipped.", "acts.started.", "acts.state.", "acts.what.", "clients.ask.", "clients.period.", "clients.refused.", "clients.state.", "act.", "cause.", "channel.kind.", "channel.transport.", "chart.period.", "encryption.", "general.error.", "history.what.", "node.passed.", "import.choice.", "import.class.", "import.state.", "kind.", "result.", "search.compare.", "table.density.", "table.edit.", "copy.shape.", "export.column.", "export.form.", "import.undo.state.",
	"nodes.test.", "nodes.testall.", "services.format.", "probe.not_here.", "probe.through.", "step.note.through.", "call.result.", "disconnect.result.", "stop.reason.", "q931.", "run.state.", "settings.speed_", "speed.ask.", "speed.confidence.", "speed.kind.", "speed.mode.", "speed.url.", "service.state.", "start.result.", "state.", "status.", "step.", "time.", "unit.", "vpn.lack.", "vpn.state.", "profile.link.hours.",
}

// columnKeys returns the keys that the sources build from the name of a column.
func columnKeys() (keys []string) {
	for _, c := range connexa.Columns() {
		keys = append(keys, "node."+c.Name, "import.field."+c.Name)
		if connexa.FieldNamed(c.Name) != nil {
			keys = append(keys, "nodes.filter.no"+c.Name)
		}
	}
	keys = append(keys, "nodes.filter.noencryption")
	for _, field := range []string{"address", "port", "login", "password", "tags", "credentials", "location"} {
		keys = append(keys, "import.field."+field)
	}
	for _, f := range connexa.Fields() {
		keys = append(keys, "nodes.filter."+f.Name, "search.hint."+f.Name)
	}
	for _, name := range connexa.ListColumnNames() {
		keys = append(keys, "table.column."+name)
	}
	return keys
}

func TestNoKeyIsLeftOver(t *testing.T) {
	left := maps.Clone(catalogue()[English])
	for _, key := range columnKeys() {
		delete(left, key)
	}
	maps.DeleteFunc(left, func(key string, _ message) bool {
		return slices.ContainsFunc(families, func(f string) bool { return strings.HasPrefix(key, f) })
	})
	walkSources(t, func(_, source string) {
		maps.DeleteFunc(left, func(key string, _ message) bool { return strings.Contains(source, `"`+key+`"`) })
	})
	for key := range left {
		t.Errorf("nothing says %s any more", key)
	}
}

// TestComposedKeysExist checks the keys that the sources build from a prefix and
// a value.
func TestComposedKeysExist(t *testing.T) {
	for _, k := range slices.Concat(columnKeys(), composedKeys()) {
		for _, l := range Langs() {
			if _, ok := catalogue()[l][k]; !ok {
				t.Errorf("%s has no text for %s, want one", l, k)
			}
		}
	}
}

func composedKeys() (keys []string) {
	for _, r := range connexa.ClientRefusals() {
		keys = append(keys, r.Text().Key)
	}
	switches := slices.DeleteFunc(connexa.BulkKinds(), func(k connexa.BulkKind) bool { return !k.OnServices() })
	return slices.Concat(keys,
		joinKeys("status.", connexa.Statuses()),
		joinKeys("result.", connexa.Results()),
		joinKeys("clients.state.", []string{"active", string(connexa.ClientDisabled), string(connexa.ClientExpired), string(connexa.ClientOverQuota)}),
		joinKeys("clients.period.", []string{"once", string(connexa.QuotaDaily), string(connexa.QuotaWeekly), string(connexa.QuotaMonthly)}),
		joinKeys("clients.", []string{"delete", "reset", "password"}),
		joinKeys("clients.ask.", []string{"delete", "reset", "password"}, ".title", ".text"),
		joinKeys("step.", append(connexa.Steps(), connexa.NoStep)),
		joinKeys("step.", connexa.Steps(), ".means", ".fail", ".fail.more", ".fail.try"),
		joinKeys("kind.", []connexa.RunKind{connexa.RunPing, connexa.RunLogin, connexa.RunSpeed, connexa.RunPingSpeed}),
		joinKeys("speed.kind.", []connexa.EndpointKind{connexa.EndpointOwn, connexa.EndpointLibreSpeed, connexa.EndpointCloudflare, connexa.EndpointURLs}, "", ".more"),
		joinKeys("speed.confidence.", []connexa.Confidence{connexa.ConfidenceHigh, connexa.ConfidenceMedium, connexa.ConfidenceLow}),
		joinKeys("speed.mode.", []connexa.SpeedMode{connexa.SpeedQuick, connexa.SpeedFull}),
		joinKeys("speed.ask.", []connexa.RunKind{connexa.RunSpeed, connexa.RunPingSpeed}),
		joinKeys("service.state.", connexa.ServiceStates()),
		joinKeys("channel.kind.", connexa.NotificationSwitches()),
		joinKeys("channel.transport.", []string{connexa.TransportMail, connexa.TransportWebhook, connexa.TransportOther}),
		joinKeys("vpn.state.", connexa.VPNStates()),
		joinKeys("act.", connexa.Acts()),
		joinKeys("acts.what.", slices.DeleteFunc(connexa.BulkKinds(), func(k connexa.BulkKind) bool { return k == connexa.BulkSet })),
		joinKeys("acts.name.", connexa.BulkKinds()),
		joinKeys("acts.started.", switches), joinKeys("acts.same.", switches), joinKeys("acts.result.cancelled.", switches),
		joinKeys("acts.skipped.", []connexa.BulkKind{connexa.BulkStart, connexa.BulkStartVPN}), // a stop skips nothing
		joinKeys("acts.state.", []connexa.BulkState{connexa.BulkQueued, connexa.BulkRunning, connexa.BulkCancelled, connexa.BulkUndoing, connexa.BulkUndone}),
		[]string{"acts.history.reset", "acts.result.restore", "acts.result.purge"},
		joinKeys("vpn.lack.", []string{"openvpn", "old", "setpriv", "device", "breach", "account", "node", "raw"}), // of package openvpn
	)
}

// joinKeys returns prefix + value + suffix for every value and suffix. Without
// suffixes it returns prefix + value.
func joinKeys[V ~string](prefix string, values []V, suffixes ...string) (keys []string) {
	if len(suffixes) == 0 {
		suffixes = []string{""}
	}
	for _, v := range values {
		for _, s := range suffixes {
			keys = append(keys, prefix+string(v)+s)
		}
	}
	return keys
}

// TestCausesAreWhole checks that each cause has a sentence, an explanation and advice.
func TestCausesAreWhole(t *testing.T) {
	for key := range catalogue()[English] {
		name, ok := strings.CutPrefix(key, "cause.")
		if !ok || strings.HasSuffix(name, ".more") || strings.HasSuffix(name, ".try") {
			continue
		}
		if connexa.Cause(name).Step().Index() == 0 {
			t.Errorf("%s: no such step", key)
		}
		for _, more := range []string{".more", ".try"} {
			if _, ok := catalogue()[English][key+more]; !ok {
				t.Errorf("%s%s is missing", key, more)
			}
		}
	}
}

func walkSources(t *testing.T, see func(path, source string)) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root:
			return filepath.SkipDir
		case d.IsDir(), strings.HasSuffix(path, "_test.go"), strings.HasSuffix(path, "_templ.go"):
			return nil
		case !strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".templ"):
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		see(path, string(source))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func textOf(parts []part) string {
	var b strings.Builder
	for _, p := range parts {
		if p.arg >= 0 {
			b.WriteString("#")
		}
		b.WriteString(p.text)
	}
	return b.String()
}

func allBlanks(m message) string {
	var most string
	for _, parts := range m {
		if b := blanksOf(parts); len(b) > len(most) {
			most = b
		}
	}
	return most
}

// blanksOf returns the placeholders of a form, for the comparison of languages.
func blanksOf(parts []part) string {
	var seen [10]bool
	for _, p := range parts {
		if p.arg >= 0 {
			seen[p.arg] = true
		}
	}
	var b strings.Builder
	for i, ok := range seen {
		if ok {
			b.WriteString("{" + strconv.Itoa(i) + "}")
		}
	}
	return b.String()
}

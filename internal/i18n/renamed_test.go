package i18n

import (
	"strings"
	"testing"
	"time"
)

// Rows of the audit table and of the history that older versions wrote still have texts.
func TestStoredKeysStillHaveTexts(t *testing.T) {
	const stored = `audit.access audit.access.amount audit.access.nodes audit.access.on audit.access.unlimited
		audit.access.disabled audit.access.enabled audit.access.password audit.access.reset
		access.note access.may access.quota access.period access.expires access.sources access.anywhere access.never
		access.scope.all access.scope.tagged access.period.once access.period.day access.period.week access.period.month
		access.unit.mb access.unit.gb access.unit.tb
		rung.resolve rung.resolve.given rung.tcp rung.control rung.call rung.gre rung.encryption.none rung.ip rung.text rung.internet
		rung.through.control rung.through.lcp`
	for _, l := range Langs() {
		for key := range strings.FieldsSeq(stored) {
			if _, ok := catalogue()[l][currentKey(key)]; !ok {
				t.Errorf("%s: got no text for the stored key %s", l, key)
			}
			if got := New(l, time.UTC).T(key, "1", "2"); got == key {
				t.Errorf("%s: got the key %s, want its text", l, got)
			}
		}
	}
}

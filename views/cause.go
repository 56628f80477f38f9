package views

import (
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// CauseText returns a short sentence about a cause. If the catalogue has none, it
// names the step. It returns "" for the empty cause.
func CauseText(p *i18n.Printer, c connexa.Cause) string { return causeWords(p, c, "") }

// CauseMeaning explains a cause.
func CauseMeaning(p *i18n.Printer, c connexa.Cause) string { return causeWords(p, c, ".more") }

// CauseAdvice says what to try against a cause.
func CauseAdvice(p *i18n.Printer, c connexa.Cause) string { return causeWords(p, c, ".try") }

func causeWords(p *i18n.Printer, c connexa.Cause, part string) string {
	if c == "" {
		return ""
	}
	if key := "cause." + string(c) + part; p.Has(key) {
		return p.T(key)
	}
	if key := "step." + string(c.Step()) + ".fail" + part; p.Has(key) {
		return p.T(key)
	}
	return string(c)
}

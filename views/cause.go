package views

import (
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// CauseText is one short sentence about a cause. One that the catalogue does
// not know is told by its step; the empty cause says nothing.
func CauseText(p *i18n.Printer, c connexa.Cause) string { return causeWords(p, c, "") }

// CauseMeaning says what a cause means.
func CauseMeaning(p *i18n.Printer, c connexa.Cause) string { return causeWords(p, c, ".more") }

// CauseAdvice says what to try.
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

package connexa

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// isLine says whether s may be a name, a label or a comment: one line of text that
// reads as it is written. It has neither control characters nor others that break a
// line, turn the order of characters round, or are not text at all.
func isLine(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, breaksLine)
}

// breaksLine says whether a character is none of a line: controls (Cc), line and
// paragraph separators (Zl, Zp), the marks, embeddings and isolates of bidirectional
// text (UAX #9), and what is no character or a private one.
func breaksLine(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.Noncharacter_Code_Point, unicode.Cs)
}

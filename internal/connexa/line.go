package connexa

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// isLine reports whether s may be a name, a label or a comment: one line of valid text
// without control characters and without characters that break a line or reverse the
// order of characters.
func isLine(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, breaksLine)
}

// breaksLine reports whether a character is not allowed in a line: controls (Cc), line
// and paragraph separators (Zl, Zp), the marks, embeddings and isolates of
// bidirectional text (UAX #9), noncharacters and surrogates.
func breaksLine(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.Noncharacter_Code_Point, unicode.Cs)
}

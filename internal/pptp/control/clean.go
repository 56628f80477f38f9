package control

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxShown is the maximum length of a shown text, in runes.
const maxShown = 200

// Clean makes a peer's text safe to show: it is truncated to 200 runes, and everything
// without a visible glyph (control characters, invisible direction marks, invalid
// UTF-8) is escaped.
func Clean(s string) string {
	var b strings.Builder
	for n := 0; len(s) > 0; n++ {
		if n == maxShown {
			b.WriteRune('…')
			break
		}
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x`)
			b.WriteByte(hexDigits[s[0]>>4])
			b.WriteByte(hexDigits[s[0]&15])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
		s = s[size:]
	}
	return b.String()
}

const hexDigits = "0123456789abcdef"

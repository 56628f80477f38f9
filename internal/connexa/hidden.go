package connexa

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// isHidden reports whether r is invisible: white space other than the plain blank, a
// control character, a direction mark, a filler or another default-ignorable code
// point (DerivedCoreProperties, Default_Ignorable_Code_Point).
func isHidden(r rune) bool {
	switch {
	case r < 0x7f:
		return r < ' '
	case r == '\u2800': // the blank pattern of braille
		return true
	}
	return unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) ||
		r >= 0xe0000 && r <= 0xe0fff
}

// HasHidden reports whether s contains an invisible character or bytes that are not
// text.
func HasHidden(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f {
			_, _, found := findHidden(s)
			return found
		}
	}
	return false
}

// findHidden returns the first invisible character in s and its position in
// characters, counted from 1.
func findHidden(s string) (r rune, at int, found bool) {
	for i, r := range s {
		at++
		if isHidden(r) {
			return r, at, true
		}
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return r, at, true
			}
		}
	}
	return 0, 0, false
}

// TrimHidden removes invisible characters and blanks from both ends of s.
func TrimHidden(s string) string {
	for len(s) > 0 { // fast path for ASCII
		if c := s[0]; c > ' ' && c < 0x7f {
			break
		} else if c >= 0x7f {
			s = strings.TrimLeftFunc(s, blankOrHidden)
			break
		}
		s = s[1:]
	}
	for len(s) > 0 {
		if c := s[len(s)-1]; c > ' ' && c < 0x7f {
			break
		} else if c >= 0x7f {
			return strings.TrimRightFunc(s, blankOrHidden)
		}
		s = s[:len(s)-1]
	}
	return s
}

func blankOrHidden(r rune) bool { return r == ' ' || isHidden(r) }

// TrimSecret is TrimHidden for a password: plain blanks at its ends are kept, unless
// an invisible character is among them.
func TrimSecret(s string) string {
	inner := TrimHidden(s)
	if len(inner) == len(s) {
		return s
	}
	start := strings.Index(s, inner)
	before, after := s[:start], s[start+len(inner):]
	if strings.Trim(before, " ") == "" {
		inner = before + inner
	}
	if strings.Trim(after, " ") == "" {
		inner += after
	}
	return inner
}

// DropHidden removes the invisible characters from s; white space among them becomes a
// plain blank. It is for descriptive fields, not for the address, login and password.
func DropHidden(s string) string {
	if s = TrimHidden(s); !HasHidden(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case isHidden(r), r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
}

// HiddenText names the first invisible character in s. It is zero if there is none.
func HiddenText(s string) Text {
	if !HasHidden(s) {
		return Text{}
	}
	r, at, found := findHidden(s)
	switch {
	case !found:
		return Text{}
	case r == utf8.RuneError:
		return T("field.hidden.bytes", at)
	}
	return T("field.hidden", fmt.Sprintf("U+%04X", r), hiddenName(r), at)
}

func hiddenName(r rune) Text {
	switch {
	case r == '\t':
		return T("hidden.tab")
	case strings.ContainsRune("\n\r\v\f\u0085\u2028\u2029", r):
		return T("hidden.break")
	case r == '\u00a0' || r == '\u202f':
		return T("hidden.nobreak")
	case r == '\u200b':
		return T("hidden.zero_width_space")
	case r == '\u200c':
		return T("hidden.zero_width_non_joiner")
	case r == '\u200d':
		return T("hidden.zero_width_joiner")
	case r == '\u2060':
		return T("hidden.word_joiner")
	case r == '\ufeff':
		return T("hidden.byte_order_mark")
	case r == '\u00ad':
		return T("hidden.soft_hyphen")
	case unicode.Is(unicode.Bidi_Control, r):
		return T("hidden.direction")
	case unicode.Is(unicode.Variation_Selector, r):
		return T("hidden.variation_selector")
	case r >= 0xe0000 && r <= 0xe007f:
		return T("hidden.tag")
	case unicode.IsSpace(r):
		return T("hidden.space")
	case unicode.IsControl(r):
		return T("hidden.control")
	}
	return T("hidden.other")
}

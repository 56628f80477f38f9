package connexa

import "strings"

// EscapeCell makes a value safe for a cell of a CSV. Spreadsheets read a cell that
// begins with =, +, -, @, a tab or a line break as a formula, also after blanks or in
// full width, so an apostrophe is put before it. A value that begins with an
// apostrophe, or that is a placeholder, gets one too, so that UnescapeCell returns
// every value unchanged.
func EscapeCell(s string) string {
	if needsEscape(s) {
		return "'" + s
	}
	return s
}

// UnescapeCell is the inverse of EscapeCell. An apostrophe that EscapeCell would not
// have added is part of the value.
func UnescapeCell(s string) (value string, escaped bool) {
	if len(s) > 0 && s[0] == '\'' && needsEscape(s[1:]) {
		return s[1:], true
	}
	return s, false
}

// EscapeValue returns an optional value for JSON, where no program reads formulas: it is
// escaped like a cell only if the importer would take it for a placeholder, or for an
// escaped value. UnescapeCell is its inverse.
func EscapeValue(s string) string {
	if _, escaped := UnescapeCell(s); escaped || IsPlaceholder(s) {
		return "'" + s
	}
	return s
}

func needsEscape(s string) bool {
	if s == "" {
		return false
	}
	switch c := s[0]; {
	case strings.IndexByte("'=+-@\t\r\n", c) >= 0:
		return true
	case c > ' ' && c < 0x7f:
		return IsPlaceholder(s)
	}
	return startsFormula(TrimHidden(s)) || IsPlaceholder(s)
}

func startsFormula(s string) bool {
	for _, sign := range []string{"=", "+", "-", "@", "'", "＝", "＋", "－", "＠", "−", "﹢", "﹣", "﹦", "﹫"} {
		if strings.HasPrefix(s, sign) {
			return true
		}
	}
	return false
}

// IsPlaceholder reports whether s is text that lists write into an empty cell, such as
// "n/a".
func IsPlaceholder(s string) bool {
	s = TrimHidden(s)
	if s == "" || len(s) > 40 {
		return false
	}
	if c := s[0] | 0x20; c >= 'a' && c <= 'z' && strings.IndexByte("nuet", c) < 0 { // nearly every value
		return false
	}
	if strings.Trim(s, "-–—−_.?*/\\") == "" {
		return s != ""
	}
	return placeholders[strings.ToLower(strings.Trim(s, "()<>[]#!. "))]
}

var placeholders = func() map[string]bool {
	m := map[string]bool{}
	for s := range strings.SplitSeq("n/a;na;n\\a;null;nil;none;nan;undefined;unknown;not available;not applicable;not set;empty;tbd;"+
		"неизвестно;неизвестен;неизвестна;нет;нет данных;не указано;не указан;не указана;н/д;пусто", ";") {
		m[s] = true
	}
	return m
}()

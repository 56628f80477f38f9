package connexa

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// PartialTerm is what a user is typing into the text of a filter: the word or the value
// at the cursor, and what stands around it.
type PartialTerm struct {
	// Start and End are the columns of the word or the value, in characters from 0. A
	// completion replaces what is between them.
	Start, End int
	Typed      string // the part before the cursor, without quotation marks
	Not        bool
	Field      string // empty: a word
	Op         Op
	Values     []string // the other values of the term
	Rest       Filter   // the other terms, without those that cannot be read
}

// PartialTermAt returns what is being typed at the column at, in characters from 0. Unlike
// ReadFilter it accepts any text.
func PartialTermAt(text string, at int) PartialTerm {
	cursor := byteAt(text, at)
	column := func(offset int) int { return utf8.RuneCountInString(text[:offset]) }
	p := PartialTerm{Op: OpIs}
	start, end := cursor, cursor
	for _, span := range termSpans(text) {
		if span[0] <= cursor && cursor <= span[1] {
			start, end = span[0], span[1]
		} else if f, err := ReadFilter(text[span[0]:span[1]]); err == nil {
			p.Rest = p.Rest.And(f)
		}
	}
	term := text[start:end]
	if strings.HasPrefix(term, "-") && cursor > start {
		p.Not = true
		start, term = start+1, term[1:]
	}
	name := fieldEnd(term)
	if name == 0 || cursor < start+name+1 {
		p.Start, p.End, p.Typed = column(start), column(end), unquote(text[start:cursor])
		if name > 0 { // only the name is replaced
			p.End, p.Typed = column(start+name), text[start:cursor]
		}
		return p
	}
	p.Field = term[:name]
	rest := term[name:]
	for _, op := range []Op{OpMost, OpLeast, OpLess, OpMore, OpIs} {
		if strings.HasPrefix(rest, string(op)) {
			p.Op = op
			break
		}
	}
	from := start + name + len(p.Op)
	cursor = max(cursor, from)
	for _, span := range splitOutside(text[from:end], ',') {
		valueStart, valueEnd := from+span[0], from+span[1]
		if valueStart <= cursor && cursor <= valueEnd {
			p.Start, p.End, p.Typed = column(valueStart), column(valueEnd), unquote(text[valueStart:cursor])
		} else if value := unquote(text[valueStart:valueEnd]); value != "" {
			p.Values = append(p.Values, value)
		}
	}
	return p
}

// QuoteValue returns a value as the filter language writes it.
func QuoteValue(value string) string {
	_, text, _ := strings.Cut(Term{Field: "tag", Op: OpIs, Values: []string{value}}.String(), string(OpIs))
	return text
}

// byteAt returns the offset of a column in characters.
func byteAt(text string, column int) int {
	for i := range text {
		if column <= 0 {
			return i
		}
		column--
	}
	return len(text)
}

// termSpans returns the start and the end of each term, without checking it.
func termSpans(text string) [][2]int {
	return slices.DeleteFunc(splitOutside(text, ' '), func(span [2]int) bool { return span[0] == span[1] })
}

// splitOutside splits a text at a separator outside quotation marks; a blank stands for
// any white space.
func splitOutside(text string, separator rune) [][2]int {
	var spans [][2]int
	start, quoted, escaped := 0, false, false
	for i, r := range text {
		switch {
		case escaped:
			escaped = false
		case quoted && r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
		case !quoted && (r == separator || separator == ' ' && unicode.IsSpace(r)):
			spans = append(spans, [2]int{start, i})
			start = i + utf8.RuneLen(r)
		}
	}
	return append(spans, [2]int{start, len(text)})
}

// unquote removes the quotation marks of a value, which may be unfinished.
func unquote(text string) string {
	quoted, ok := strings.CutPrefix(text, `"`)
	if !ok {
		return text
	}
	var b strings.Builder
	escaped := false
	for _, r := range quoted {
		switch {
		case !escaped && r == '\\':
			escaped = true
			continue
		case !escaped && r == '"':
			return b.String()
		}
		escaped = false
		b.WriteRune(r)
	}
	return b.String()
}

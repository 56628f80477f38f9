package connexa

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ReadFilter reads a filter in the filter language: terms with spaces between them,
// all of which must match. An error names the column at which it is, counted in
// characters from 1.
//
//	word  "fixed words"   any text of the node contains them
//	country:DE,FR         the field is any of the values; - is an empty one
//	speed>20 latency<=80  comparisons of numbers, and of ages: checked<2d
//	-tag:old              nodes that do not match the term
func ReadFilter(s string) (Filter, error) {
	if len(s) > MaxFilter {
		return Filter{}, Errorf(Invalid, "filter.long", MaxFilter)
	}
	p := filterParser{text: s}
	var f Filter
	for p.skipSpace(); p.at < len(s); p.skipSpace() {
		start := p.at
		t, problem := p.readTerm()
		if problem.IsZero() && len(f.Terms) == MaxTerms {
			p.at, problem = start, T("filter.terms", MaxTerms)
		}
		if !problem.IsZero() {
			return Filter{}, Errorf(Invalid, "filter.at", utf8.RuneCountInString(s[:p.at])+1, problem)
		}
		f.Terms = append(f.Terms, t)
	}
	return f, nil
}

// filterParser reads the text of a filter. After a problem, at is where it is.
type filterParser struct {
	text string
	at   int
}

func (p *filterParser) skipSpace() {
	rest := strings.TrimLeftFunc(p.text[p.at:], unicode.IsSpace)
	p.at = len(p.text) - len(rest)
}

func (p *filterParser) take(prefix string) bool {
	if !strings.HasPrefix(p.text[p.at:], prefix) {
		return false
	}
	p.at += len(prefix)
	return true
}

func (p *filterParser) readTerm() (t Term, problem Text) {
	t.Op = OpIs
	t.Not = p.take("-")
	end := fieldEnd(p.text[p.at:])
	if end == 0 {
		word, problem := p.readValue(false)
		t.Values = []string{word}
		return t, problem
	}
	t.Field = p.text[p.at : p.at+end]
	field := FieldNamed(t.Field)
	if field == nil {
		return t, T("filter.field", t.Field)
	}
	p.at += end
	for _, op := range []Op{OpMost, OpLeast, OpLess, OpMore, OpIs} {
		if start := p.at; p.take(string(op)) {
			if t.Op = op; op != OpIs && !field.Ordered() {
				p.at = start
				return t, T("filter.unordered", t.Field)
			}
			break
		}
	}
	for {
		start := p.at
		value, problem := p.readValue(true)
		if !problem.IsZero() {
			return t, problem
		}
		if value, problem = field.check(t.Op, value); !problem.IsZero() {
			p.at = start
			return t, problem
		}
		if len(t.Values) == MaxChoices {
			p.at = start
			return t, T("filter.many", MaxChoices)
		}
		if !slices.Contains(t.Values, value) {
			t.Values = append(t.Values, value)
		}
		switch comma := p.at; {
		case !p.take(","):
			return t, Text{}
		case t.Op != OpIs:
			p.at = comma
			return t, T("filter.one", t.Field)
		}
	}
}

// readValue reads a value or a word, in quotes or up to the next space, and in a list
// up to the next comma.
func (p *filterParser) readValue(list bool) (string, Text) {
	start := p.at
	if !p.take(`"`) {
		end := strings.IndexFunc(p.text[start:], func(r rune) bool { return unicode.IsSpace(r) || list && r == ',' })
		if end < 0 {
			end = len(p.text) - start
		}
		value := p.text[start : start+end]
		switch quote := strings.IndexByte(value, '"'); {
		case end == 0:
			return "", T("filter.empty")
		case quote >= 0:
			p.at += quote
			return "", T("filter.quote")
		}
		p.at += end
		return value, Text{}
	}
	var b strings.Builder
	for p.at < len(p.text) {
		switch c := p.text[p.at]; c {
		case '"':
			p.at++
			if rest := p.text[p.at:]; rest != "" && !(list && rest[0] == ',') {
				if r, _ := utf8.DecodeRuneInString(rest); !unicode.IsSpace(r) {
					return "", T("filter.space")
				}
			}
			if b.Len() == 0 {
				p.at = start
				return "", T("filter.empty")
			}
			return b.String(), Text{}
		case '\\':
			if p.at++; p.at == len(p.text) {
				continue
			}
			fallthrough
		default:
			b.WriteByte(p.text[p.at])
			p.at++
		}
	}
	p.at = start
	return "", T("filter.unclosed")
}

package connexa

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Filter selects nodes: those that match every term. The zero Filter selects all
// nodes. The same filter lists, counts, tests, exports and changes nodes.
type Filter struct {
	Terms []Term
}

// Term is one condition of a Filter.
type Term struct {
	Not    bool   // nodes that do not match the rest of the term
	Field  string // Name of a Field; empty: any text of the node contains Values[0], ignoring case
	Op     Op
	Values []string // in the form of Field.Check; a node matches with any of them
}

// Op is the comparison of a Term. A node without a value matches none but OpIs with
// NoValue.
type Op string

// The comparisons.
const (
	OpIs    Op = ":"
	OpLess  Op = "<"
	OpMost  Op = "<="
	OpMore  Op = ">"
	OpLeast Op = ">="
)

// NoValue is the value of a filter and a facet for an empty column.
const NoValue = "-"

// Limits of a filter.
const (
	MaxFilter  = 4000 // bytes of its text
	MaxTerms   = 50
	MaxChoices = 300 // values of one term
)

// FilterText returns the filter that looks for the words of a text.
func FilterText(text string) Filter {
	var f Filter
	for _, word := range strings.Fields(text) {
		f.Terms = append(f.Terms, Term{Op: OpIs, Values: []string{word}})
	}
	return f
}

// FilterBy returns the filter of one term: field is any of values.
func FilterBy(field string, values ...string) Filter {
	return Filter{Terms: []Term{{Field: field, Op: OpIs, Values: values}}}
}

// IsZero reports whether f selects all nodes.
func (f Filter) IsZero() bool { return len(f.Terms) == 0 }

// And returns a filter that also requires the terms of g.
func (f Filter) And(g Filter) Filter { return Filter{slices.Concat(f.Terms, g.Terms)} }

// Choice returns the values of the first term "field:values", which is not negated.
func (f Filter) Choice(field string) []string {
	for _, t := range f.Terms {
		if t.Field == field && t.Op == OpIs && !t.Not {
			return t.Values
		}
	}
	return nil
}

// Without returns f without the terms of field.
func (f Filter) Without(field string) Filter {
	return Filter{slices.DeleteFunc(slices.Clone(f.Terms), func(t Term) bool { return t.Field == field })}
}

// WithChoice returns f with the values of the first term "field:values", which is not
// negated. Without values that term is left out; a missing one comes last.
func (f Filter) WithChoice(field string, values []string) Filter {
	terms := slices.Clone(f.Terms)
	i := slices.IndexFunc(terms, func(t Term) bool { return t.Field == field && t.Op == OpIs && !t.Not })
	switch {
	case i < 0 && len(values) == 0:
	case i < 0:
		terms = append(terms, FilterBy(field, values...).Terms...)
	case len(values) == 0:
		terms = slices.Delete(terms, i, i+1)
	default:
		terms[i].Values = slices.Clone(values)
	}
	return Filter{terms}
}

// Has reports whether f has a term that requires value, which is one of several or alone.
func (f Filter) Has(field, value string) bool { return slices.Contains(f.Choice(field), value) }

// String returns f in the filter language. ReadFilter is its inverse.
func (f Filter) String() string {
	var b strings.Builder
	for i, t := range f.Terms {
		if i > 0 {
			b.WriteByte(' ')
		}
		t.print(&b)
	}
	return b.String()
}

// String returns t in the filter language.
func (t Term) String() string { return Filter{[]Term{t}}.String() }

func (t Term) print(b *strings.Builder) {
	if t.Not {
		b.WriteByte('-')
	}
	b.WriteString(t.Field)
	if t.Field != "" {
		b.WriteString(string(t.Op))
	}
	for i, v := range t.Values {
		if i > 0 {
			b.WriteByte(',')
		}
		if needsQuotes(v, t.Field == "") {
			b.WriteByte('"')
			b.WriteString(quoteEscaper.Replace(v))
			b.WriteByte('"')
		} else {
			b.WriteString(v)
		}
	}
}

var quoteEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// needsQuotes reports whether a value would not be read back as it is. A word may
// not look like the start of another term.
func needsQuotes(v string, word bool) bool {
	if v == "" || strings.ContainsFunc(v, func(r rune) bool { return r == '"' || r == '\\' || unicode.IsSpace(r) }) {
		return true
	}
	if word {
		return v[0] == '-' || fieldEnd(v) > 0
	}
	return strings.Contains(v, ",")
}

// fieldEnd returns where a comparison follows a name at the start of s, or 0.
func fieldEnd(s string) int {
	end := strings.IndexFunc(s, func(r rune) bool { return r < 'a' || r > 'z' })
	if end <= 0 || !strings.ContainsRune(":<>", rune(s[end])) {
		return 0
	}
	return end
}

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

// Values returns f as the query of a URL. ParseFilter is its inverse.
func (f Filter) Values() url.Values {
	if f.IsZero() {
		return url.Values{}
	}
	return url.Values{"q": {f.String()}}
}

// ParseFilter reads a filter from a query: "q" in the filter language, and parameters
// with the names of fields, as forms and older URLs have them. A form has in "was" the
// filter that it showed: a field with the same values as there was not touched, and "q"
// says what it is; any other replaces the values in "q". An unknown value is an error:
// without it, a deletion could affect more nodes than were shown.
func ParseFilter(v url.Values) (Filter, error) {
	f, err := ReadFilter(v.Get("q"))
	if err != nil {
		return Filter{}, err
	}
	was, err := ReadFilter(v.Get("was"))
	if err != nil {
		was = Filter{}
	}
	for _, field := range fields {
		values, err := field.checkAll(v[field.Name])
		if err != nil {
			return Filter{}, err
		}
		switch {
		case v.Has("was") && field.Facet:
			if !sameTexts(values, was.Choice(field.Name)) {
				f = f.WithChoice(field.Name, values)
			}
		case len(values) > 0 && !sameTexts(values, f.Choice(field.Name)):
			f = f.And(FilterBy(field.Name, values...))
		}
	}
	for _, is := range []string{IsSuspect, IsFlapping} {
		if v.Get(is) == "1" {
			f = f.And(FilterBy("is", is))
		}
	}
	return f, nil
}

// checkAll returns the values of a parameter in the form of Field.Check, without empty
// and repeated ones.
func (f *Field) checkAll(texts []string) ([]string, error) {
	var values []string
	for _, value := range texts {
		if value == "" {
			continue
		}
		value, problem := f.check(OpIs, value)
		if !problem.IsZero() {
			return nil, &Error{Code: Invalid, Text: problem}
		}
		if !slices.Contains(values, value) {
			values = append(values, value)
		}
	}
	if len(values) > MaxChoices {
		return nil, Errorf(Invalid, "filter.many", MaxChoices)
	}
	return values, nil
}

func sameTexts(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// FilterProblem is what is wrong with the text of a filter.
type FilterProblem struct {
	Text Text
	At   int // column of the problem, in characters from 1; 0: the problem has no place in the text
}

// FilterProblemOf returns the problem of an error of ReadFilter or ParseFilter. ok is
// false for another error.
func FilterProblemOf(err error) (p FilterProblem, ok bool) {
	if CodeOf(err) != Invalid {
		return p, false
	}
	p.Text = TextOf(err)
	if p.Text.Key == "filter.at" && len(p.Text.Args) == 2 {
		at, isNumber := p.Text.Args[0].(int)
		text, isText := p.Text.Args[1].(Text)
		if isNumber && isText {
			return FilterProblem{text, at}, true
		}
	}
	return p, true
}

// Selection is the set of nodes of an action: a list, or all that match a filter.
type Selection struct {
	All    bool
	Filter Filter  // when All
	IDs    []int64 // when not
}

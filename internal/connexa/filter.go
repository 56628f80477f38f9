package connexa

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
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
	Values []string // in the form of Field.Check; a node matches with any of them, texts ignoring case
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
func (f Filter) Has(field, value string) bool { return ContainsValue(f.Choice(field), value) }

// FoldValue returns the form in which filters compare texts: the case of letters does
// not matter.
func FoldValue(s string) string { return strings.ToLower(s) }

// ContainsValue reports whether a filter for any of values finds value.
func ContainsValue(values []string, value string) bool {
	value = FoldValue(value)
	return slices.ContainsFunc(values, func(v string) bool { return FoldValue(v) == value })
}

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

// sameTexts reports whether two lists of values find the same.
func sameTexts(a, b []string) bool { return containsAll(a, b) && containsAll(b, a) }

func containsAll(values, some []string) bool {
	return !slices.ContainsFunc(some, func(v string) bool { return !ContainsValue(values, v) })
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

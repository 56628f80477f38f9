package views

import (
	"slices"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// maxCompletions is the number of completions that the search field offers at once.
const maxCompletions = 12

// Completions are what the search field of the node list offers at the cursor. Each
// replaces the text from Start to End, in characters.
type Completions struct {
	Start, End int
	List       []Completion
}

// Completion is one of Completions.
type Completion struct {
	Text   string // in the filter language
	Label  string // in the reader's language
	Count  int    // of nodes; negative: not known
	Unfull bool   // a value must follow
}

// CompleteFilter returns what can stand at the place of a term. The facets, and the
// values of fields without a facet, are those of the other terms.
func CompleteFilter(p *i18n.Printer, at connexa.PartialTerm, facets connexa.Facets, others []Completion) Completions {
	c := Completions{Start: at.Start, End: at.End}
	field := connexa.FieldNamed(at.Field)
	switch {
	case at.Field == "":
		c.List = completeWord(p, at.Typed, facets)
	case field == nil:
	case field.Kind == connexa.AgeField:
		c.List = completeAge(p, at)
	case field.Facet && at.Op == connexa.OpIs:
		for _, v := range facetValues(p, field.Name, facets) {
			c.addMatching(at, v)
		}
	case len(others) > 0:
		for _, v := range others {
			c.addMatching(at, v)
		}
	case at.Op == connexa.OpIs && at.Typed == "" && field.Name != "in":
		c.addMatching(at, Completion{Text: connexa.NoValue, Label: p.T("search.none"), Count: -1})
	}
	c.List = c.List[:min(len(c.List), maxCompletions)]
	return c
}

// addMatching adds a value that matches what is typed and is not chosen yet.
func (c *Completions) addMatching(at connexa.PartialTerm, v Completion) {
	if slices.Contains(at.Values, v.Text) || !v.matches(at.Typed) {
		return
	}
	v.Text = connexa.QuoteValue(v.Text)
	c.List = append(c.List, v)
}

func (c Completion) matches(typed string) bool {
	typed = strings.ToLower(typed)
	return strings.Contains(strings.ToLower(c.Text), typed) || strings.Contains(strings.ToLower(c.Label), typed)
}

// completeWord offers the fields, and after two letters also their values.
func completeWord(p *i18n.Printer, typed string, facets connexa.Facets) []Completion {
	typed = strings.ToLower(typed)
	var list []Completion
	for _, f := range connexa.Fields() {
		name := filterName(p, f.Name)
		if !strings.HasPrefix(f.Name, typed) && !strings.HasPrefix(strings.ToLower(name), typed) {
			continue
		}
		label := name + ": " + p.T("search.hint."+f.Name)
		switch {
		case f.Name == typed && f.Kind == connexa.NumberField:
			list = append(list, comparisons(p, f.Name, name)...)
		case f.Ordered():
			list = append(list, Completion{Text: f.Name + string(connexa.OpLess), Label: label, Count: -1, Unfull: true})
		default:
			list = append(list, Completion{Text: f.Name + string(connexa.OpIs), Label: label, Count: -1, Unfull: true})
		}
	}
	if len([]rune(typed)) < 2 {
		return list
	}
	for _, f := range connexa.Fields() {
		for _, v := range facetValues(p, f.Name, facets) {
			if v.Text != connexa.NoValue && (beginsWord(v.Text, typed) || beginsWord(v.Label, typed)) {
				v.Text = connexa.FilterBy(f.Name, v.Text).String()
				v.Label = p.T("nodes.filter.is", filterName(p, f.Name), v.Label)
				list = append(list, v)
			}
		}
	}
	return list
}

// beginsWord reports whether a word of text begins with typed, which is in lower case.
func beginsWord(text, typed string) bool {
	return strings.HasPrefix(strings.ToLower(text), typed) || strings.Contains(strings.ToLower(text), " "+typed)
}

// comparisons offers the operators of a number.
func comparisons(p *i18n.Printer, field, name string) []Completion {
	name = lowerFirst(name)
	var list []Completion
	for _, o := range []struct {
		op  connexa.Op
		key string
	}{{connexa.OpLess, "less"}, {connexa.OpMost, "most"}, {connexa.OpMore, "more"}, {connexa.OpLeast, "least"}, {connexa.OpIs, "is"}} {
		list = append(list, Completion{Text: field + string(o.op), Label: name + ": " + p.T("search.compare."+o.key, "…"), Count: -1, Unfull: true})
	}
	return append(list, Completion{Text: field + ":" + connexa.NoValue, Label: name + ": " + p.T("search.none"), Count: -1})
}

// completeAge offers ages after an operator, and "never" after a colon.
func completeAge(p *i18n.Printer, at connexa.PartialTerm) []Completion {
	c := Completions{}
	if at.Op == connexa.OpIs {
		c.addMatching(at, Completion{Text: connexa.NoValue, Label: p.T("search.never"), Count: -1})
		return c.List
	}
	key := "search.age.more"
	if at.Op == connexa.OpLess || at.Op == connexa.OpMost {
		key = "search.age.less"
	}
	for _, age := range []string{"15m", "1h", "1d", "7d", "30d"} {
		d, err := connexa.ParseAge(age)
		if err == nil && strings.HasPrefix(age, at.Typed) {
			c.List = append(c.List, Completion{Text: age, Label: p.T(key, p.Duration(d.Round(time.Minute))), Count: -1})
		}
	}
	return c.List
}

// facetValues returns the values of a field with their counts, the most frequent first.
func facetValues(p *i18n.Printer, field string, facets connexa.Facets) []Completion {
	var list []Completion
	add := func(value, label string, count int) {
		if count > 0 {
			list = append(list, Completion{Text: value, Label: label, Count: count})
		}
	}
	addAll := func(values []connexa.Facet) []Completion {
		for _, v := range values {
			add(v.Value, filterWord(p, field, v.Value), v.Count)
		}
		return list
	}
	switch field {
	case "status":
		for _, s := range reversed(connexa.Statuses()) {
			add(string(s), p.T("status."+string(s)), facets.Statuses[s])
		}
	case "step":
		for _, s := range append([]connexa.Step{connexa.NoStep}, connexa.Steps()...) {
			add(string(s), p.T("step."+string(s)), facets.Reached[s])
		}
	case "is":
		add(connexa.IsSuspect, p.T("status.suspect"), facets.Suspect)
		add(connexa.IsFlapping, p.T("nodes.flapping"), facets.Flapping)
	case "cause":
		return addAll(facets.Causes)
	case "tag":
		return addAll(facets.Tags)
	default:
		if c := connexa.ColumnNamed(field); c != nil && c.Facet != nil {
			return addAll(*c.Facet(&facets))
		}
	}
	return list
}

// textParts returns the text of the search field before the problem, the part with the
// problem and the rest. The part ends at the next blank.
func (f NodeFilters) textParts() (before, bad, after string) {
	text := []rune(f.searchText())
	at := f.Problem.At - 1
	if at < 0 || at > len(text) {
		return "", "", ""
	}
	end := at
	for end < len(text) && text[end] != ' ' {
		end++
	}
	return string(text[:at]), string(text[at:end]), string(text[end:])
}

// searchText returns the text of the search field: as typed if it cannot be read.
func (f NodeFilters) searchText() string {
	if !f.Problem.Text.IsZero() {
		return f.Text
	}
	return f.Filter.String()
}

package views

import (
	"context"
	"slices"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// NodeFilters are the filters of the node list.
type NodeFilters struct {
	Filter connexa.Filter
	Facets connexa.Facets // of the nodes that the filter selects
	Fleet  int            // number of all nodes

	Text    string                // of the search field, if there is a Problem
	Problem connexa.FilterProblem // with Text
}

// facetMenu is the menu of a filter: one field with its values.
type facetMenu struct {
	name  string // of the form field
	label string
	list  []facetOption
	on    int // number of chosen values
}

type facetOption struct {
	value string
	label string
	count int
	on    bool
}

// filterMenus returns the filters beside the search field, without those that have no
// values.
func (f NodeFilters) filterMenus(ctx context.Context) []facetMenu {
	p := i18n.From(ctx)
	same := func(s string) string { return s }
	all := []facetMenu{
		facetOptions("cause", p.T("nodes.filter.cause"), f.Facets.Causes, f.Filter.Choice("cause"), func(s string) string { return CauseText(p, connexa.Cause(s)) }, ""),
		f.stepOptions(p),
	}
	for _, c := range connexa.FacetColumns() {
		words := same
		if c.Name == "country" {
			words = p.Country
		}
		all = append(all, facetOptions(c.Name, p.T("nodes.filter."+c.Name), *c.Facet(&f.Facets), f.Filter.Choice(c.Name), words, emptyText(p, c.Name)))
	}
	all = append(all, facetOptions("tag", p.T("nodes.filter.tag"), f.Facets.Tags, f.Filter.Choice("tag"), same, ""))
	varied := func(m facetMenu) facetMenu { // without the menu of a value that all nodes have
		if len(m.list) == 1 && m.on == 0 {
			m.list = nil
		}
		return m
	}
	all = append(all,
		varied(facetOptions("service", p.T("nodes.filter.service"), f.Facets.Services, f.Filter.Choice("service"), func(s string) string { return p.T("service.state." + s) }, "")),
		varied(facetOptions("encryption", p.T("nodes.filter.encryption"), f.Facets.Policies, f.Filter.Choice("encryption"), func(s string) string { return p.T("encryption." + s) }, emptyText(p, "encryption"))),
	)
	return slices.DeleteFunc(all, func(m facetMenu) bool { return len(m.list) == 0 })
}

// emptyText is the label for nodes without a value in a column.
func emptyText(p *i18n.Printer, column string) string {
	key := "nodes.filter.no" + column
	return p.T(key)
}

// stepOptions offers all steps, including those that no node has ended on: the page
// stays open while probes run.
func (f NodeFilters) stepOptions(p *i18n.Printer) facetMenu {
	m := facetMenu{name: "step", label: p.T("nodes.filter.step"), on: len(f.Filter.Choice("step"))}
	for _, s := range append([]connexa.Step{connexa.NoStep}, connexa.Steps()...) {
		m.list = append(m.list, facetOption{value: string(s), label: p.T("step." + string(s)), count: f.Facets.Reached[s], on: f.Filter.Has("step", string(s))})
	}
	return m
}

func facetOptions(name, label string, list []connexa.Facet, chosen []string, words func(string) string, none string) facetMenu {
	m := facetMenu{name: name, label: label, on: len(chosen)}
	seen := map[string]bool{}
	add := func(value string, count int) {
		o := facetOption{value: value, label: none, count: count, on: connexa.ContainsValue(chosen, value)}
		if value != connexa.NoValue || none == "" {
			o.label = words(value)
		}
		seen[connexa.FoldValue(value)] = true
		m.list = append(m.list, o)
	}
	for _, f := range list {
		add(f.Value, f.Count)
	}
	for _, value := range chosen { // a chosen value that no node has any more must stay visible, so that it can be removed
		if !seen[connexa.FoldValue(value)] {
			add(value, 0)
		}
	}
	return m
}

// statusOptions returns the statuses that occur or are chosen.
func (f NodeFilters) statusOptions() []connexa.Status {
	return slices.DeleteFunc(reversed(connexa.Statuses()), func(s connexa.Status) bool {
		return f.Facets.Statuses[s] == 0 && !f.Filter.Has("status", string(s))
	})
}

// filterChip is one active filter with the URL of the list without it.
type filterChip struct {
	label string
	url   string
}

// activeFilters returns the terms of the filter that can be removed one by one, without
// the statuses, which have chips of their own.
func (l NodeList) activeFilters(p *i18n.Printer) []filterChip {
	var list []filterChip
	for i, t := range l.Query.Filter.Terms {
		switch {
		case !t.Not && (t.Field == "status" || t.Field == "is"):
			continue
		case t.Op != connexa.OpIs || t.Not:
			list = append(list, filterChip{t.String(), l.withoutValue(i, 0)})
			continue
		}
		for k, value := range t.Values {
			list = append(list, filterChip{p.T("nodes.filter.is", filterName(p, t.Field), filterWord(p, t.Field, value)), l.withoutValue(i, k)})
		}
	}
	return list
}

// withoutValue returns the URL of the list without a value of a term, or without the
// term if that is its last value.
func (l NodeList) withoutValue(term, value int) string {
	f := connexa.Filter{Terms: slices.Clone(l.Query.Filter.Terms)}
	t := &f.Terms[term]
	if len(t.Values) > 1 {
		t.Values = slices.Delete(slices.Clone(t.Values), value, value+1)
	} else {
		f.Terms = slices.Delete(f.Terms, term, term+1)
	}
	return l.url(connexa.ListQuery{Filter: f, Sort: l.Query.Sort})
}

// filterName names a field of a filter.
func filterName(p *i18n.Printer, field string) string {
	if field == "" {
		return p.T("nodes.filter.text")
	}
	return p.T("nodes.filter." + field)
}

func filterWord(p *i18n.Printer, name, value string) string {
	switch {
	case value == connexa.NoValue && (name == "encryption" || connexa.ColumnNamed(name) != nil):
		return emptyText(p, name)
	case value == connexa.NoValue:
		return p.T("search.none")
	case name == "country":
		return p.Country(value)
	case name == "cause":
		return CauseText(p, connexa.Cause(value))
	case name == "step":
		return p.T("step." + value)
	case name == "service":
		return p.T("service.state." + value)
	case name == "encryption":
		return p.T("encryption." + value)
	case name == "status":
		return p.T("status." + value)
	default:
		return value
	}
}

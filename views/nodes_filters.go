package views

import (
	"context"
	"net/url"
	"slices"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// NodeFilters are the filters of the node list, with counts over the whole fleet.
type NodeFilters struct {
	Filter connexa.Filter
	Facets connexa.Facets
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
	causes := make([]string, len(f.Filter.Causes))
	for i, c := range f.Filter.Causes {
		causes[i] = string(c)
	}
	all := []facetMenu{
		facetOptions("cause", p.T("nodes.filter.why"), f.Facets.Causes, causes, func(s string) string { return CauseText(p, connexa.Cause(s)) }, ""),
		f.stepOptions(p),
	}
	for _, c := range connexa.FilterColumns() {
		words := same
		if c.Name == "country" {
			words = p.Country
		}
		all = append(all, facetOptions(c.Name, p.T("nodes.filter."+c.Name), *c.Filter.Facet(&f.Facets), *c.Filter.Chosen(&f.Filter), words, emptyText(p, c.Name)))
	}
	all = append(all, facetOptions("tag", p.T("nodes.filter.tag"), f.Facets.Tags, f.Filter.Tags, same, ""))
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
	m := facetMenu{name: "step", label: p.T("nodes.filter.step"), on: len(f.Filter.Reached)}
	for _, s := range append([]connexa.Step{connexa.NoStep}, connexa.Steps()...) {
		m.list = append(m.list, facetOption{value: string(s), label: p.T("step." + string(s)), count: f.Facets.Reached[s], on: slices.Contains(f.Filter.Reached, s)})
	}
	return m
}

func facetOptions(name, label string, list []connexa.Facet, chosen []string, words func(string) string, none string) facetMenu {
	m := facetMenu{name: name, label: label, on: len(chosen)}
	seen := map[string]bool{}
	add := func(value string, count int) {
		o := facetOption{value: value, label: words(value), count: count, on: slices.Contains(chosen, value)}
		if value == "-" && none != "" {
			o.label = none
		}
		seen[value] = true
		m.list = append(m.list, o)
	}
	for _, f := range list {
		add(f.Value, f.Count)
	}
	for _, value := range chosen { // a chosen value that no node has any more must stay visible, so that it can be removed
		if !seen[value] {
			add(value, 0)
		}
	}
	return m
}

// statusOptions returns the statuses that occur or are chosen.
func (f NodeFilters) statusOptions() []connexa.Status {
	return slices.DeleteFunc(reversed(connexa.Statuses()), func(s connexa.Status) bool {
		return f.Facets.Statuses[s] == 0 && !slices.Contains(f.Filter.Statuses, s)
	})
}

// filterChip is one active filter with the URL of the list without it.
type filterChip struct {
	label string
	url   string
}

// activeFilters returns the active filters that can be removed one by one.
func (l NodeList) activeFilters(p *i18n.Printer) []filterChip {
	v := l.Query.Filter.Values()
	texts := map[string]string{"q": "nodes.filter.text", "cause": "nodes.filter.why", "tag": "nodes.filter.tag", "step": "nodes.filter.step"}
	names := []string{"q", "step", "cause"}
	for _, c := range connexa.FilterColumns() {
		texts[c.Name] = "nodes.filter." + c.Name
		names = append(names, c.Name)
	}
	var list []filterChip
	for _, name := range append(names, "tag") {
		for _, value := range v[name] {
			rest := url.Values{}
			for n, values := range v {
				for _, w := range values {
					if n != name || w != value {
						rest.Add(n, w)
					}
				}
			}
			f, err := connexa.ParseFilter(rest)
			if err != nil { // not expected: it is part of a valid filter
				continue
			}
			list = append(list, filterChip{p.T("nodes.filter.is", p.T(texts[name]), filterWord(p, name, value)), NodesURL(connexa.ListQuery{Filter: f, Sort: l.Query.Sort})})
		}
	}
	return list
}

func filterWord(p *i18n.Printer, name, value string) string {
	switch {
	case value == connexa.NoValue && connexa.ColumnNamed(name) != nil:
		return emptyText(p, name)
	case name == "country":
		return p.Country(value)
	case name == "cause":
		return CauseText(p, connexa.Cause(value))
	case name == "step":
		return p.T("step." + value)
	default:
		return value
	}
}

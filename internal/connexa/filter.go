package connexa

import (
	"net/url"
	"slices"
	"strings"
)

// Filter selects nodes. A node must match every field that is set, with any of the
// values of the field. The zero Filter selects all nodes. The same filter counts,
// lists, tests, exports and deletes.
type Filter struct {
	Text      string // anywhere in the address, the login, the columns and the tags, ignoring case
	Statuses  []Status
	Countries []string // codes; "-" is "no country"
	Providers []string // exactly as stored; "-" is "no provider"
	ASNs      []string // as stored; "-" is "no AS number"
	Tags      []string // any of them
	Reached   []Step   // the last step that the last probe completed
	Causes    []Cause  // of the last probe
	Suspect   bool     // only suspects
	Flapping  bool     // only nodes that flap
}

// NoValue is the value of a filter and a facet for an empty column.
const NoValue = "-"

// IsZero reports whether f selects all nodes.
func (f Filter) IsZero() bool {
	return f.Text == "" && !f.Suspect && !f.Flapping && len(f.Statuses)+len(f.Tags)+len(f.Reached)+len(f.Causes) == 0 &&
		!slices.ContainsFunc(filterColumns, func(c *Column) bool { return len(*c.Filter.Chosen(&f)) > 0 })
}

// Values returns f as the query of a URL. ParseFilter is its inverse.
func (f Filter) Values() url.Values {
	v := url.Values{}
	if f.Text != "" {
		v.Set("q", f.Text)
	}
	for _, s := range f.Statuses {
		v.Add("status", string(s))
	}
	for _, s := range f.Reached {
		v.Add("step", string(s))
	}
	for _, s := range f.Causes {
		v.Add("cause", string(s))
	}
	for _, c := range filterColumns {
		for _, s := range *c.Filter.Chosen(&f) {
			v.Add(c.Name, s)
		}
	}
	for _, s := range f.Tags {
		v.Add("tag", s)
	}
	if f.Suspect {
		v.Set("suspect", "1")
	}
	if f.Flapping {
		v.Set("flapping", "1")
	}
	return v
}

// MaxChoices is the maximum number of values of one field of a filter.
const MaxChoices = 300

// ParseFilter reads a filter from a query. An unknown value is an error: without it, a
// deletion could affect more nodes than were shown.
func ParseFilter(v url.Values) (Filter, error) {
	f := Filter{Text: strings.TrimSpace(v.Get("q")), Suspect: v.Get("suspect") == "1", Flapping: v.Get("flapping") == "1"}
	if len(f.Text) > 200 {
		return Filter{}, Errorf(Invalid, "filter.text.long")
	}
	names := []string{"status", "step", "cause", "tag"}
	for _, c := range filterColumns {
		names = append(names, c.Name)
	}
	for _, name := range names {
		if len(v[name]) > MaxChoices {
			return Filter{}, Errorf(Invalid, "filter.many", MaxChoices)
		}
	}
	for _, s := range filledFields(v["status"]) {
		if !Status(s).Known() {
			return Filter{}, Errorf(Invalid, "filter.status", s)
		}
		f.Statuses = append(f.Statuses, Status(s))
	}
	for _, s := range filledFields(v["step"]) {
		if Step(s).Index() == 0 && Step(s) != NoStep {
			return Filter{}, Errorf(Invalid, "filter.step", s)
		}
		f.Reached = append(f.Reached, Step(s))
	}
	for _, s := range filledFields(v["cause"]) {
		if Cause(s).Step().Index() == 0 {
			return Filter{}, Errorf(Invalid, "filter.cause", s)
		}
		f.Causes = append(f.Causes, Cause(s))
	}
	for _, c := range filterColumns {
		list := filledFields(v[c.Name])
		for _, s := range list {
			if c.Filter.Check == nil {
				break
			}
			if problem := c.Filter.Check(s); !problem.IsZero() {
				return Filter{}, &Error{Code: Invalid, Text: problem}
			}
		}
		*c.Filter.Chosen(&f) = list
	}
	f.Tags = filledFields(v["tag"])
	return f, nil
}

func filledFields(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "" })
}

// Selection is the set of nodes of an action: a list, or all that match a filter.
type Selection struct {
	All    bool
	Filter Filter  // when All
	IDs    []int64 // when not
}

// SortKey is a column that the node list can be ordered by.
type SortKey string

// The sort keys.
const (
	SortAddress SortKey = "address"
	SortLogin   SortKey = "login"
	SortPlace   SortKey = "place"
	SortStatus  SortKey = "status"
	SortStep    SortKey = "step"
	SortLatency SortKey = "latency"
	SortLoss    SortKey = "loss"
	SortSpeed   SortKey = "speed"
	SortChecked SortKey = "checked"
	SortAdded   SortKey = "added"
)

// SortKeys lists every sort key.
func SortKeys() []SortKey {
	return []SortKey{SortAddress, SortLogin, SortPlace, SortStatus, SortStep, SortLatency, SortLoss, SortSpeed, SortChecked, SortAdded}
}

// Sort is an order of the node list. Nodes without the value are last in both
// directions.
type Sort struct {
	Key  SortKey
	Desc bool
}

// ParseSort reads "latency" or "-latency". An unknown key means the order by address.
func ParseSort(s string) Sort {
	name, desc := strings.CutPrefix(s, "-")
	if !slices.Contains(SortKeys(), SortKey(name)) {
		return Sort{Key: SortAddress}
	}
	return Sort{SortKey(name), desc}
}

// String is the inverse of ParseSort.
func (s Sort) String() string {
	if s.Desc {
		return "-" + string(s.Key)
	}
	return string(s.Key)
}

// ListQuery asks for one page of the node list.
type ListQuery struct {
	Filter Filter
	Sort   Sort
	Size   int    // rows per page, 1 to 200
	Cursor string // from a NodePage; empty: the first page
}

// NodePage is one page of the node list.
type NodePage struct {
	Nodes []Node
	Total int    // nodes that match the filter
	From  int    // number of nodes before the first of Nodes
	Next  string // cursor of the page after this one; empty at the end
	Prev  string // cursor of the page before; empty at the start
}

// Facets are the values that the filters of the node list offer, with their counts
// among all nodes.
type Facets struct {
	Total     int
	Suspect   int
	Flapping  int
	Statuses  map[Status]int
	Countries []Facet // the most frequent first; "-" is none
	Providers []Facet
	ASNs      []Facet // empty while no node has one
	Tags      []Facet
	Causes    []Facet
	Reached   map[Step]int // by the last step of the last probe, without nodes that were never probed
	Old       bool         // data changed since they were counted
}

// Facet is one value with the number of nodes that have it.
type Facet struct {
	Value string
	Count int
}

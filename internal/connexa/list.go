package connexa

import (
	"slices"
	"strings"
)

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
// among the nodes of a filter. Each field is counted without its own terms.
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
	Services  []Facet      // by the state of the service; off is a stopped one or none
	Policies  []Facet      // of encryption; "-" is the panel's default
	Reached   map[Step]int // by the last step of the last probe, without nodes that were never probed
}

// Facet is one value with the number of nodes that have it.
type Facet struct {
	Value string
	Count int
}

package db

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// indexFilter is filterSQL for rows of the index.
func (d *DB) indexFilter(ctx context.Context, f connexa.Filter) (func(*indexRow) bool, error) {
	var all []func(*indexRow) bool
	if len(f.Statuses) > 0 {
		some := make([]bool, len(connexa.Statuses()))
		for _, s := range f.Statuses {
			if i := slices.Index(connexa.Statuses(), s); i >= 0 {
				some[i] = true
			}
		}
		all = append(all, func(r *indexRow) bool { return some[r.status] })
	}
	for i, c := range connexa.FilterColumns() {
		if chosen := *c.Filter.Chosen(&f); len(chosen) > 0 {
			some := emptyForNone(chosen)
			all = append(all, func(r *indexRow) bool { return slices.Contains(some, r.filters[i]) })
		}
	}
	if len(f.Causes) > 0 {
		some := jsonTexts(f.Causes)
		all = append(all, func(r *indexRow) bool { return slices.Contains(some, r.cause) })
	}
	if len(f.Reached) > 0 {
		var some []int64
		for _, s := range f.Reached {
			some = append(some, int64(s.Index()))
		}
		all = append(all, func(r *indexRow) bool { return r.reached != missing && slices.Contains(some, r.reached) })
	}
	if len(f.Tags) > 0 {
		var some []string
		for _, tag := range f.Tags {
			some = append(some, joinTags([]string{tag}))
		}
		all = append(all, func(r *indexRow) bool {
			return r.tags != "" && slices.ContainsFunc(some, func(tag string) bool { return strings.Contains(r.tags, tag) })
		})
	}
	if f.Suspect {
		all = append(all, func(r *indexRow) bool { return r.suspect })
	}
	if f.Flapping {
		ids, err := queryIDs(d.read.QueryContext(ctx, `SELECT node_id FROM flaps WHERE until > 0`))
		if err != nil {
			return nil, fmt.Errorf("read which nodes flap: %w", err)
		}
		some := make(map[int64]bool, len(ids))
		for _, id := range ids {
			some[id] = true
		}
		all = append(all, func(r *indexRow) bool { return some[r.id] })
	}
	if f.Text != "" { // last, because it is the most expensive
		text := strings.ToLower(f.Text)
		lines := strings.Contains(text, "\n") // would match the boundary of two fields
		all = append(all, func(r *indexRow) bool { return !lines && strings.Contains(r.search, text) })
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return func(r *indexRow) bool {
		for _, matches := range all {
			if !matches(r) {
				return false
			}
		}
		return true
	}, nil
}

// findRows returns at most that many matching rows: those nearest to at, in the order
// from there. mu is held.
func (s *nodeIndex) findRows(match func(*indexRow) bool, order connexa.Sort, at *position, most int) []indexRow {
	down := order.Desc
	var beyond *indexRow
	if at != nil {
		down = down != at.Back
		if len(at.Keys) > 0 {
			beyond = rowOfKeys(order, at.Keys)
		}
	}
	compare := compareRows(order)
	if down {
		up := compare
		compare = func(a, b *indexRow) int { return up(b, a) }
	}
	var (
		best = make([]*indexRow, 0, 4*most)
		last *indexRow // last of best, once there are enough
	)
	// In the direction of the order, so that rows with equal keys keep it.
	for i := range s.rows {
		r := &s.rows[i]
		if down {
			r = &s.rows[len(s.rows)-1-i]
		}
		if r.deleted || !match(r) || beyond != nil && compare(r, beyond) <= 0 || last != nil && compare(r, last) >= 0 {
			continue
		}
		if best = append(best, r); len(best) == cap(best) {
			slices.SortFunc(best, compare)
			best = best[:most]
			last = best[most-1]
		}
	}
	slices.SortFunc(best, compare)
	found := make([]indexRow, min(most, len(best)))
	for i := range found {
		found[i] = *best[i]
	}
	return found
}

// compareRows compares rows by the orderKeys, ascending.
func compareRows(s connexa.Sort) func(a, b *indexRow) int {
	if number := numberField(s); number != nil {
		return func(a, b *indexRow) int {
			if x, y := number(a), number(b); x != y {
				return cmp.Compare(x, y)
			}
			return cmp.Compare(a.id, b.id)
		}
	}
	switch s.Key {
	case connexa.SortLogin:
		return func(a, b *indexRow) int { return cmp.Or(strings.Compare(a.login, b.login), cmp.Compare(a.id, b.id)) }
	case connexa.SortPlace:
		return func(a, b *indexRow) int { return comparePositions(a, b, s.Desc) }
	default:
		return func(a, b *indexRow) int {
			return cmp.Or(strings.Compare(a.address, b.address), cmp.Compare(a.port, b.port), strings.Compare(a.login, b.login))
		}
	}
}

func comparePositions(a, b *indexRow, desc bool) int {
	if a.country != b.country {
		return strings.Compare(countryKey(a, desc), countryKey(b, desc))
	}
	if a.state != b.state {
		return strings.Compare(a.state, b.state)
	}
	if a.city != b.city {
		return strings.Compare(a.city, b.city)
	}
	return cmp.Compare(a.id, b.id)
}

// noCountry is the key of "no country" in ascending order, where it is last.
const noCountry = "~"

func countryKey(r *indexRow, desc bool) string {
	if r.country == "" && !desc {
		return noCountry
	}
	return r.country
}

// numberField returns the first of the orderKeys if it is a number, otherwise nil.
func numberField(s connexa.Sort) func(*indexRow) int64 {
	field := numericField(s.Key)
	if field == nil {
		return nil
	}
	last := int64(math.MaxInt64)
	if s.Desc {
		last = -1
	}
	return func(r *indexRow) int64 {
		if n := *field(r); n != missing {
			return n
		}
		return last
	}
}

func numericField(k connexa.SortKey) func(*indexRow) *int64 {
	switch k {
	case connexa.SortStatus:
		return func(r *indexRow) *int64 { return &r.status }
	case connexa.SortStep:
		return func(r *indexRow) *int64 { return &r.reached }
	case connexa.SortLatency:
		return func(r *indexRow) *int64 { return &r.latency }
	case connexa.SortLoss:
		return func(r *indexRow) *int64 { return &r.permille }
	case connexa.SortSpeed:
		return func(r *indexRow) *int64 { return &r.down }
	case connexa.SortChecked:
		return func(r *indexRow) *int64 { return &r.checkedAt }
	case connexa.SortAdded:
		return func(r *indexRow) *int64 { return &r.created }
	default: // texts
	}
	return nil
}

// sortKeys returns the row's orderKeys.
func (r *indexRow) sortKeys(s connexa.Sort) []any {
	if number := numberField(s); number != nil {
		return []any{number(r), r.id}
	}
	switch s.Key {
	case connexa.SortLogin:
		return []any{r.login, r.id}
	case connexa.SortPlace:
		return []any{countryKey(r, s.Desc), r.state, r.city, r.id}
	default:
		return []any{r.address, r.port, r.login}
	}
}

// rowOfKeys is the inverse of sortKeys for the values that decide the order.
func rowOfKeys(s connexa.Sort, keys []any) *indexRow {
	var r indexRow
	number := func(into *int64, key any) { *into, _ = key.(int64) }
	text := func(into *string, key any) { *into, _ = key.(string) }
	number(&r.id, keys[len(keys)-1])
	switch field := numericField(s.Key); {
	case field != nil:
		number(field(&r), keys[0])
	case s.Key == connexa.SortLogin:
		text(&r.login, keys[0])
	case s.Key == connexa.SortPlace:
		if text(&r.country, keys[0]); r.country == noCountry {
			r.country = ""
		}
		text(&r.state, keys[1])
		text(&r.city, keys[2])
	default:
		text(&r.address, keys[0])
		number(&r.port, keys[1])
		text(&r.login, keys[2])
	}
	return &r
}

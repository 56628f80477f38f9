package fleet

import (
	"math/bits"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Page is one page of a list.
type Page struct {
	IDs        []int64
	Total      int // nodes that match the filter
	From       int // number of nodes before the first one
	Next, Prev string
}

// Page returns one page. If its cursor is past an end, because nodes were deleted
// meanwhile, it returns the page at that end.
func (f *Fleet) Page(q connexa.ListQuery, sets Sets, now time.Time) (Page, error) {
	found, err := findSets(q.Filter, sets)
	if err != nil {
		return Page{}, err
	}
	at := parseCursor(q.Cursor, q.Sort)
	f.mu.RLock()
	defer f.mu.RUnlock()
	m := f.compile(q.Filter, found, now)
	s := f.findSpan(m, q, at)
	switch {
	case at == nil:
	case at.Back && len(s.rows) < q.Size:
		s = f.findSpan(m, q, nil)
	case !at.Back && len(s.rows) == 0:
		s = f.findSpan(m, q, &position{Back: true}) // the last page
	}
	page := Page{IDs: make([]int64, len(s.rows)), Total: s.total, From: s.from}
	for i := range s.rows {
		page.IDs[i] = s.rows[i].id
	}
	if n := len(s.rows); n > 0 {
		if s.from > 0 {
			page.Prev = f.cursorAt(s.rows[0], q.Sort, true)
		}
		if s.from+n < s.total {
			page.Next = f.cursorAt(s.rows[n-1], q.Sort, false)
		}
	}
	return page, nil
}

// span is the rows of a page.
type span struct {
	rows        []row
	from, total int
}

// findSpan finds the rows after at, or before it with Back. A position without a sort
// is beyond the end.
func (f *Fleet) findSpan(m matcher, q connexa.ListQuery, at *position) span {
	back := at != nil && at.Back
	o := f.orderBy(q.Sort, back)
	var beyond *row
	if at != nil && at.Sort != "" {
		beyond = f.rowOf(at, o)
	}
	s, passed := f.nearest(m, o, beyond, q.Size)
	if back {
		slices.Reverse(s.rows)
		s.from = s.total - passed - len(s.rows)
	} else {
		s.from = passed
	}
	return s
}

// nearest returns the first most rows after beyond in an order, and how many matching
// rows are not after it.
func (f *Fleet) nearest(m matcher, o *order, beyond *row, most int) (s span, passed int) {
	best := make([]row, 0, 4*most)
	worst := uint64(1<<64 - 1) // no key above it is among the best
	full := false
	down := o.sort.Desc != o.back // rows with equal keys are met in their order
	for i := range f.blocks {
		b := f.blocks[i]
		if down {
			b = f.blocks[len(f.blocks)-1-i]
		}
		matching := m.match(b, "")
		s.total += bits.OnesCount64(matching)
		for matching != 0 {
			slot := bits.TrailingZeros64(matching)
			if down {
				slot = 63 - bits.LeadingZeros64(matching)
			}
			matching &^= 1 << slot
			r := row{key: o.key(b, slot), id: b.ids[slot], block: b, slot: slot}
			if beyond != nil && r.key <= beyond.key && o.compare(&r, beyond) <= 0 {
				passed++
				continue
			}
			if r.key > worst || full && r.key == worst && o.compare(&r, &best[most-1]) >= 0 {
				continue
			}
			if best = append(best, r); len(best) == cap(best) {
				best = o.keepFirst(best, most)
				worst, full = best[most-1].key, true
			}
		}
	}
	s.rows = o.keepFirst(best, min(most, len(best)))
	return s, passed
}

func (o *order) keepFirst(rows []row, most int) []row {
	slices.SortFunc(rows, func(a, b row) int { return o.compare(&a, &b) })
	return rows[:most]
}

// Count returns the number of nodes that match a filter.
func (f *Fleet) Count(filter connexa.Filter, sets Sets, now time.Time) (int, error) {
	if filter.IsZero() {
		return f.Len(), nil
	}
	n := 0
	err := f.eachMatch(filter, sets, now, func(_ *block, matching uint64) { n += bits.OnesCount64(matching) })
	return n, err
}

// IDs returns the nodes that match a filter, in the order of their ids.
func (f *Fleet) IDs(filter connexa.Filter, sets Sets, now time.Time) ([]int64, error) {
	var ids []int64
	err := f.eachMatch(filter, sets, now, func(b *block, matching uint64) {
		for ; matching != 0; matching &= matching - 1 {
			ids = append(ids, b.ids[bits.TrailingZeros64(matching)])
		}
	})
	return ids, err
}

func (f *Fleet) eachMatch(filter connexa.Filter, sets Sets, now time.Time, yield func(b *block, matching uint64)) error {
	found, err := findSets(filter, sets)
	if err != nil {
		return err
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	m := f.compile(filter, found, now)
	for _, b := range f.blocks {
		yield(b, m.match(b, ""))
	}
	return nil
}

// Existing returns which of ids are nodes, in ascending order.
func (f *Fleet) Existing(ids []int64) []int64 {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	f.mu.RLock()
	defer f.mu.RUnlock()
	return slices.DeleteFunc(ids, func(id int64) bool {
		_, _, found := f.find(id)
		return !found
	})
}

// Ordered returns which of ids are nodes, in an order.
func (f *Fleet) Ordered(ids []int64, s connexa.Sort) []int64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	o := f.orderBy(s, false)
	rows := make([]row, 0, len(ids))
	for _, id := range ids {
		if at, slot, found := f.find(id); found {
			b := f.blocks[at]
			rows = append(rows, row{key: o.key(b, slot), id: id, block: b, slot: slot})
		}
	}
	rows = o.keepFirst(rows, len(rows))
	ordered := make([]int64, len(rows))
	for i := range rows {
		ordered[i] = rows[i].id
	}
	return slices.Compact(ordered)
}

// CountSpeeds counts the nodes of a filter by the highest of the ascending bounds, in
// bits per second, that their speed reaches. It returns nil if none has a speed.
func (f *Fleet) CountSpeeds(filter connexa.Filter, bounds []int64) (counts []int, err error) {
	err = f.eachMatch(filter, nil, time.Time{}, func(b *block, matching uint64) {
		for ; matching != 0; matching &= matching - 1 {
			down := b.down[bits.TrailingZeros64(matching)]
			if down == missing {
				continue
			}
			if counts == nil {
				counts = make([]int, len(bounds))
			}
			class := len(bounds) - 1
			for class > 0 && int64(down)*1000 < bounds[class] {
				class--
			}
			counts[class]++
		}
	})
	return counts, err
}

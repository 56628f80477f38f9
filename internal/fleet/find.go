package fleet

import (
	"math/bits"
	"runtime"
	"slices"
	"sync"
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
	matching := inParts(f, func(blocks []*block, _ int) []uint64 {
		sets := make([]uint64, len(blocks))
		for i, b := range blocks {
			sets[i] = m.match(b)
		}
		return sets
	})
	return f.page(slices.Concat(matching...), q, at), nil
}

// List is Page and Facets at one moment.
func (f *Fleet) List(q connexa.ListQuery, sets Sets, now time.Time) (Page, connexa.Facets, error) {
	found, err := findSets(q.Filter, sets)
	if err != nil {
		return Page{}, connexa.Facets{}, err
	}
	at := parseCursor(q.Cursor, q.Sort)
	f.mu.RLock()
	defer f.mu.RUnlock()
	matching := make([]uint64, len(f.blocks))
	facets := f.facets(q.Filter, found, now, matching)
	return f.page(matching, q, at), facets, nil
}

// page returns a page of the nodes that match, by block.
func (f *Fleet) page(matching []uint64, q connexa.ListQuery, at *position) Page {
	s := f.findSpan(matching, q, at)
	switch {
	case at == nil:
	case at.Back && len(s.rows) < q.Size:
		s = f.findSpan(matching, q, nil)
	case !at.Back && len(s.rows) == 0:
		s = f.findSpan(matching, q, &position{Back: true}) // the last page
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
	return page
}

// span is the rows of a page.
type span struct {
	rows        []row
	from, total int
}

// findSpan finds the rows after at, or before it with Back. A position without a sort
// is beyond the end.
func (f *Fleet) findSpan(matching []uint64, q connexa.ListQuery, at *position) span {
	back := at != nil && at.Back
	o := f.orderBy(q.Sort, back)
	var beyond *row
	if at != nil && at.Sort != "" {
		beyond = f.rowOf(at, o)
	}
	var s span
	passed := 0
	for _, part := range inParts(f, func(blocks []*block, before int) nearest {
		return o.findNearest(blocks, matching[before:], beyond, q.Size)
	}) {
		s.rows = append(s.rows, part.rows...)
		s.total += part.total
		passed += part.passed
	}
	s.rows = o.keepFirst(s.rows, min(q.Size, len(s.rows)))
	if back {
		slices.Reverse(s.rows)
		s.from = s.total - passed - len(s.rows)
	} else {
		s.from = passed
	}
	return s
}

// nearest is what findNearest found in some blocks.
type nearest struct {
	rows   []row
	total  int // nodes that match
	passed int // of these, those that are not after the place of the cursor
}

// findNearest returns the first most rows after beyond in an order, among the nodes that
// match, by block.
func (o *order) findNearest(blocks []*block, matching []uint64, beyond *row, most int) (n nearest) {
	best := make([]row, 0, 4*most)
	worst := ^uint64(0) // no key above it is among the best
	full := false
	var keys [blockSize]uint64
	for i := range blocks {
		if o.reversed() { // rows with equal keys are met in their order
			i = len(blocks) - 1 - i
		}
		b, among := blocks[i], matching[i]
		if among == 0 {
			continue
		}
		n.total += bits.OnesCount64(among)
		o.setKeys(b, among, &keys)
		if beyond != nil {
			before := among & o.upTo(b, among, &keys, *beyond)
			n.passed += bits.OnesCount64(before)
			among &^= before
		}
		bound := worst
		if full && o.compareTexts == nil && bound > 0 {
			bound-- // a later row with this key is behind those that were met
		}
		near := uint64(0)
		for slot, key := range &keys {
			near |= bitOf(key <= bound) << slot
		}
		for among &= near; among != 0; {
			slot := bits.TrailingZeros64(among)
			if o.reversed() {
				slot = 63 - bits.LeadingZeros64(among)
			}
			among &^= 1 << slot
			r := row{key: keys[slot], id: b.ids[slot], block: b, slot: slot}
			if r.key > worst || full && r.key == worst && o.compare(r, best[most-1]) >= 0 {
				continue
			}
			if best = append(best, r); len(best) == cap(best) {
				best = o.keepFirst(best, most)
				worst, full = best[most-1].key, true
			}
		}
	}
	n.rows = o.keepFirst(best, min(most, len(best)))
	return n
}

// upTo returns the nodes of a set that are not after a row.
func (o *order) upTo(b *block, among uint64, keys *[blockSize]uint64, beyond row) uint64 {
	before, equal := uint64(0), uint64(0)
	for slot, key := range keys {
		before |= bitOf(key < beyond.key) << slot
		equal |= bitOf(key == beyond.key) << slot
	}
	for equal &= among; equal != 0; equal &= equal - 1 {
		slot := bits.TrailingZeros64(equal)
		before |= bitOf(o.compare(row{key: beyond.key, id: b.ids[slot], block: b, slot: slot}, beyond) <= 0) << slot
	}
	return before
}

func (o *order) keepFirst(rows []row, most int) []row {
	slices.SortFunc(rows, o.compare)
	return rows[:most]
}

// Count returns the number of nodes that match a filter.
func (f *Fleet) Count(filter connexa.Filter, sets Sets, now time.Time) (total int, err error) {
	if filter.IsZero() {
		return f.Len(), nil
	}
	parts, err := matchParts(f, filter, sets, now, func(blocks []*block, m *matcher) (n int) {
		for _, b := range blocks {
			n += bits.OnesCount64(m.match(b))
		}
		return n
	})
	for _, n := range parts {
		total += n
	}
	return total, err
}

// IDs returns the nodes that match a filter, in the order of their ids.
func (f *Fleet) IDs(filter connexa.Filter, sets Sets, now time.Time) ([]int64, error) {
	parts, err := matchParts(f, filter, sets, now, func(blocks []*block, m *matcher) (ids []int64) {
		for _, b := range blocks {
			for matching := m.match(b); matching != 0; matching &= matching - 1 {
				ids = append(ids, b.ids[bits.TrailingZeros64(matching)])
			}
		}
		return ids
	})
	return slices.Concat(parts...), err
}

// matchParts calls fn with the matcher of a filter and parts of the blocks.
func matchParts[T any](f *Fleet, filter connexa.Filter, sets Sets, now time.Time, fn func([]*block, *matcher) T) ([]T, error) {
	found, err := findSets(filter, sets)
	if err != nil {
		return nil, err
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	m := f.compile(filter, found, now)
	return inParts(f, func(blocks []*block, _ int) T { return fn(blocks, &m) }), nil
}

// partBlocks is the minimum number of blocks for which a second goroutine is worth it.
const partBlocks = 128

// inParts calls fn with consecutive parts of the blocks, each with the number of blocks
// before it, at the same time and returns the results in their order.
func inParts[T any](f *Fleet, fn func(blocks []*block, before int) T) []T {
	n := max(1, min(runtime.GOMAXPROCS(0), len(f.blocks)/partBlocks))
	results := make([]T, n)
	var wg sync.WaitGroup
	for i := range n {
		start := i * len(f.blocks) / n
		part := f.blocks[start : (i+1)*len(f.blocks)/n]
		if i == n-1 {
			results[i] = fn(part, start)
		} else {
			wg.Go(func() { results[i] = fn(part, start) })
		}
	}
	wg.Wait()
	return results
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
			rows = append(rows, row{key: o.keyOf(o.valueOf(b, slot)), id: id, block: b, slot: slot})
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
	parts, err := matchParts(f, filter, nil, time.Time{}, func(blocks []*block, m *matcher) []int {
		counts := make([]int, len(bounds))
		for _, b := range blocks {
			for matching := m.match(b); matching != 0; matching &= matching - 1 {
				down := b.down[bits.TrailingZeros64(matching)]
				if down == missing {
					continue
				}
				class := len(bounds) - 1
				for class > 0 && int64(down)*1000 < bounds[class] {
					class--
				}
				counts[class]++
			}
		}
		return counts
	})
	for _, part := range parts {
		counts = addCounts(counts, part)
	}
	if !slices.ContainsFunc(counts, func(n int) bool { return n > 0 }) {
		return nil, err
	}
	return counts, err
}

// addCounts adds b to a, which is empty or as long.
func addCounts(a, b []int) []int {
	if len(a) == 0 {
		return b
	}
	for i, n := range b {
		a[i] += n
	}
	return a
}

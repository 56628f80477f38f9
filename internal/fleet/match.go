package fleet

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Sets finds the nodes of the sets that filters name, in the order of their ids. It is
// called before the fleet is locked.
type Sets func(connexa.NodeSet) ([]int64, error)

// match returns which nodes of a block match a term, among those of the set.
type match func(b *block, among uint64) uint64

// matcher is a compiled filter.
type matcher struct {
	terms []matchTerm
}

type matchTerm struct {
	field string
	match match
	slow  bool // runs after the others
}

// named are the nodes of the sets that a filter names.
type named map[string][]int64

func findSets(f connexa.Filter, sets Sets) (named, error) {
	found := named{}
	for _, t := range f.Terms {
		if t.Field != "in" {
			continue
		}
		for _, v := range t.Values {
			set, ok := connexa.ParseNodeSet(v)
			if !ok {
				continue // no node is in it
			}
			ids, err := sets(set)
			if err != nil {
				return nil, fmt.Errorf("find the nodes of %s: %w", v, err)
			}
			found[v] = ids
		}
	}
	return found, nil
}

// compile returns the matcher of a filter. mu is held until it is no longer used.
func (f *Fleet) compile(filter connexa.Filter, sets named, now time.Time) matcher {
	var m matcher
	for _, t := range filter.Terms {
		term := matchTerm{field: t.Field, match: f.compileTerm(t, sets, now), slow: t.Field == ""}
		if t.Not {
			positive := term.match
			term.match = func(b *block, among uint64) uint64 { return among &^ positive(b, among) }
		}
		m.terms = append(m.terms, term)
	}
	slices.SortStableFunc(m.terms, func(a, b matchTerm) int {
		switch {
		case a.slow == b.slow:
			return 0
		case a.slow:
			return 1
		}
		return -1
	})
	return m
}

// match returns the nodes of a block that match all terms but those of the field
// except.
func (m matcher) match(b *block, except string) uint64 {
	among := ^uint64(0) >> (blockSize - b.n)
	for _, t := range m.terms {
		if among == 0 {
			break
		}
		if except == "" || t.field != except {
			among &= t.match(b, among)
		}
	}
	return among
}

func (f *Fleet) compileTerm(t connexa.Term, sets named, now time.Time) match {
	if t.Field == "" {
		return f.matchWord(strings.ToLower(t.Values[0]))
	}
	if i := slices.Index(ChoiceNames[:], t.Field); i >= 0 {
		return f.matchChoice(i, t.Values)
	}
	switch t.Field {
	case "is":
		return matchFlags(t.Values)
	case "in":
		return matchSets(t.Values, sets)
	case "checked":
		return matchAge(t, now, func(b *block, slot int) uint32 { return b.checked[slot] })
	case "added":
		return matchAge(t, now, func(b *block, slot int) uint32 { return b.added[slot] })
	case "port":
		return matchNumber(t, 1, func(b *block, slot int) uint32 { return uint32(b.port[slot]) })
	case "speed":
		return matchNumber(t, 1000, func(b *block, slot int) uint32 { return b.down[slot] })
	case "latency":
		return matchNumber(t, 1000, func(b *block, slot int) uint32 { return b.latency[slot] })
	case "loss":
		return matchNumber(t, 10, func(b *block, slot int) uint32 { return b.lost[slot] })
	}
	panic("fleet: no match for the field " + t.Field) // TestFields
}

// matchSlots returns a match that asks for each node.
func matchSlots(matches func(b *block, slot int) bool) match {
	return func(b *block, among uint64) uint64 {
		out := uint64(0)
		for rest := among; rest != 0; rest &= rest - 1 {
			if slot := bits.TrailingZeros64(rest); matches(b, slot) {
				out |= 1 << slot
			}
		}
		return out
	}
}

func (f *Fleet) matchChoice(field int, values []string) match {
	wanted := f.dicts[field].wanted(func(text string) bool {
		if field == choiceTags {
			return slices.ContainsFunc(values, func(v string) bool {
				return v == connexa.NoValue && text == "" || strings.Contains(text, ","+v+",")
			})
		}
		if text == "" {
			return slices.Contains(values, connexa.NoValue)
		}
		return slices.Contains(values, text)
	})
	return func(b *block, among uint64) uint64 {
		out := uint64(0)
		for slot, code := range b.codes[field][:b.n] {
			if wanted[code] {
				out |= 1 << slot
			}
		}
		return out & among
	}
}

func (f *Fleet) matchWord(word string) match {
	if strings.Contains(word, "\n") { // would match the boundary of two texts
		return func(*block, uint64) uint64 { return 0 }
	}
	type choice struct {
		field  int
		wanted []bool
	}
	var choices []choice
	for _, field := range searched {
		d := &f.dicts[field]
		c := choice{field, make([]bool, len(d.lower))}
		some := false
		for code, text := range d.lower {
			c.wanted[code] = strings.Contains(text, word)
			if field == choiceTags {
				c.wanted[code] = slices.ContainsFunc(strings.Split(text, ","), func(tag string) bool { return tag != "" && strings.Contains(tag, word) })
			}
			some = some || c.wanted[code]
		}
		if some {
			choices = append(choices, c)
		}
	}
	pattern := []byte(word)
	return func(b *block, among uint64) uint64 {
		out := uint64(0)
		for _, c := range choices {
			for slot, code := range b.codes[c.field][:b.n] {
				if c.wanted[code] {
					out |= 1 << slot
				}
			}
		}
		for slot, start := 0, 0; slot < b.n; slot++ {
			if int(b.ends[slot]) <= start {
				continue
			}
			at := bytes.Index(b.text[start:], pattern)
			if at < 0 {
				break
			}
			for int(b.ends[slot]) <= start+at {
				slot++
			}
			out |= 1 << slot
			start = int(b.ends[slot])
		}
		return out & among
	}
}

func matchFlags(values []string) match {
	var flags uint8
	for _, v := range values {
		switch v {
		case connexa.IsSuspect:
			flags |= flagSuspect
		case connexa.IsFlapping:
			flags |= flagFlapping
		}
	}
	return matchSlots(func(b *block, slot int) bool { return b.flags[slot]&flags != 0 })
}

func matchSets(values []string, sets named) match {
	return func(b *block, among uint64) uint64 {
		out := uint64(0)
		for _, v := range values {
			ids := sets[v]
			at, _ := slices.BinarySearch(ids, b.ids[0])
			for slot := 0; slot < b.n && at < len(ids); {
				switch id := b.ids[slot]; {
				case id < ids[at]:
					slot++
				case id > ids[at]:
					at++
				default:
					out |= 1 << slot
					slot++
				}
			}
		}
		return out & among
	}
}

// matchNumber compares a number, which is stored in units of which the user's unit has
// scale.
func matchNumber(t connexa.Term, scale float64, number func(b *block, slot int) uint32) match {
	if t.Op == connexa.OpIs {
		var some []float64
		none := false
		for _, v := range t.Values {
			if v == connexa.NoValue {
				none = true
			} else if n, err := connexa.ParseNumber(v); err == nil {
				some = append(some, n)
			}
		}
		return matchSlots(func(b *block, slot int) bool {
			n := number(b, slot)
			if n == missing {
				return none
			}
			return slices.Contains(some, float64(n)/scale)
		})
	}
	bound, _ := connexa.ParseNumber(t.Values[0])
	compare := comparison(t.Op)
	return matchSlots(func(b *block, slot int) bool {
		n := number(b, slot)
		return n != missing && compare(float64(n)/scale, bound)
	})
}

func comparison(op connexa.Op) func(a, b float64) bool {
	switch op {
	case connexa.OpLess:
		return func(a, b float64) bool { return a < b }
	case connexa.OpMost:
		return func(a, b float64) bool { return a <= b }
	case connexa.OpMore:
		return func(a, b float64) bool { return a > b }
	default:
		return func(a, b float64) bool { return a >= b }
	}
}

// matchAge compares how long ago a time was.
func matchAge(t connexa.Term, now time.Time, at func(b *block, slot int) uint32) match {
	if t.Op == connexa.OpIs { // only NoValue
		return matchSlots(func(b *block, slot int) bool { return at(b, slot) == 0 })
	}
	age, _ := connexa.ParseAge(t.Values[0])
	compare := comparison(t.Op)
	return matchSlots(func(b *block, slot int) bool {
		s := at(b, slot)
		return s != 0 && compare(float64(now.Unix()-int64(s)), age.Seconds())
	})
}

package fleet

import (
	"bytes"
	"fmt"
	"math"
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

// matcher is a compiled filter. Words are slow, so they are matched after the terms.
type matcher struct {
	terms []matchTerm
	words []match
}

type matchTerm struct {
	field string
	match match
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
		term := matchTerm{field: t.Field, match: f.compileTerm(t, sets, now)}
		if t.Not {
			positive := term.match
			term.match = func(b *block, among uint64) uint64 { return among &^ positive(b, among) }
		}
		if t.Field == "" {
			m.words = append(m.words, term.match)
		} else {
			m.terms = append(m.terms, term)
		}
	}
	return m
}

// match returns the nodes of a block that match all terms.
func (m *matcher) match(b *block) uint64 {
	among := b.all()
	for i := range m.terms {
		if among == 0 {
			return 0
		}
		among &= m.terms[i].match(b, among)
	}
	return matchAll(m.words, b, among)
}

// matchAll returns which nodes of a set match all of the matches.
func matchAll(matches []match, b *block, among uint64) uint64 {
	for _, match := range matches {
		if among == 0 {
			return 0
		}
		among &= match(b, among)
	}
	return among
}

func (f *Fleet) compileTerm(t connexa.Term, sets named, now time.Time) match {
	if t.Field == "" {
		return f.matchWord(connexa.FoldValue(t.Values[0]))
	}
	if t.Field == ChoiceNames[choiceState] {
		return f.matchState(t.Values)
	}
	if i := slices.Index(ChoiceNames[:], t.Field); i >= 0 {
		return f.matchChoice(i, t.Values)
	}
	switch t.Field {
	case "is":
		return matchIs(t.Values)
	case "in":
		return matchSets(t.Values, sets)
	case "checked":
		return matchRanges(ageRanges(t, now), func(b *block) *[blockSize]uint32 { return &b.checked })
	case "added":
		return matchRanges(ageRanges(t, now), func(b *block) *[blockSize]uint32 { return &b.added })
	case "port":
		return matchRanges(numberRanges(t, 1), func(b *block) *[blockSize]uint32 { return &b.port })
	case "speed":
		return matchRanges(numberRanges(t, 1000), func(b *block) *[blockSize]uint32 { return &b.down })
	case "latency":
		return matchRanges(numberRanges(t, 1000), func(b *block) *[blockSize]uint32 { return &b.latency })
	case "loss":
		return matchRanges(numberRanges(t, 10), func(b *block) *[blockSize]uint32 { return &b.lost })
	}
	panic("fleet: no match for the field " + t.Field) // TestFields
}

// matchChoice matches without regard to case.
func (f *Fleet) matchChoice(field int, values []string) match {
	values = folded(values)
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
	return func(b *block, among uint64) uint64 { return b.having(field, wanted) & among }
}

// matchState is matchChoice for states. The name of a state of the United States also
// finds its code, where the country does not say that it is the code of another state.
func (f *Fleet) matchState(values []string) match {
	typed := f.matchChoice(choiceState, values)
	var codes []string
	for _, v := range values {
		if code := connexa.USStateCode(v); code != "" {
			codes = append(codes, code, "US-"+code)
		}
	}
	if codes == nil {
		return typed
	}
	coded, american := f.matchChoice(choiceState, codes), f.matchChoice(choiceCountry, []string{"US", connexa.NoValue})
	return func(b *block, among uint64) uint64 {
		return typed(b, among) | coded(b, american(b, among))
	}
}

// folded returns values in the form of dict.lower.
func folded(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = connexa.FoldValue(v)
	}
	return out
}

// bitOf is compiled without a branch, which random values would make slow.
func bitOf(is bool) (bit uint64) {
	if is {
		bit = 1
	}
	return bit
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
			out |= b.having(c.field, c.wanted)
		}
		for rest := among &^ out; rest != 0; {
			slot := bits.TrailingZeros64(rest)
			end := slot + bits.TrailingZeros64(^(rest >> slot)) // of consecutive nodes
			rest &= ^uint64(0) << end
			for at := int(b.start(slot)); slot < end; slot++ {
				found := bytes.Index(b.text[at:b.ends[end-1]], pattern)
				if found < 0 {
					break
				}
				for int(b.ends[slot]) <= at+found {
					slot++
				}
				out |= 1 << slot
				at = int(b.ends[slot])
			}
		}
		return out & among
	}
}

func matchIs(values []string) match {
	suspect, flapping := slices.Contains(values, connexa.IsSuspect), slices.Contains(values, connexa.IsFlapping)
	return func(b *block, among uint64) uint64 {
		out := uint64(0)
		if suspect {
			out |= b.suspect
		}
		if flapping {
			out |= b.flapping
		}
		return out & among
	}
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

// numbers are those from first to last.
type numbers struct{ first, last uint32 }

// matchRanges matches the nodes whose number in a column is in one of the ranges.
func matchRanges(ranges []numbers, column func(b *block) *[blockSize]uint32) match {
	return func(b *block, among uint64) uint64 {
		values, out := column(b), uint64(0)
		for _, r := range ranges {
			for slot, v := range values {
				out |= bitOf(v-r.first <= r.last-r.first) << slot
			}
		}
		return out & among
	}
}

// numberRanges returns the ranges of a term. The column is in units of which the user's
// unit has scale.
func numberRanges(t connexa.Term, scale float64) (ranges []numbers) {
	for _, v := range t.Values {
		if v == connexa.NoValue {
			ranges = append(ranges, numbers{missing, missing})
			continue
		}
		n, err := connexa.ParseNumber(v)
		if err != nil {
			continue // no node has it
		}
		ranges = append(ranges, compared(t.Op, n*scale)...)
	}
	return ranges
}

// compared returns the numbers that compare with bound as op says, without missing.
func compared(op connexa.Op, bound float64) []numbers {
	const most = missing - 1
	// Multiplication by the scale has rounded, as in 0.29*100.
	if whole := math.Round(bound); math.Abs(bound-whole) < 1e-6 {
		bound = whole
	}
	first, last := 0.0, float64(most)
	switch op {
	case connexa.OpLess:
		last = math.Ceil(bound) - 1
	case connexa.OpMost:
		last = math.Floor(bound)
	case connexa.OpMore:
		first = math.Floor(bound) + 1
	case connexa.OpLeast:
		first = math.Ceil(bound)
	default:
		if first, last = bound, bound; bound != math.Trunc(bound) {
			return nil
		}
	}
	if last < 0 || first > most || first > last {
		return nil
	}
	return []numbers{{uint32(first), uint32(min(last, most))}}
}

// ageRanges returns the times at which the age compares as a term says. Zero is no time.
func ageRanges(t connexa.Term, now time.Time) []numbers {
	if t.Op == connexa.OpIs { // only NoValue
		return []numbers{{0, 0}}
	}
	age, err := connexa.ParseAge(t.Values[0])
	if err != nil {
		return nil
	}
	later := map[connexa.Op]connexa.Op{
		connexa.OpLess: connexa.OpMore, connexa.OpMost: connexa.OpLeast, connexa.OpMore: connexa.OpLess, connexa.OpLeast: connexa.OpMost,
	}
	ranges := compared(later[t.Op], float64(now.Unix())-age.Seconds())
	for i := range ranges {
		ranges[i].first = max(ranges[i].first, 1)
	}
	return slices.DeleteFunc(ranges, func(r numbers) bool { return r.first > r.last })
}

package fleet

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// maxFacet is the maximum number of values of a facet. Other values can be found by
// words.
const maxFacet = 300

// faceted are the choices whose values pages offer.
var faceted = []int{choiceStatus, choiceStep, choiceCause, choiceCountry, choiceProvider, choiceASN, choiceTags, choiceService, choiceEncryption}

// Facets counts the values of the fields that have few among the nodes that match a
// filter. Each field is counted without its own terms, so that its counts say what
// another choice would find.
func (f *Fleet) Facets(filter connexa.Filter, sets Sets, now time.Time) (connexa.Facets, error) {
	found, err := findSets(filter, sets)
	if err != nil {
		return connexa.Facets{}, err
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.facets(filter, found, now, make([]uint64, len(f.blocks))), nil
}

// facets is Facets under the lock. It also sets the nodes that match, by block.
func (f *Fleet) facets(filter connexa.Filter, found named, now time.Time, matching []uint64) connexa.Facets {
	counts := &facetCounts{total: f.nodes, suspect: f.suspect, flapping: f.flapping}
	if filter.IsZero() {
		for i := range f.dicts {
			counts.choices[i] = f.dicts[i].counts
		}
		for i, b := range f.blocks {
			matching[i] = b.all()
		}
	} else {
		m := f.compile(filter, found, now)
		counts = &facetCounts{}
		for _, part := range inParts(f, func(blocks []*block, before int) *facetCounts {
			return f.countMatching(blocks, &m, matching[before:])
		}) {
			counts.add(part)
		}
	}
	out := connexa.Facets{Total: counts.total, Suspect: counts.suspect, Flapping: counts.flapping}
	texts := func(field int) map[string]int {
		values := make(map[string]int)
		for code, n := range counts.choices[field] {
			if n > 0 {
				values[f.dicts[field].texts[code]] = n
			}
		}
		return values
	}
	out.Statuses, out.Reached = make(map[connexa.Status]int), make(map[connexa.Step]int)
	for text, n := range texts(choiceStatus) {
		out.Statuses[connexa.Status(text)] = n
	}
	for text, n := range texts(choiceStep) {
		if text != "" {
			out.Reached[connexa.Step(text)] = n
		}
	}
	causes := texts(choiceCause)
	delete(causes, "")
	out.Causes = mostFrequent(causes)
	out.Countries, out.Providers = mostFrequent(texts(choiceCountry)), mostFrequent(texts(choiceProvider))
	out.Services, out.Policies = mostFrequent(texts(choiceService)), mostFrequent(texts(choiceEncryption))
	if asns := texts(choiceASN); len(asns) > 1 || asns[""] == 0 {
		out.ASNs = mostFrequent(asns)
	}
	tags := make(map[string]int)
	for text, n := range texts(choiceTags) {
		for tag := range strings.SplitSeq(strings.Trim(text, ","), ",") {
			if tag != "" {
				tags[tag] += n
			}
		}
	}
	out.Tags = mostFrequent(tags)
	return out
}

// Values counts the values of a choice among the nodes that match a filter, the most
// frequent first. Other fields have none.
func (f *Fleet) Values(field string, filter connexa.Filter, sets Sets, now time.Time) ([]connexa.Facet, error) {
	choice := slices.Index(ChoiceNames[:], field)
	if choice < 0 {
		return nil, nil
	}
	found, err := findSets(filter, sets)
	if err != nil {
		return nil, err
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	m := f.compile(filter, found, now)
	texts := f.dicts[choice].texts
	var counts []int
	for _, part := range inParts(f, func(blocks []*block, _ int) []int {
		c := make([]int, len(texts))
		for _, b := range blocks {
			b.addCounts(choice, c, m.match(b))
		}
		return c
	}) {
		counts = addCounts(counts, part)
	}
	values := make(map[string]int)
	for code, n := range counts {
		if n > 0 {
			values[texts[code]] = n
		}
	}
	return byCount(values), nil
}

// facetCounts are numbers of nodes.
type facetCounts struct {
	total, suspect, flapping int
	choices                  [choiceFields][]int // by code
}

func (c *facetCounts) add(d *facetCounts) {
	c.total, c.suspect, c.flapping = c.total+d.total, c.suspect+d.suspect, c.flapping+d.flapping
	for i := range c.choices {
		c.choices[i] = addCounts(c.choices[i], d.choices[i])
	}
}

// countMatching counts the nodes of some blocks that match a filter, and those of each
// field that match the terms of the other fields. It sets those that match all terms, by
// block.
func (f *Fleet) countMatching(blocks []*block, m *matcher, matching []uint64) *facetCounts {
	c := &facetCounts{}
	ownAt := make(map[string]int) // by field with a facet, its index in own, or -1
	for _, field := range faceted {
		c.choices[field] = make([]int, len(f.dicts[field].texts))
		ownAt[ChoiceNames[field]] = -1
	}
	ownAt["is"] = -1
	var shared []match // of the fields without a facet
	var own [][]match  // of each field with one
	for _, t := range m.terms {
		at, ok := ownAt[t.field]
		switch {
		case !ok:
			shared = append(shared, t.match)
		case at < 0:
			ownAt[t.field] = len(own)
			own = append(own, []match{t.match})
		default:
			own[at] = append(own[at], t.match)
		}
	}
	isAt := ownAt["is"]
	var choiceAt [choiceFields]int
	for _, field := range faceted {
		choiceAt[field] = ownAt[ChoiceNames[field]]
	}

	passing := make([]uint64, len(own)) // the terms of the field
	among := make([]uint64, len(own))   // without them
	for at, b := range blocks {
		all := matchAll(shared, b, b.all())
		if all == 0 {
			continue
		}
		for i := range own {
			passing[i], among[i] = matchAll(own[i], b, all), all
		}
		some := uint64(0)
		for i := range own {
			for j := range own {
				if i != j {
					among[i] &= passing[j]
				}
			}
			some |= among[i]
		}
		for i := range own {
			all &= passing[i]
		}
		words := matchAll(m.words, b, some|all)
		all &= words
		matching[at] = all
		amongOf := func(i int) uint64 { // without the terms of own[i], if i is not -1
			if i < 0 {
				return all
			}
			return among[i] & words
		}
		c.total += bits.OnesCount64(all)
		for _, field := range faceted {
			b.addCounts(field, c.choices[field], amongOf(choiceAt[field]))
		}
		c.suspect += bits.OnesCount64(amongOf(isAt) & b.suspect)
		c.flapping += bits.OnesCount64(amongOf(isAt) & b.flapping)
	}
	return c
}

func mostFrequent(values map[string]int) []connexa.Facet {
	facets := byCount(values)
	return facets[:min(len(facets), maxFacet)]
}

func byCount(values map[string]int) []connexa.Facet {
	facets := make([]connexa.Facet, 0, len(values))
	for value, n := range values {
		facets = append(facets, connexa.Facet{Value: cmp.Or(value, connexa.NoValue), Count: n})
	}
	slices.SortFunc(facets, func(a, b connexa.Facet) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	return facets
}

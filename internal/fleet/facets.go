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
var faceted = []int{choiceStatus, choiceStep, choiceCause, choiceCountry, choiceProvider, choiceASN, choiceTags}

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
	out := connexa.Facets{Total: f.nodes, Suspect: f.suspect, Flapping: f.flapping}
	counts := f.countAll()
	if !filter.IsZero() {
		out.Total, out.Suspect, out.Flapping = 0, 0, 0
		counts = f.countMatching(f.compile(filter, found, now), &out)
	}
	texts := func(field int) map[string]int {
		values := make(map[string]int)
		for code, n := range counts[field] {
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
	return out, nil
}

// fieldCounts are numbers of nodes by choice and code.
type fieldCounts [choiceFields][]int

func (f *Fleet) countAll() (counts fieldCounts) {
	for i := range f.dicts {
		counts[i] = f.dicts[i].counts
	}
	return counts
}

func (f *Fleet) countMatching(m matcher, out *connexa.Facets) (counts fieldCounts) {
	own := make(map[int]bool) // choices that have terms of their own
	for _, field := range faceted {
		counts[field] = make([]int, len(f.dicts[field].texts))
		own[field] = slices.ContainsFunc(m.terms, func(t matchTerm) bool { return t.field == ChoiceNames[field] })
	}
	for _, b := range f.blocks {
		matching := m.match(b, "")
		out.Total += bits.OnesCount64(matching)
		for _, field := range faceted {
			among := matching
			if own[field] {
				among = m.match(b, ChoiceNames[field])
			}
			for ; among != 0; among &= among - 1 {
				counts[field][b.codes[field][bits.TrailingZeros64(among)]]++
			}
		}
		for ; matching != 0; matching &= matching - 1 {
			flags := b.flags[bits.TrailingZeros64(matching)]
			out.Suspect += int(flags & flagSuspect)
			out.Flapping += int(flags & flagFlapping / flagFlapping)
		}
	}
	return counts
}

func mostFrequent(values map[string]int) []connexa.Facet {
	facets := make([]connexa.Facet, 0, len(values))
	for value, n := range values {
		facets = append(facets, connexa.Facet{Value: cmp.Or(value, connexa.NoValue), Count: n})
	}
	slices.SortFunc(facets, func(a, b connexa.Facet) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	return facets[:min(len(facets), maxFacet)]
}

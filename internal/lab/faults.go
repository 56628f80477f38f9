package lab

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/pptp/control"
)

// DefaultFaults is a mix in which most servers work and every kind of trouble
// is met at least once among 100.
const DefaultFaults = "good=78,slow=4,lossy=3,refuse=3,silent=2,garbage=1,half=1,ssh=2,denied=4,reset=1,drip=1"

// Share is one behaviour's share of a fleet.
type Share struct {
	Behaviour Behaviour
	Weight    int
}

// Faults says how a fleet behaves. Without shares, every server is good.
type Faults []Share

// ParseFaults reads shares as in "good=80,slow=3,denied:4=1". Only the ratio of
// the weights counts.
func ParseFaults(spec string) (Faults, error) {
	var f Faults
	total := 0
	for item := range strings.SplitSeq(spec, ",") {
		item = strings.TrimSpace(item)
		name, weight, ok := strings.Cut(item, "=")
		if !ok {
			return nil, fmt.Errorf("faults: %q is not of the form behaviour=weight, as in silent=2", item)
		}
		b, err := ParseBehaviour(strings.TrimSpace(name))
		if err != nil {
			return nil, fmt.Errorf("faults: %w", err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(weight))
		if err != nil || n < 0 || n > 1_000_000 {
			return nil, fmt.Errorf("faults: the weight of %s is %q, want a number from 0 to 1000000", b, weight)
		}
		if slices.ContainsFunc(f, func(s Share) bool { return s.Behaviour == b }) {
			return nil, fmt.Errorf("faults: %s is there twice", b)
		}
		f = append(f, Share{b, n})
		total += n
	}
	if total == 0 {
		return nil, fmt.Errorf("faults: all weights are 0")
	}
	return f, nil
}

// String is the spec that ParseFaults reads.
func (f Faults) String() string {
	items := make([]string, len(f))
	for i, s := range f {
		items[i] = fmt.Sprintf("%s=%d", s.Behaviour, s.Weight)
	}
	return strings.Join(items, ",")
}

// deal gives each of n servers its behaviour. The shares are exact, to the
// nearest server; the order is rnd's.
func (f Faults) deal(n int, rnd *rand.Rand) []Behaviour {
	if len(f) == 0 {
		f = Faults{{Behaviour{Kind: Good}, 1}}
	}
	total := 0
	for _, s := range f {
		total += s.Weight
	}
	// Largest remainder: everyone gets the whole part of what is due, and those
	// who lost most by that share what is left.
	counts, left := make([]int, len(f)), n
	order := make([]int, len(f))
	for i, s := range f {
		counts[i] = n * s.Weight / total
		left -= counts[i]
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(n*f[b].Weight%total, n*f[a].Weight%total)
	})
	for _, i := range order[:left] {
		counts[i]++
	}
	dealt := make([]Behaviour, 0, n)
	for i, s := range f {
		for j := range counts[i] {
			b := s.Behaviour
			if b.Kind == Denied && b.Result == 0 {
				b.Result = control.StartGeneralError + control.StartResult(j%4)
			}
			dealt = append(dealt, b)
		}
	}
	rnd.Shuffle(n, func(i, j int) { dealt[i], dealt[j] = dealt[j], dealt[i] })
	return dealt
}

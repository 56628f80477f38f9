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

// DefaultFaults is a mix in which most servers work and every kind of fault
// occurs at least once among 200 servers: first the faults that a ping finds, then those
// of a login, last those of traffic. The rest are good servers of several kinds.
const DefaultFaults = "slow=8,lossy=6,refuse=6,silent=4,garbage=2,half=2,ssh=4,denied=8,reset=2,reset:unread=1,drip=2," +
	"call:busy=1,call:dropped=1,gre:silent=2,gre:silent+echo:none=1,gre:deaf=1,gre:stray=1,terminate:Too_many_users=1," +
	"lcp:callback=1,auth:eap=1,auth:pap=1,login-refused:691=4,login-refused:647=1,login-refused:648=1,login-refused:649=1,impostor=1,mppe:40+no-address=1,ends-at:after-login:terminate:Sorry_maintenance_until_18:00=1," +
	"mppe:none+mppe-required=1,data:rejected=1," +
	"wrong-keys=1,no-internet=2,no-dns=1,blackhole=1,endpoint:429=2,endpoint:503=1," +
	"auth:mschapv1=3,auth:chap-md5=2,mppe:40=2,mppe:56=1,mppe:128-stateful=3,mppe:none=3,mppe-required=4,mppe:any=4," +
	"loss:1=2,latency:40ms=4,rate:20M/5M=4,good=92"

// Share is one behaviour's share of a fleet.
type Share struct {
	Behaviour Behaviour
	Weight    int
}

// Faults are the behaviours of a fleet. Without shares, every server is good.
type Faults []Share

// ParseFaults parses shares as in "good=80,slow=3,denied:4=1". Only the ratio of
// the weights matters.
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

// assignTo returns a behaviour for each of n servers. The shares are exact to the
// nearest server; rnd chooses the order.
func (f Faults) assignTo(n int, rnd *rand.Rand) []Behaviour {
	if len(f) == 0 {
		f = Faults{{Behaviour{Kind: Good}, 1}}
	}
	total := 0
	for _, s := range f {
		total += s.Weight
	}
	// Largest remainder method: each behaviour gets the whole part of its share, and those
	// with the largest fractions get the rest.
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

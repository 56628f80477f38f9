package speed

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestTrimmedMean(t *testing.T) {
	for name, tt := range map[string]struct {
		samples []float64
		want    float64
	}{
		"nothing":                    {nil, 0},
		"one":                        {[]float64{7}, 7},
		"two":                        {[]float64{6, 8}, 7},
		"too few to leave one out":   {[]float64{1, 2, 3, 10}, 4},
		"five":                       {[]float64{100, 3, 0, 4, 5}, 4},
		"ten, the ends do not count": {[]float64{0, 2, 2, 2, 2, 4, 4, 4, 4, 1000}, 3},
		"thirty-two":                 {slices.Concat(slices.Repeat([]float64{9}, 26), []float64{0, 0, 0, 99, 99, 99}), 9},
		"the order does not matter":  {[]float64{1000, 4, 2, 4, 2, 4, 2, 4, 2, 0}, 3},
	} {
		if got := trimmedMean(tt.samples); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	in := []float64{3, 1, 2}
	trimmedMean(in)
	if !slices.Equal(in, []float64{3, 1, 2}) {
		t.Error("the samples were changed")
	}
}

func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		samples []float64
		want    float64
	}{{nil, 0}, {[]float64{5}, 0}, {[]float64{5, 5, 5}, 0}, {[]float64{0, 10}, 1}, {[]float64{8, 12}, .2}, {[]float64{0, 0}, 0}} {
		if got := relativeSpread(tt.samples); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%v: %v, want %v", tt.samples, got, tt.want)
		}
	}
}

func TestStable(t *testing.T) {
	even := slices.Repeat([]float64{10e6}, stableFor+smooth-1)
	noisy := slices.Clone(even) // single samples may deviate by more than 3 %, whole seconds may not
	for i := range noisy {
		noisy[i] *= 1 + .06*float64(1-2*(i%2))
	}
	rising := slices.Clone(even)
	for i := range rising {
		rising[i] *= 1 + .01*float64(i)
	}
	fell := slices.Clone(even)
	fell[len(fell)-1] *= .8
	for name, tt := range map[string]struct {
		samples []float64
		want    bool
	}{
		"nothing": {nil, false}, "too few": {even[1:], false}, "even": {even, true}, "noisy": {noisy, true},
		"rising": {rising, false}, "fell at the end": {fell, false},
		"nothing moves":     {make([]float64, 20), false},
		"even at last":      {slices.Concat([]float64{1, 99, 3}, even), true},
		"uneven, then some": {slices.Concat(even[4:], []float64{1, 99, 3, 40}), false},
	} {
		if got := isStable(tt.samples); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestConfidence(t *testing.T) {
	for _, tt := range []struct {
		samples int
		spread  float64
		want    connexa.Confidence
	}{
		{32, .02, connexa.ConfidenceHigh}, {32, .2, connexa.ConfidenceMedium}, {32, .5, connexa.ConfidenceLow},
		{stableFor, .02, connexa.ConfidenceHigh}, {stableFor - 1, 0, connexa.ConfidenceLow}, {0, 0, connexa.ConfidenceLow},
	} {
		if got := confidenceOf(tt.samples, tt.spread); got != tt.want {
			t.Errorf("%d samples, spread %v: %s, want %s", tt.samples, tt.spread, got, tt.want)
		}
	}
	if lowerConfidence(connexa.ConfidenceHigh, connexa.ConfidenceLow) != connexa.ConfidenceLow || lowerConfidence(connexa.ConfidenceMedium, connexa.ConfidenceHigh) != connexa.ConfidenceMedium {
		t.Error("the worse of two is not the worse")
	}
}

func TestLatencyFigures(t *testing.T) {
	ms := func(n ...int) (out []time.Duration) {
		for _, v := range n {
			out = append(out, time.Duration(v)*time.Millisecond)
		}
		return out
	}
	for _, tt := range []struct {
		times       []time.Duration
		mid, jitter int
	}{{nil, 0, 0}, {ms(7), 7, 0}, {ms(10, 30, 20), 20, 15}, {ms(10, 20), 15, 10}, {ms(5, 5, 5, 500), 5, 165}} {
		if m, j := medianTime(tt.times), meanJitter(tt.times); m != time.Duration(tt.mid)*time.Millisecond || j != time.Duration(tt.jitter)*time.Millisecond {
			t.Errorf("%v: median %v, jitter %v", tt.times, m, j)
		}
	}
	for _, tt := range []struct {
		idle, down, up int
		want           string
	}{{20, 22, 20, "A+"}, {20, 45, 20, "A"}, {20, 20, 79, "B"}, {20, 80, 100, "C"}, {20, 419, 0, "D"}, {20, 420, 0, "F"}, {20, 10, 0, "A+"}, {20, 0, 0, ""}, {0, 10, 10, ""}} {
		one := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
		if got := gradeOf(one(tt.idle), one(tt.down), one(tt.up)); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}

func TestLimitedByThisMachine(t *testing.T) {
	for _, tt := range []struct {
		found, others, uplink int64
		want                  bool
	}{{90, 0, 100, true}, {50, 0, 100, false}, {50, 40, 100, true}, {500, 0, 0, false}, {0, 0, 100, false}} {
		if fillsUplink(tt.found, tt.others, tt.uplink) != tt.want {
			t.Errorf("%+v", tt)
		}
	}
	if got := shareLost(1, 99); got != .01 {
		t.Errorf("1 of 100 lost is %v", got)
	}
}

// line returns the total bytes that a simulated line has carried at a time.
type line func(at time.Duration) (bytes int64)

// sampled runs the sampler of a quick test on a line.
func sampled(l line, most int64) (s *sampler, took time.Duration) {
	s = &sampler{plan: plans[connexa.SpeedQuick], most: most}
	begin := time.Unix(1e9, 0)
	rnd := rand.New(rand.NewPCG(1, 2))
	for at := time.Duration(0); ; at += lookEvery + time.Duration(rnd.IntN(4_000_000)) { // a busy machine takes samples late
		if s.takeSample(begin.Add(at), l(at)) || at > time.Minute {
			return s, at
		}
	}
}

func TestSampler(t *testing.T) {
	const mbit = 1e6 / 8
	steady := func(bytesPerSecond float64) line {
		return func(at time.Duration) int64 { return int64(bytesPerSecond*at.Seconds()) + 1 }
	}
	for name, tt := range map[string]struct {
		line line
		most int64
		want float64 // Mbit/s
		by   float64
	}{
		"steady":       {steady(20 * mbit), 1 << 40, 20, .01},
		"a slow start": {func(at time.Duration) int64 { return steady(20 * mbit)(max(0, at-400*time.Millisecond)) }, 1 << 40, 20, .02},
		// Bytes that a write buffer accepts at once do not count for the rate.
		"a buffer of 4 MB filled at once": {func(at time.Duration) int64 { return 4_000_000 + steady(5*mbit)(at) }, 1 << 40, 5, .02},
		// The line stops once, and then delivers the delayed bytes at once.
		"a hole": {func(at time.Duration) int64 {
			if at > 2*time.Second && at < 2500*time.Millisecond {
				at = 2 * time.Second
			}
			return steady(20 * mbit)(at)
		}, 1 << 40, 20, .03},
		"spent before the time":     {steady(40 * mbit), 10_000_000, 40, .02},
		"spent during slow start":   {steady(400 * mbit), 10_000_000, 400, .15},
		"bursts of 100 ms":          {func(at time.Duration) int64 { return steady(8 * mbit)(at.Truncate(100 * time.Millisecond)) }, 1 << 40, 8, .06},
		"nothing after a beginning": {func(at time.Duration) int64 { return 1400 }, 1 << 40, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, took := sampled(tt.line, tt.most)
			got := trimmedMean(s.result()) / 1e6
			if math.Abs(got-tt.want) > tt.want*tt.by {
				t.Errorf("%.3f Mbit/s, want %v; %v", got, tt.want, s.result())
			}
			if took > plans[connexa.SpeedQuick].lasts+sampleEvery {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestSamplerStopsEarlyOnAnEvenLine(t *testing.T) {
	p := plans[connexa.SpeedFull]
	s := &sampler{plan: p, most: 1 << 40}
	begin := time.Unix(1e9, 0)
	at := time.Duration(0)
	for ; !s.takeSample(begin.Add(at), int64(at)/1000+1); at += lookEvery {
	}
	if want := p.warm + (stableFor+smooth)*sampleEvery; at > want || len(s.samples) < stableFor {
		t.Errorf("after %v with %d samples; want it by %v", at, len(s.samples), want)
	}
}

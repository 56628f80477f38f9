package speed

import (
	"math"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	sampleEvery = 250 * time.Millisecond
	// trim is the share of the samples that is left out at each end.
	trim = 0.1

	// stableFor is how many samples a figure has to stay within stableWithin of
	// its mean for the test to end early, and smooth over how many each point of
	// that figure is taken: one packet more or less is no change.
	stableFor    = 12
	stableWithin = 0.03
	smooth       = 4
)

// bitsOf is bits per second.
func bitsOf(bytes int64, in time.Duration) float64 {
	if in <= 0 {
		return 0
	}
	return float64(bytes) * 8 / in.Seconds()
}

// trimmedMean is the mean of what is left of samples when the fastest and the
// slowest tenth are out. It is 0 without samples.
func trimmedMean(samples []float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	out := int(math.Round(float64(len(s)) * trim))
	if 2*out < len(s) {
		s = s[out : len(s)-out]
	}
	return averageOf(s)
}

func averageOf(s []float64) float64 {
	if len(s) == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range s {
		sum += v
	}
	return sum / float64(len(s))
}

// relativeSpread is the standard deviation of samples as a share of their mean.
func relativeSpread(samples []float64) float64 {
	m := averageOf(samples)
	if m == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range samples {
		sum += (v - m) * (v - m)
	}
	return math.Sqrt(sum/float64(len(samples))) / m
}

// isStable says whether samples have settled: the mean over the last second has not
// left 3 % of what it was on average in the last three.
func isStable(samples []float64) bool {
	if len(samples) < stableFor+smooth-1 {
		return false
	}
	points := make([]float64, stableFor)
	for i := range points {
		end := len(samples) - i
		points[i] = averageOf(samples[end-smooth : end])
	}
	m := averageOf(points)
	return m > 0 && slices.Max(points) <= m*(1+stableWithin) && slices.Min(points) >= m*(1-stableWithin)
}

// confidenceOf says what a figure is worth whose samples spread so. Fewer than
// three seconds of them are not worth much, however even they are.
func confidenceOf(samples int, spread float64) connexa.Confidence {
	switch {
	case samples < stableFor || spread > 0.35:
		return connexa.ConfidenceLow
	case spread > 0.12:
		return connexa.ConfidenceMedium
	default:
		return connexa.ConfidenceHigh
	}
}

// worse is the lesser of two confidences.
func worse(a, b connexa.Confidence) connexa.Confidence {
	order := []connexa.Confidence{connexa.ConfidenceLow, connexa.ConfidenceMedium, connexa.ConfidenceHigh}
	return order[max(0, min(slices.Index(order, a), slices.Index(order, b)))]
}

func median(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(times))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// jitter is the mean difference of neighbours.
func jitter(times []time.Duration) time.Duration {
	if len(times) < 2 {
		return 0
	}
	var sum time.Duration
	for i, t := range times[1:] {
		sum += (t - times[i]).Abs()
	}
	return sum / time.Duration(len(times)-1)
}

// grades are by how much a full line makes small requests slower.
var grades = []struct {
	below time.Duration
	grade string
}{
	{5 * time.Millisecond, "A+"}, {30 * time.Millisecond, "A"}, {60 * time.Millisecond, "B"},
	{200 * time.Millisecond, "C"}, {400 * time.Millisecond, "D"},
}

// gradeOf is the bufferbloat grade. It is empty when nothing was measured under
// load.
func gradeOf(idle, down, up time.Duration) string {
	worst := max(down, up)
	if idle == 0 || worst == 0 {
		return ""
	}
	for _, g := range grades {
		if worst-idle < g.below {
			return g.grade
		}
	}
	return "F"
}

// shareLost is lost of all that were sent.
func shareLost(lost, received uint64) float64 {
	if lost == 0 {
		return 0
	}
	return float64(lost) / float64(lost+received)
}

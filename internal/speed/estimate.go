package speed

import (
	"math"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	sampleEvery = 250 * time.Millisecond
	// trim is the share of samples dropped at each end.
	trim = 0.1

	// stableFor is the number of samples for which a figure must stay within stableWithin of
	// its mean to end the test early. smooth is the number of samples of each point of that
	// figure, so that single packets do not matter.
	stableFor    = 12
	stableWithin = 0.03
	smooth       = 4
)

// bitsOf returns a rate in bits per second.
func bitsOf(bytes int64, in time.Duration) float64 {
	if in <= 0 {
		return 0
	}
	return float64(bytes) * 8 / in.Seconds()
}

// trimmedMean returns the mean without the fastest and the slowest tenth of samples. It
// returns 0 without samples.
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

// relativeSpread returns the standard deviation of samples divided by their mean.
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

// isStable reports whether the mean over a second has stayed within 3 % of its own mean
// for the last three seconds.
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

// confidenceOf returns the confidence of a figure with that spread. Less than three
// seconds of samples have low confidence in any case.
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

// lowerConfidence returns the lower of two confidences.
func lowerConfidence(a, b connexa.Confidence) connexa.Confidence {
	order := []connexa.Confidence{connexa.ConfidenceLow, connexa.ConfidenceMedium, connexa.ConfidenceHigh}
	return order[max(0, min(slices.Index(order, a), slices.Index(order, b)))]
}

func medianTime(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(times))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// meanJitter returns the mean difference of consecutive times.
func meanJitter(times []time.Duration) time.Duration {
	if len(times) < 2 {
		return 0
	}
	var sum time.Duration
	for i, t := range times[1:] {
		sum += (t - times[i]).Abs()
	}
	return sum / time.Duration(len(times)-1)
}

// grades are the limits of added latency under load.
var grades = []struct {
	below time.Duration
	grade string
}{
	{5 * time.Millisecond, "A+"}, {30 * time.Millisecond, "A"}, {60 * time.Millisecond, "B"},
	{200 * time.Millisecond, "C"}, {400 * time.Millisecond, "D"},
}

// gradeOf returns the bufferbloat grade, or "" if nothing was measured under load.
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

// shareLost returns the share of lost packets.
func shareLost(lost, received uint64) float64 {
	if lost == 0 {
		return 0
	}
	return float64(lost) / float64(lost+received)
}

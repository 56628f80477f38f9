package connexa

import "time"

// Retention is the number of days for which each tier of the history is kept.
type Retention struct {
	Raw   int // every probe
	Hours int // sums over an hour
	Days  int // sums over a day
}

// Bucket summarises the probes of one node in one period. It may be a single probe.
type Bucket struct {
	At                            time.Time // start of the period, or the time of a single probe
	Good, Slow, Bad, Inconclusive int       // how the probes ended
	Turns                         int       // probes that changed the status
	Attempts, Lost                int
	Latency                       Sum // microseconds
	Down, Up                      Sum // bits a second
}

// Done returns the number of probes with a result about the node.
func (s *Bucket) Done() int { return s.Good + s.Slow + s.Bad }

// Add adds t to s. It does not change s.At.
func (s *Bucket) Add(t Bucket) {
	s.Good += t.Good
	s.Slow += t.Slow
	s.Bad += t.Bad
	s.Inconclusive += t.Inconclusive
	s.Turns += t.Turns
	s.Attempts += t.Attempts
	s.Lost += t.Lost
	s.Latency.Join(t.Latency)
	s.Down.Join(t.Down)
	s.Up.Join(t.Up)
}

// Count adds the result of one probe.
func (s *Bucket) Count(m Result) {
	switch m {
	case ResultGood:
		s.Good++
	case ResultSlow:
		s.Slow++
	case ResultBad:
		s.Bad++
	default:
		s.Inconclusive++
	}
}

// Measure adds the figures of one probe, in the units of the bucket; zero means not
// measured. The latency of a probe that did not complete control is left out: it is
// that of a port without a PPTP server.
func (s *Bucket) Measure(reached Step, latency, down, up int64) {
	if reached.Index() >= Control.Index() {
		s.Latency.Add(latency)
	}
	s.Down.Add(down)
	s.Up.Add(up)
}

// Sum summarises several measurements of a figure. Min and Max are meaningless while
// Count is zero.
type Sum struct {
	Count, Total, Min, Max int64
}

// Add adds one measurement; zero means not measured.
func (s *Sum) Add(v int64) {
	if v > 0 {
		s.Join(Sum{Count: 1, Total: v, Min: v, Max: v})
	}
}

// Join adds the measurements of t.
func (s *Sum) Join(t Sum) {
	switch {
	case t.Count == 0:
		return
	case s.Count == 0:
		*s = t
		return
	}
	s.Count += t.Count
	s.Total += t.Total
	s.Min, s.Max = min(s.Min, t.Min), max(s.Max, t.Max)
}

// Mean returns the average; zero without measurements.
func (s Sum) Mean() float64 {
	if s.Count == 0 {
		return 0
	}
	return float64(s.Total) / float64(s.Count)
}

// Tier is a resolution of the history.
type Tier string

// The tiers, from the finest.
const (
	EveryProbe Tier = "probe"
	EveryHour  Tier = "hour"
	EveryDay   Tier = "day"
)

// Known reports whether t is a tier.
func (t Tier) Known() bool { return t == EveryProbe || t == EveryHour || t == EveryDay }

// Length returns the period that one bucket of the tier covers; zero for single
// probes.
func (t Tier) Length() time.Duration {
	switch t {
	case EveryHour:
		return time.Hour
	case EveryDay:
		return 24 * time.Hour
	default:
		return 0
	}
}

// Spark has the latencies of a node's last probes, the oldest first.
type Spark []SparkPoint

// SparkPoint is one probe of a Spark.
type SparkPoint struct {
	Latency time.Duration // zero: the server did not answer
	Failed  bool
}

// MaxSpark is the maximum number of probes in a Spark.
const MaxSpark = 24

// SparkOf returns the point of a probe. See Bucket.Measure for its latency.
func SparkOf(m Result, reached Step, latency time.Duration) SparkPoint {
	p := SparkPoint{Failed: m == ResultBad}
	if reached.Index() >= Control.Index() {
		p.Latency = latency
	}
	return p
}

// Fleet has the figures of all nodes that Facets does not count.
type Fleet struct {
	Days     []FleetDay   // the oldest first
	Speeds   []SpeedClass // of the measured nodes, the slowest first
	Slowest  []Node       // of those with a session: by speed where any was measured, else by latency
	Flapping []Flapper    // recently, the worst first
}

// FleetDay is the state of the fleet at the end of a day.
type FleetDay struct {
	At               time.Time // start of the day, UTC
	Total, Validated int
}

// SpeedClass counts the nodes with a download of at least From and less than To bits
// per second; zero To means no upper bound.
type SpeedClass struct {
	From, To int64
	Count    int
}

// Flapper is a node with the number of changes of its status.
type Flapper struct {
	Node
	Turns int
}

// Period is the time that a chart of the history covers.
type Period string

// The periods, from the shortest.
const (
	LastDay     Period = "day"
	LastWeek    Period = "week"
	LastMonth   Period = "month"
	LastQuarter Period = "quarter"
	LastYear    Period = "year"
)

// Periods lists every period, the shortest first.
func Periods() []Period { return []Period{LastDay, LastWeek, LastMonth, LastQuarter, LastYear} }

// Length returns the length of the period; zero if it is unknown.
func (p Period) Length() time.Duration {
	const day = 24 * time.Hour
	switch p {
	case LastDay:
		return day
	case LastWeek:
		return 7 * day
	case LastMonth:
		return 30 * day
	case LastQuarter:
		return 90 * day
	case LastYear:
		return 365 * day
	default:
		return 0
	}
}

// Tier returns the finest tier that has the whole period and can still be drawn.
func (p Period) Tier(k Retention) Tier {
	const day = 24 * time.Hour
	switch length := p.Length(); {
	case length <= 7*day && length <= time.Duration(k.Raw)*day:
		return EveryProbe
	case length <= 30*day && length <= time.Duration(k.Hours)*day:
		return EveryHour
	default:
		return EveryDay
	}
}

// Thin merges neighbours until there are at most that many buckets, all of one length
// between since and until. It does not change a list that is short enough.
func Thin(buckets []Bucket, since, until time.Time, most int) []Bucket {
	if len(buckets) <= most {
		return buckets
	}
	width := until.Sub(since)/time.Duration(most) + 1
	var thin []Bucket
	last := -1
	for _, s := range buckets {
		i := int(s.At.Sub(since) / width)
		if i != last || len(thin) == 0 {
			last = i
			thin = append(thin, Bucket{At: since.Add(time.Duration(i) * width)})
		}
		thin[len(thin)-1].Add(s)
	}
	return thin
}

package connexa

import "time"

// Retention says for how many days each tier of the history is kept.
type Retention struct {
	Raw   int // every probe
	Hours int // sums over an hour
	Days  int // sums over a day
}

// Bucket is what the probes of one node in one stretch of time came to. A span may
// be a single probe.
type Bucket struct {
	At                            time.Time // where it begins; of a single probe, when that was
	Good, Slow, Bad, Inconclusive int       // how the probes ended
	Turns                         int       // probes that changed the status
	Attempts, Lost                int
	Latency                       Sum // microseconds
	Down, Up                      Sum // bits a second
}

// Done is how many probes of the span said something about the node.
func (s *Bucket) Done() int { return s.Good + s.Slow + s.Bad }

// Add joins t to s, which keeps its beginning.
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

// Count notes how one probe ended.
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

// Measure takes in what one probe measured, in the units of the span; zero was
// not. How fast a port accepts that no PPTP server answers on would look like
// the latency of a good node, and is left out.
func (s *Bucket) Measure(reached Step, latency, down, up int64) {
	if reached.Index() >= Control.Index() {
		s.Latency.Add(latency)
	}
	s.Down.Add(down)
	s.Up.Add(up)
}

// Sum is a figure that was measured several times. Min and Max mean nothing
// while Count is zero.
type Sum struct {
	Count, Total, Min, Max int64
}

// Add takes in one figure; zero was not measured.
func (s *Sum) Add(v int64) {
	if v > 0 {
		s.Join(Sum{Count: 1, Total: v, Min: v, Max: v})
	}
}

// Join takes in what t took in.
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

// Mean is the figure on average; zero when it was never measured.
func (s Sum) Mean() float64 {
	if s.Count == 0 {
		return 0
	}
	return float64(s.Total) / float64(s.Count)
}

// Tier is how finely history is told.
type Tier string

// The tiers, from the finest.
const (
	EveryProbe Tier = "probe"
	EveryHour  Tier = "hour"
	EveryDay   Tier = "day"
)

// Known says whether t is a tier.
func (t Tier) Known() bool { return t == EveryProbe || t == EveryHour || t == EveryDay }

// Length is the stretch that a span of the tier covers; zero for a probe.
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

// Spark is the latency of a node's last probes, the oldest first.
type Spark []SparkPoint

// SparkPoint is one probe of a Spark.
type SparkPoint struct {
	Latency time.Duration // zero: the server did not answer
	Failed  bool
}

// MaxSpark is how many probes a Spark remembers.
const MaxSpark = 24

// SparkOf is the point of a probe; for its latency goes what is said at Measure.
func SparkOf(m Result, reached Step, latency time.Duration) SparkPoint {
	p := SparkPoint{Failed: m == ResultBad}
	if reached.Index() >= Control.Index() {
		p.Latency = latency
	}
	return p
}

// Fleet is how the nodes stand all together, beside what Facets counts.
type Fleet struct {
	Days     []FleetDay   // the oldest first
	Speeds   []SpeedClass // of the measured nodes, the slowest first
	Slowest  []Node       // of those with a session: by speed where any was measured, else by latency
	Flapping []Flapper    // of late, the worst first
}

// FleetDay is how the fleet stood at the end of a day.
type FleetDay struct {
	At               time.Time // where the day begins, UTC
	Total, Validated int
}

// SpeedClass counts the nodes whose download is at least From and under To bits
// a second; zero To has no bound.
type SpeedClass struct {
	From, To int64
	Count    int
}

// Flapper is a node that changed its status so many times.
type Flapper struct {
	Node
	Turns int
}

// Period is how far back a picture of the history goes.
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

// Length is how long the period is; zero for what is none.
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

// Tier is the finest tier that has the whole period and is not too fine to be
// drawn.
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

// Thin joins neighbours until there are at most most spans, all of one length
// within since and until. Few enough stay as they are.
func Thin(spans []Bucket, since, until time.Time, most int) []Bucket {
	if len(spans) <= most {
		return spans
	}
	width := until.Sub(since)/time.Duration(most) + 1
	var thin []Bucket
	last := -1
	for _, s := range spans {
		i := int(s.At.Sub(since) / width)
		if i != last || len(thin) == 0 {
			last = i
			thin = append(thin, Bucket{At: since.Add(time.Duration(i) * width)})
		}
		thin[len(thin)-1].Add(s)
	}
	return thin
}

package views

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// chart holds the data of a chart over time, which the page's script draws. A summary
// stands beside it as text.
type chart struct {
	ID      string `json:"-"` // id of the element
	Title   string `json:"-"`
	Summary string `json:"-"`
	Tall    bool   `json:"-"`
	Sync    bool   `json:"-"` // the pointer marks the same moment in the page's other charts

	From   int64       `json:"from"` // all times are Unix seconds
	To     int64       `json:"to"`
	Step   int64       `json:"step"` // seconds that a point covers; 0 for a moment
	At     []int64     `json:"at"`
	Lines  []chartLine `json:"lines"`
	Failed []int       `json:"failed,omitempty"` // failed probes of Done, for each point
	Done   []int       `json:"done,omitempty"`
	Unit   string      `json:"unit"` // a pattern such as "{0} ms"
	Digits int         `json:"digits"`
	Whole  bool        `json:"whole,omitempty"` // its values are whole numbers
	Words  chartWords  `json:"words"`
}

type chartLine struct {
	Legend string  `json:"-"`
	Name   string  `json:"name"`
	Values figures `json:"values"`
	Low    figures `json:"low,omitempty"`
	High   figures `json:"high,omitempty"`
}

// chartWords are the sentences with which the script describes failures.
type chartWords struct {
	One  string `json:"one,omitempty"`
	Some string `json:"some,omitempty"`
}

// figures are the values of a line. NaN marks a missing measurement.
type figures []float64

// MarshalJSON writes gaps as null and rounds to two decimals.
func (f figures) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	for i, v := range f {
		if i > 0 {
			b = append(b, ',')
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			b = append(b, "null"...)
		} else {
			b = strconv.AppendFloat(b, math.Round(v*100)/100, 'f', -1, 64)
		}
	}
	return append(b, ']'), nil
}

func (c chart) chartJSON() string {
	b, err := json.Marshal(c)
	if err != nil { // numbers and strings always have a JSON form
		return "{}"
	}
	return string(b)
}

// NodeCharts holds the charts of a node page.
type NodeCharts struct {
	Period  connexa.Period
	Periods []PeriodLink
	From    time.Time
	To      time.Time
	Tier    connexa.Tier
	Buckets []connexa.Bucket

	Traffic      []connexa.TrafficPoint // of the node's service, at even intervals; empty if it had no traffic
	TrafficEvery time.Duration
}

// PeriodLink links to the same page with another period.
type PeriodLink struct {
	Period connexa.Period
	URL    string
}

// allCharts returns the charts for which there is data.
func (v NodeCharts) allCharts(p *i18n.Printer) []chart {
	var list []chart
	if len(v.Buckets) > 0 {
		list = v.probeCharts(p)
	}
	if len(v.Traffic) > 0 {
		list = append(list, v.trafficChart(p))
	}
	return list
}

// probeCharts returns the charts of probe results.
func (v NodeCharts) probeCharts(p *i18n.Printer) []chart {
	// A failed probe leaves a gap in the latency line. A probe without a speed test leaves
	// no gap in the speed line.
	list := []chart{v.bucketsWith(func(s *connexa.Bucket) bool { return s.Latency.Count > 0 || s.Bad > 0 }).latencyChart(p)}
	if fast := v.bucketsWith(func(s *connexa.Bucket) bool { return s.Down.Count+s.Up.Count > 0 }); len(fast.Buckets) > 0 {
		list = append(list, fast.speedChart(p))
	}
	return list
}

// bucketsWith returns v with only those buckets for which about returns true.
func (v NodeCharts) bucketsWith(about func(*connexa.Bucket) bool) NodeCharts {
	v.Buckets = slices.DeleteFunc(slices.Clone(v.Buckets), func(s connexa.Bucket) bool { return !about(&s) })
	return v
}

func (v NodeCharts) chartFrame(id, title string, p *i18n.Printer) chart {
	c := chart{
		ID: id, Title: title, Sync: true, From: v.From.Unix(), To: v.To.Unix(), Step: int64(v.Tier.Length() / time.Second),
		At: make([]int64, len(v.Buckets)), Words: chartWords{One: p.T("chart.failed"), Some: p.T("chart.failed.some", "{0}", "{1}")},
	}
	for i, s := range v.Buckets {
		c.At[i] = s.At.Unix()
	}
	return c
}

// lineOf returns the line of one figure. If a point covers several measurements, it
// has a band from their minimum to their maximum.
func (v NodeCharts) lineOf(name string, unit float64, of func(*connexa.Bucket) connexa.Sum) (chartLine, connexa.Sum) {
	l := chartLine{Name: name, Values: make(figures, len(v.Buckets)), Low: make(figures, len(v.Buckets)), High: make(figures, len(v.Buckets))}
	var all connexa.Sum
	band := false
	for i := range v.Buckets {
		s := of(&v.Buckets[i])
		all.Join(s)
		if s.Count == 0 {
			l.Values[i], l.Low[i], l.High[i] = math.NaN(), math.NaN(), math.NaN()
			continue
		}
		l.Values[i], l.Low[i], l.High[i] = s.Mean()/unit, float64(s.Min)/unit, float64(s.Max)/unit
		band = band || s.Min < s.Max
	}
	if !band {
		l.Low, l.High = nil, nil
	}
	return l, all
}

func (v NodeCharts) latencyChart(p *i18n.Printer) chart {
	c := v.chartFrame("chart-latency", p.T("chart.latency"), p)
	c.Unit = p.T("unit.ms", "{0}")
	line, all := v.lineOf(c.Title, 1000, func(s *connexa.Bucket) connexa.Sum { return s.Latency })
	c.Lines = []chartLine{line}
	c.Failed, c.Done = make([]int, len(v.Buckets)), make([]int, len(v.Buckets))
	failed, done := 0, 0
	for i := range v.Buckets {
		s := &v.Buckets[i]
		c.Failed[i], c.Done[i] = s.Bad, s.Done()
		failed, done = failed+s.Bad, done+s.Done()
	}
	var parts []string
	if all.Count > 0 {
		ms := func(v float64) string { return p.Duration(time.Duration(v) * time.Microsecond) }
		parts = append(parts, p.T("chart.mean", ms(all.Mean()), ms(float64(all.Min)), ms(float64(all.Max))))
	}
	if failed > 0 {
		parts = append(parts, p.T("chart.failed.of", failed, p.Number(int64(done))))
	} else {
		parts = append(parts, p.T("chart.failed.none"))
	}
	c.Summary = strings.Join(parts, " · ")
	return c
}

func (v NodeCharts) speedChart(p *i18n.Printer) chart {
	c := v.chartFrame("chart-speed", p.T("chart.speed"), p)
	c.Unit, c.Digits = p.T("unit.mbit", "{0}"), 1
	down, all := v.lineOf(p.T("chart.down"), 1e6, func(s *connexa.Bucket) connexa.Sum { return s.Down })
	up, allUp := v.lineOf(p.T("chart.up"), 1e6, func(s *connexa.Bucket) connexa.Sum { return s.Up })
	var parts []string
	for _, l := range []struct {
		chartLine
		all connexa.Sum
		key string
	}{{down, all, "chart.mean.down"}, {up, allUp, "chart.mean.up"}} {
		if l.all.Count > 0 {
			l.Legend = p.T(l.key, p.Speed(int64(l.all.Mean())))
			c.Lines = append(c.Lines, l.chartLine)
			parts = append(parts, l.Legend)
		}
	}
	c.Summary = strings.Join(parts, " · ")
	return c
}

// trafficChart shows the traffic of the node's service as a rate: the bytes of each
// point divided by its length.
func (v NodeCharts) trafficChart(p *i18n.Printer) chart {
	c := chart{
		ID: "chart-traffic", Title: p.T("chart.traffic"), Unit: p.T("unit.mbit", "{0}"), Digits: 1, Sync: true,
		From: v.From.Unix(), To: v.To.Unix(), Step: int64(v.TrafficEvery / time.Second), At: make([]int64, len(v.Traffic)),
	}
	down, up := make(figures, len(v.Traffic)), make(figures, len(v.Traffic))
	var sumDown, sumUp uint64
	most := 0.0
	for i, t := range v.Traffic {
		c.At[i] = t.At.Unix()
		down[i], up[i] = bitsPerSecond(t.Down, v.TrafficEvery), bitsPerSecond(t.Up, v.TrafficEvery)
		sumDown, sumUp, most = sumDown+t.Down, sumUp+t.Up, max(most, down[i], up[i])
	}
	scale := 1e6
	if most < scale { // all values would be near 0 in Mbit/s
		scale = 1e3
		c.Title, c.Unit = p.T("chart.traffic.small"), p.T("unit.kbit", "{0}")
	}
	for i := range down {
		down[i] /= scale
		up[i] /= scale
	}
	c.Lines = []chartLine{
		{Name: p.T("chart.down"), Legend: p.T("chart.traffic.down", p.Volume(int64(sumDown))), Values: down},
		{Name: p.T("chart.up"), Legend: p.T("chart.traffic.up", p.Volume(int64(sumUp))), Values: up},
	}
	c.Summary = c.Lines[0].Legend + " · " + c.Lines[1].Legend
	return c
}

func bitsPerSecond(bytes uint64, over time.Duration) float64 {
	return float64(bytes) * 8 / over.Seconds()
}

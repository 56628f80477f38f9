package views

import (
	"strconv"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// These are the dimensions of a spark in its own units. Its lines stay thin at any
// size.
const (
	sparkWide = 72
	sparkHigh = 20
	sparkLeft = 2 // margin for the dot of a single point, on both sides
)

// spark is the line of recent latencies, broken at failures, and marks for failed
// probes. Its scale starts at 0, so that a change from 20 to 24 ms looks small.
type spark struct {
	lines string // data of an SVG path
	marks string
}

// sparkOf draws the recent probes aligned to the right. The line of a node with few
// probes is short.
func sparkOf(s connexa.Spark) spark {
	var all connexa.Sum
	for _, p := range s {
		all.Add(int64(p.Latency))
	}
	// The line of a node with steady latency is in the middle. The scale is at least 50
	// ms, because smaller differences do not matter.
	scale := max(float64(all.Max), 2*all.Mean(), float64(50*time.Millisecond))
	const step = float64(sparkWide-2*sparkLeft) / (connexa.MaxSpark - 1)
	var lines, marks []byte
	joined := false
	for i, p := range s {
		x := sparkWide - sparkLeft - step*float64(len(s)-1-i)
		if p.Failed {
			marks = appendPoint(append(marks, 'M'), x, sparkHigh)
			marks = append(marks, 'v', '-', '6')
		}
		if p.Latency == 0 {
			joined = false
			continue
		}
		y := sparkHigh - 1 - (sparkHigh-2)*float64(p.Latency)/scale
		if joined {
			lines = append(lines, 'L')
		} else {
			lines = append(lines, 'M')
		}
		lines = appendPoint(lines, x, y)
		if !joined && (i+1 == len(s) || s[i+1].Latency == 0) { // a single point is drawn as a dot
			lines = append(lines, 'h', '0')
		}
		joined = true
	}
	return spark{string(lines), string(marks)}
}

func appendPoint(b []byte, x, y float64) []byte {
	b = strconv.AppendFloat(b, x, 'f', 1, 64)
	return strconv.AppendFloat(append(b, ' '), y, 'f', 1, 64)
}

// sparkLabel describes a spark as text.
func sparkLabel(p *i18n.Printer, s connexa.Spark) string {
	var latency connexa.Sum
	failed := 0
	for _, point := range s {
		latency.Add(int64(point.Latency))
		if point.Failed {
			failed++
		}
	}
	text := p.T("spark.failed.none", len(s))
	if failed > 0 {
		text = p.T("spark.failed", failed, p.Number(int64(len(s))))
	}
	if latency.Count > 0 {
		text = p.T("spark.latency", time.Duration(latency.Min), time.Duration(latency.Max)) + " · " + text
	}
	return text
}

// fastBits is the speed in bits per second that fills the bar of a row.
const fastBits = 100e6

// barWidth returns the width of a speed bar in per cent.
func barWidth(bits int64) string {
	return strconv.FormatFloat(min(100, max(1, float64(bits)*100/fastBits)), 'f', 1, 64)
}

package views

import (
	"strconv"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// The box of a spark, in its own units. Its lines are thin whatever its size.
const (
	sparkWide = 72
	sparkHigh = 20
	sparkLeft = 2 // of a point that stands alone, on both sides
)

// spark is a line of latencies as the pieces between failures, and the marks
// where probes failed. It always begins at zero, so that a jump from 20 to 24 ms
// does not look like one from 20 to 200.
type spark struct {
	lines string // of a path
	marks string
}

// sparkOf draws the last probes from the right: a young node has a short line.
func sparkOf(s connexa.Spark) spark {
	var all connexa.Sum
	for _, p := range s {
		all.Add(int64(p.Latency))
	}
	// A calm node is a line across the middle. The least scale is 50 ms: below it,
	// a difference is none.
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
		if !joined && (i+1 == len(s) || s[i+1].Latency == 0) { // alone: a dot
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

// sparkLabel tells of a spark in words.
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

// fastBits is the speed that fills the bar of a row.
const fastBits = 100e6

// barWidth is the length of the bar of a speed, in the hundredths of a full one.
func barWidth(bits int64) string {
	return strconv.FormatFloat(min(100, max(1, float64(bits)*100/fastBits)), 'f', 1, 64)
}

package views

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestSparkOf(t *testing.T) {
	ms := func(n int) connexa.SparkPoint {
		return connexa.SparkPoint{Latency: time.Duration(n) * time.Millisecond}
	}
	failed := connexa.SparkPoint{Failed: true}
	for _, c := range []struct {
		name        string
		spark       connexa.Spark
		lines, dots int // parts of the line, and those with a single point
		points      int
		marks       int
	}{
		{"one line", connexa.Spark{ms(20), ms(30), ms(20)}, 1, 0, 3, 0},
		{"a failure is a gap with a mark", connexa.Spark{ms(20), ms(30), failed, ms(20), ms(25)}, 2, 0, 4, 1},
		{"alone between failures", connexa.Spark{failed, ms(30), failed}, 1, 1, 1, 2},
		{"refused, and yet it answers", connexa.Spark{ms(20), {Latency: 30 * time.Millisecond, Failed: true}, ms(20)}, 1, 0, 3, 1},
		{"never answers", connexa.Spark{failed, failed}, 0, 0, 0, 2},
	} {
		s := sparkOf(c.spark)
		lines, joined, dots := strings.Count(s.lines, "M"), strings.Count(s.lines, "L"), strings.Count(s.lines, "h0")
		if lines != c.lines || dots != c.dots || lines+joined != c.points || strings.Count(s.marks, "M") != c.marks {
			t.Errorf("%s: %q and %q", c.name, s.lines, s.marks)
		}
		for _, m := range regexp.MustCompile(`[ML](-?[\d.]+) (-?[\d.]+)`).FindAllStringSubmatch(s.lines+s.marks, -1) {
			if strings.HasPrefix(m[1], "-") || strings.HasPrefix(m[2], "-") {
				t.Errorf("%s: the point %s is outside", c.name, m[0])
			}
		}
	}
	// A latency of 1 ms is near the bottom, because of the minimum scale.
	flat := sparkOf(connexa.Spark{ms(1), ms(1)})
	if !strings.Contains(flat.lines, " 18.6") {
		t.Errorf("1 ms stands high: %q", flat.lines)
	}
	// The newest point is at the right end, and a full spark reaches the left end.
	full := make(connexa.Spark, connexa.MaxSpark)
	for i := range full {
		full[i] = ms(100)
	}
	if s := sparkOf(full); !strings.HasPrefix(s.lines, "M2.0 ") || !strings.Contains(s.lines, "L70.0 ") {
		t.Errorf("a full spark is %q", s.lines)
	}
}

func TestBarWidth(t *testing.T) {
	for bits, want := range map[int64]string{0: "1.0", 500_000: "1.0", 25e6: "25.0", 100e6: "100.0", 900e6: "100.0"} {
		if got := barWidth(bits); got != want {
			t.Errorf("%d bits a second: %s, want %s", bits, got, want)
		}
	}
}

package connexa

import (
	"slices"
	"testing"
	"time"
)

func TestEvenly(t *testing.T) {
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	got := Evenly([]TrafficPoint{
		{At: noon.Add(-time.Second), Up: 100}, // before
		{At: noon, Up: 1, Down: 10},
		{At: noon.Add(4 * time.Minute), Up: 2, Down: 20},
		{At: noon.Add(14 * time.Minute), Up: 4, Down: 40},
		{At: noon.Add(15 * time.Minute), Up: 100}, // after the end
	}, noon.Add(3*time.Minute), noon.Add(15*time.Minute), 5*time.Minute)
	want := []TrafficPoint{{At: noon, Up: 3, Down: 30}, {At: noon.Add(5 * time.Minute)}, {At: noon.Add(10 * time.Minute), Up: 4, Down: 40}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestTrafficOfAPeriod(t *testing.T) {
	for _, tt := range []struct {
		period Period
		hours  int
		span   TrafficSpan
		every  time.Duration
	}{
		{LastDay, 90, TrafficSample, 5 * time.Minute},
		{LastWeek, 90, TrafficHour, time.Hour},
		{LastMonth, 90, TrafficHour, time.Hour},
		{LastMonth, 20, TrafficDay, 24 * time.Hour},
		{LastQuarter, 90, TrafficDay, 24 * time.Hour},
		{LastYear, 90, TrafficDay, 24 * time.Hour},
	} {
		if span, every := tt.period.Traffic(Retention{Hours: tt.hours}); span != tt.span || every != tt.every {
			t.Errorf("%s with %d days of hours: %s, %v", tt.period, tt.hours, span, every)
		}
	}
}

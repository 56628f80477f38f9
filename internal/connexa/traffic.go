package connexa

import "time"

// Traffic returns the span that is stored for the whole period and can be drawn, and
// the length of its points. A day has too many samples, which are merged.
func (p Period) Traffic(k Retention) (span TrafficSpan, every time.Duration) {
	const day = 24 * time.Hour
	switch length := p.Length(); {
	case length <= day:
		return TrafficSample, 5 * time.Minute
	case length <= 30*day && length <= time.Duration(k.Hours)*day:
		return TrafficHour, time.Hour
	default:
		return TrafficDay, day
	}
}

// Evenly merges points, the oldest first, to one point for each interval of length
// every, from the interval that contains from until to. An interval without traffic
// has a point of zero.
func Evenly(points []TrafficPoint, from, to time.Time, every time.Duration) []TrafficPoint {
	begin := from.UTC().Truncate(every)
	var list []TrafficPoint
	for at := begin; at.Before(to); at = at.Add(every) {
		list = append(list, TrafficPoint{At: at})
	}
	for _, p := range points {
		if i := int(p.At.Sub(begin) / every); !p.At.Before(begin) && i < len(list) {
			list[i].Up += p.Up
			list[i].Down += p.Down
		}
	}
	return list
}

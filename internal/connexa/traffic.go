package connexa

import "time"

// Traffic is the span in which the traffic of the whole period is still known and
// can be told apart in a picture, and how long its points are: samples are far too
// many for a day, and are joined.
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

// Evenly joins points, the oldest first, to one for each stretch of length every
// from the one in which from lies until to. Where nothing moved, there is a point
// that says so.
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

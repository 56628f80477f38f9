package views

import (
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// trafficHours is how many hours the picture of a service's traffic tells of.
const trafficHours = 48

// TrafficHours is what a service moved, hour by hour, until Until.
type TrafficHours struct {
	Until  time.Time
	Points []connexa.TrafficPoint // the oldest first; hours without traffic are left out
}

// TrafficSince is the begin of the picture that ends at until.
func TrafficSince(until time.Time) time.Time {
	return until.UTC().Truncate(time.Hour).Add(-(trafficHours - 1) * time.Hour)
}

// trafficBar is one hour in the picture.
type trafficBar struct {
	x, y, height string
	at           time.Time
	bytes        int64
}

// bars are the hours with traffic, in a box of ten units an hour and forty high.
func (t TrafficHours) bars() []trafficBar {
	from, most := TrafficSince(t.Until), uint64(0)
	for _, p := range t.Points {
		most = max(most, p.Up+p.Down)
	}
	if most == 0 {
		return nil
	}
	var list []trafficBar
	for _, p := range t.Points {
		slot := int(p.At.Sub(from) / time.Hour)
		if slot < 0 || slot >= trafficHours {
			continue
		}
		height := max(1, 40*float64(p.Up+p.Down)/float64(most))
		list = append(list, trafficBar{
			x: strconv.Itoa(slot*10 + 1), y: strconv.FormatFloat(40-height, 'f', 1, 64), height: strconv.FormatFloat(height, 'f', 1, 64),
			at: p.At, bytes: int64(p.Up + p.Down),
		})
	}
	return list
}

// exitDetails are the second line about an exit: the country of the node and the
// way there.
func exitDetails(p *i18n.Printer, s ServiceLine) string {
	var parts []string
	if s.Node.Country != "" {
		parts = append(parts, p.Country(s.Node.Country))
	}
	if s.Latency > 0 {
		parts = append(parts, p.Duration(s.Latency))
	}
	return strings.Join(parts, " · ")
}

func serviceWhyTone(s *connexa.ServiceRow) string {
	switch s.State {
	case connexa.GatewayFailed:
		return ""
	case connexa.GatewayReconnecting:
		return "warn"
	case connexa.GatewayOnline:
		return "good"
	default:
		return "mute"
	}
}

// opensDialog are the attributes of a link whose page is also a dialog.
func opensDialog(url string) templ.Attributes {
	return templ.Attributes{"hx-get": url, "hx-target": "#dialog", "hx-swap": "innerHTML"}
}

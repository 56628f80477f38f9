package views

import (
	"strings"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// exitDetails returns the second line about an exit: the country of the node and the
// latency.
func exitDetails(p *i18n.Printer, s ServiceRow) string {
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
	case connexa.ServiceFailed:
		return ""
	case connexa.ServiceReconnecting:
		return "warn"
	case connexa.ServiceOnline:
		return "good"
	default:
		return "mute"
	}
}

// opensDialog returns the attributes of a link that opens its page as a dialog.
func opensDialog(url string) templ.Attributes {
	return templ.Attributes{"hx-get": url, "hx-target": "#dialog", "hx-swap": "innerHTML"}
}

package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

func TestTunnelBanner(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	if text := tunnelBanner(t.Context(), gre.NewSwitch().Open, log); !text.IsZero() {
		t.Errorf("where all is well the banner says %v", text)
	}
	for _, lang := range i18n.Langs() {
		p, said := i18n.New(lang, nil), map[string]gre.Reason{}
		for _, reason := range []gre.Reason{gre.NoCapability, gre.Forbidden, gre.Unsupported, gre.Filtered, gre.Broken} {
			wires := func(_ netip.Addr, _ func(gre.Unreachable)) (gre.Wire, error) {
				return nil, &gre.Unavailable{Reason: reason, Err: errors.New("no")}
			}
			text := p.Text(tunnelBanner(context.Background(), wires, log))
			if strings.Contains(text, "{") || strings.Contains(text, "probe.") {
				t.Errorf("%s, %s: %q", lang, reason, text)
			}
			if other, twice := said[text]; twice {
				t.Errorf("%s: %s and %s read alike", lang, reason, other)
			}
			said[text] = reason
		}
	}
}

package daemon

import (
	"context"
	"log/slog"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// tunnelBanner returns the banner of a panel whose host cannot open tunnels: why,
// and the fix. It is zero where tunnels can be opened.
func tunnelBanner(ctx context.Context, wires gre.Opener, log *slog.Logger) connexa.Text {
	u := gre.Diagnose(ctx, wires)
	if u == nil {
		return connexa.Text{}
	}
	fix := u.Reason.Fix()
	log.Warn("no tunnels from this machine: logins are off, pings work", "err", u, "fix", fix)
	why := connexa.T("probe.not_here." + string(u.Reason))
	if fix == "" {
		return connexa.T("banner.gre.nofix", why)
	}
	return connexa.T("banner.gre.text", why, fix)
}

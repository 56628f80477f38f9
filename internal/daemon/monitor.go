package daemon

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/guard"
	"github.com/connexa-panel/connexa/internal/monitor"
)

// uplinkChanged sends a notification that this host went offline or is back.
func (p *Panel) uplinkChanged(online bool) {
	n := connexa.Notification{Kind: connexa.NotifyOffline, At: time.Now(), Text: connexa.T("notification.offline")}
	if online {
		n.Kind, n.Text = connexa.NotifyOnline, connexa.T("notification.online")
	}
	p.log.Warn("the uplink of this machine", "online", online)
	p.notifier.Notify(n)
}

// tryTargets reports for each target whether it answers now.
func (p *Panel) tryTargets(ctx context.Context, targets []string) []bool {
	answers := make([]bool, len(targets))
	done := make(chan struct{})
	for i, to := range targets {
		go func() {
			answers[i] = monitor.TryTargets(ctx, p.outboundGuard().DialContext, []string{to}) == connexa.ReachAnswered
			done <- struct{}{}
		}()
	}
	for range targets {
		<-done
	}
	return answers
}

// outboundGuard returns the guard for connections to addresses that a user typed.
func (p *Panel) outboundGuard() *guard.Guard { return &guard.Guard{AllowLocal: p.cfg.AllowLocal} }

// allowedTargets leaves out the targets that this host may not connect to: their
// silence says nothing about the uplink.
func (p *Panel) allowedTargets(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(to string) bool {
		at, err := netip.ParseAddrPort(to)
		return err == nil && p.outboundGuard().Check(at.Addr()) != nil
	})
}

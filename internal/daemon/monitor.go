package daemon

import (
	"context"
	"net"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/monitor"
)

// notify hands a notice on to whoever is to be told.
func (p *Panel) notify(n connexa.Notice) {
	if p.Notify != nil {
		p.Notify(n)
	}
}

// uplinkChanged tells, once each time, that this machine went offline or is back.
func (p *Panel) uplinkChanged(online bool) {
	n := connexa.Notice{Kind: connexa.NoticeOffline, At: time.Now(), Text: connexa.T("notice.offline")}
	if online {
		n.Kind, n.Text = connexa.NoticeOnline, connexa.T("notice.online")
	}
	p.log.Warn("the uplink of this machine", "online", online)
	p.notify(n)
}

// tryTargets says for each target whether it answers now.
func tryTargets(ctx context.Context, targets []string) []bool {
	answers := make([]bool, len(targets))
	done := make(chan struct{})
	for i, to := range targets {
		go func() {
			answers[i] = monitor.Try(ctx, (&net.Dialer{}).DialContext, []string{to}) == connexa.ReachAnswered
			done <- struct{}{}
		}()
	}
	for range targets {
		<-done
	}
	return answers
}

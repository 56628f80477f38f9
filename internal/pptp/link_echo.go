package pptp

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/connexa-panel/connexa/internal/beat"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// This file contains the keep-alive of an established link.

// scheduleEcho sets when the next Echo-Request is due, aligned with those of other sessions.
func (l *link) scheduleEcho() {
	l.nextEcho = beat.Before(l.now.Add(l.cfg.EchoEvery), l.cfg.EchoEvery/100)
}

// keepAlive sends an Echo-Request to an idle server and ends the link after
// Config.EchoMisses without an answer.
func (l *link) keepAlive() {
	if l.phase != phaseUp || l.nextEcho.IsZero() || l.now.Before(l.nextEcho) {
		return
	}
	if l.unansweredEchoes >= l.cfg.EchoMisses {
		if l.echoAnswered || !l.hooks.controlAlive() {
			l.failLink(endSilence, fmt.Sprintf("%d LCP Echo-Requests without an answer", l.unansweredEchoes))
			return
		}
		l.unansweredEchoes = 0 // the server never answers LCP echoes, and the control connection shows that it is alive
	}
	l.unansweredEchoes++
	if l.unansweredEchoes > 1 && !l.echoAnswered {
		l.hooks.sendControlEcho()
	}
	l.scheduleEcho()
	l.sendEcho()
}

// sendEcho sends an Echo-Request and returns its id.
func (l *link) sendEcho() uint8 {
	l.echoID++
	l.sendPacket(ppp.LCP, ppp.Packet{Code: ppp.EchoRequest, ID: l.echoID, Data: binary.BigEndian.AppendUint32(nil, l.lcpo.Magic)})
	return l.echoID
}

// requestEcho sends an Echo-Request and reports the time of its answer on the channel.
func (l *link) requestEcho(now time.Time, answered chan<- time.Duration) {
	l.now = now
	if l.phase != phaseUp {
		return
	}
	if l.pendingEchoes == nil {
		l.pendingEchoes = make(map[uint8]pendingEcho)
	}
	// An unanswered request is replaced when the ids wrap around.
	l.pendingEchoes[l.sendEcho()] = pendingEcho{now, answered}
}

// completeEcho handles the answer to an Echo-Request.
func (l *link) completeEcho(id uint8) {
	if p, ok := l.pendingEchoes[id]; ok {
		delete(l.pendingEchoes, id)
		p.answered <- l.now.Sub(p.sent) // buffered for one value
	}
}

// pendingEcho is an Echo-Request that a caller waits for.
type pendingEcho struct {
	sent     time.Time
	answered chan<- time.Duration
}

// noteActivity records that packets came, so that no Echo-Request is needed.
func (l *link) noteActivity() { l.unansweredEchoes = 0 }

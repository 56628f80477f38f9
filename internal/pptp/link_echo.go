package pptp

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/connexa-panel/connexa/internal/beat"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// This file is how a link that is up asks for signs of life.

// scheduleEcho sets when the next echo is due, on a beat with those of other sessions.
func (l *link) scheduleEcho() {
	l.nextEcho = beat.Before(l.now.Add(l.cfg.EchoEvery), l.cfg.EchoEvery/100)
}

// keepAlive asks an idle server for life signs, and gives it up after some silences.
func (l *link) keepAlive() {
	if l.phase != phaseUp || l.nextEcho.IsZero() || l.now.Before(l.nextEcho) {
		return
	}
	if l.unansweredEchoes >= l.cfg.EchoMisses {
		if l.echoAnswered || !l.hooks.controlAlive() {
			l.failLink(endSilence, fmt.Sprintf("%d LCP Echo-Requests without an answer", l.unansweredEchoes))
			return
		}
		l.unansweredEchoes = 0 // it never answers these, and the control connection shows that it lives
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

// requestEcho sends an Echo-Request whose answer somebody waits for.
func (l *link) requestEcho(now time.Time, answered chan<- time.Duration) {
	l.now = now
	if l.phase != phaseUp {
		return
	}
	if l.pendingEchoes == nil {
		l.pendingEchoes = make(map[uint8]pendingEcho)
	}
	// One that was never answered gives way when the ids come round.
	l.pendingEchoes[l.sendEcho()] = pendingEcho{now, answered}
}

// completeEcho takes the answer to an Echo-Request.
func (l *link) completeEcho(id uint8) {
	if p, ok := l.pendingEchoes[id]; ok {
		delete(l.pendingEchoes, id)
		p.answered <- l.now.Sub(p.sent) // has room for one
	}
}

// pendingEcho is an Echo-Request whose answer somebody waits for.
type pendingEcho struct {
	sent     time.Time
	answered chan<- time.Duration
}

// noteActivity tells that packets came: no need for an echo.
func (l *link) noteActivity() { l.unansweredEchoes = 0 }

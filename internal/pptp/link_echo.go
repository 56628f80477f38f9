package pptp

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/connexa-panel/connexa/internal/beat"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// This file is how a link that is up asks for signs of life.

// awaitEcho sets when the next echo is due, on a beat with those of other sessions.
func (l *link) awaitEcho() {
	l.nextEcho = beat.Before(l.now.Add(l.cfg.EchoEvery), l.cfg.EchoEvery/100)
}

// echo asks an idle server for life signs, and gives it up after some silences.
func (l *link) echo() {
	if l.phase != phaseUp || l.nextEcho.IsZero() || l.now.Before(l.nextEcho) {
		return
	}
	if l.echoes >= l.cfg.EchoMisses {
		if l.echoHeard || !l.hooks.controlAlive() {
			l.fail(endSilence, fmt.Sprintf("%d LCP Echo-Requests without an answer", l.echoes))
			return
		}
		l.echoes = 0 // it never answers these, and the control connection shows that it lives
	}
	l.echoes++
	if l.echoes > 1 && !l.echoHeard {
		l.hooks.askControl()
	}
	l.awaitEcho()
	l.sendEcho()
}

// sendEcho sends an Echo-Request and returns its id.
func (l *link) sendEcho() uint8 {
	l.echoID++
	l.send(ppp.LCP, ppp.Packet{Code: ppp.EchoRequest, ID: l.echoID, Data: binary.BigEndian.AppendUint32(nil, l.lcpo.Magic)})
	return l.echoID
}

// ping sends an Echo-Request whose answer somebody waits for.
func (l *link) ping(now time.Time, answered chan<- time.Duration) {
	l.now = now
	if l.phase != phaseUp {
		return
	}
	if l.pings == nil {
		l.pings = make(map[uint8]pendingEcho)
	}
	// One that was never answered gives way when the ids come round.
	l.pings[l.sendEcho()] = pendingEcho{now, answered}
}

// answered takes the answer to an Echo-Request.
func (l *link) answered(id uint8) {
	if p, ok := l.pings[id]; ok {
		delete(l.pings, id)
		p.answered <- l.now.Sub(p.sent) // has room for one
	}
}

// pendingEcho is an Echo-Request whose answer somebody waits for.
type pendingEcho struct {
	sent     time.Time
	answered chan<- time.Duration
}

// alive tells that packets came: no need for an echo.
func (l *link) alive() { l.echoes = 0 }

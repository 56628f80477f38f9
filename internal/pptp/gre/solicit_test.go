package gre

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestSolicitAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _ := openPair(t, NewSwitch().Open)
		defer a.Close()
		sent := func(want uint64, when string) {
			t.Helper()
			synctest.Wait()
			if got := a.Stats().Sent; got != want {
				t.Errorf("%s: %d packets sent, want %d", when, got, want)
			}
		}
		send := func() {
			t.Helper()
			if err := a.Send(makeFrame("x")); err != nil {
				t.Fatal(err)
			}
		}
		send()
		time.Sleep(time.Minute)
		send() // the peer is known to acknowledge now
		time.Sleep(time.Minute + solicitBeat/3)
		sent(2, "all is acknowledged")

		b.Close() // b is silent from now on
		send()
		time.Sleep(solicitAfter - solicitBeat)
		sent(3, "before the first nudge")
		time.Sleep(solicitBeat)
		sent(4, "the first nudge")
		time.Sleep(time.Minute)
		sent(3+maxSolicits, "a peer that stays silent")
		send()
		time.Sleep(solicitAfter)
		sent(3+maxSolicits+2, "and a new packet")
	})
}

func TestNoSolicitForPeerThatNeverAcknowledges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _ := openPair(t, NewSwitch().Open)
		defer a.Close()
		b.Close()
		for range 3 {
			if err := a.Send(makeFrame("x")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		if got := a.Stats().Sent; got != 3 {
			t.Errorf("%d packets sent, want 3", got)
		}
	})
}

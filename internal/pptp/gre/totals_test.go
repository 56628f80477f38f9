package gre

import (
	"testing"
	"testing/synctest"
)

func TestTotals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _ := openPair(t, NewSwitch().Open)
		mux := a.port.mux
		if got := mux.Totals(); got != (Totals{Calling: 2}) {
			t.Errorf("two new calls: %+v", got)
		}
		if err := a.Send(makeFrame("one"), makeFrame("two")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		// b has received two; its acknowledgment is still pending.
		if got := mux.Totals(); got.Calling != 1 || got.Up != 1 || got.Received != 2 || got.Sent != 2 {
			t.Errorf("after two frames: %+v", got)
		}
		if err := b.Send(makeFrame("three")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		open := mux.Totals()
		b.Close()
		if got := mux.Totals(); got.Stats != open.Stats || got.Up+got.Calling != 1 {
			t.Errorf("after one was closed: %+v, before %+v", got, open)
		}
		a.Close()
		if got := mux.Totals(); got != (Totals{Stats: open.Stats}) {
			t.Errorf("after both were closed: %+v, before %+v", got, open)
		}
	})
}

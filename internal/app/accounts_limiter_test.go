package app

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheWaitGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		for i := range freeAttempts {
			if w := l.waitFor("a"); w != 0 {
				t.Fatalf("attempt %d waits %v", i+1, w)
			}
		}
		for _, want := range []time.Duration{
			time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, 64 * time.Second,
			128 * time.Second, 256 * time.Second, 512 * time.Second, longestWait, longestWait,
		} {
			if got := l.waitFor("a"); got != want {
				t.Fatalf("waits %v, want %v", got, want)
			}
			time.Sleep(want - time.Nanosecond)
			if got := l.waitFor("a"); got != time.Nanosecond {
				t.Fatalf("a moment early: waits %v", got)
			}
			time.Sleep(time.Nanosecond)
			if got := l.waitFor("a"); got != 0 {
				t.Fatalf("after its wait: waits %v", got)
			}
		}
		time.Sleep(forgetAfter + time.Second)
		for range freeAttempts {
			if got := l.waitFor("a"); got != 0 {
				t.Fatalf("two hours later it waits %v", got)
			}
		}
	})
}

func TestKeysAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		for range freeAttempts {
			l.waitFor("address 1", "account a")
		}
		for keys, want := range map[[2]string]time.Duration{
			{"address 1", "account b"}: time.Second, // the address waits
			{"address 2", "account a"}: time.Second, // the account waits
			{"address 2", "account b"}: 0,
		} {
			if got := l.waitFor(keys[0], keys[1]); got != want {
				t.Errorf("%v: waits %v, want %v", keys, got, want)
			}
		}
		// A refused attempt does not count: account b was tried once.
		if got := l.keys["account b"].count; got != 1 {
			t.Errorf("account b was counted %d times", got)
		}
	})
}

func TestManyAtOnceAreNotManyFirstOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		var mu sync.Mutex
		through := 0
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if l.waitFor("a") == 0 {
					mu.Lock()
					defer mu.Unlock()
					through++
				}
			})
		}
		wg.Wait()
		if through != freeAttempts {
			t.Errorf("%d got through, want %d", through, freeAttempts)
		}
	})
}

func TestUndoAndForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		for range 3 * freeAttempts {
			if w := l.waitFor("a"); w != 0 {
				t.Fatalf("waits %v though each was taken back", w)
			}
			l.undoTry("a")
		}
		for range freeAttempts {
			l.waitFor("a")
		}
		if l.waitFor("a") == 0 {
			t.Error("does not wait")
		}
		l.forgetKey("a")
		if w := l.waitFor("a"); w != 0 {
			t.Errorf("waits %v after it was forgotten", w)
		}
		l.undoTry("never seen")
	})
}

func TestUndoLeavesTheWaitAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		for range freeAttempts {
			l.waitFor("a")
		}
		time.Sleep(time.Second)
		for range 3 { // good logins right after the wait that the wrong ones earned
			if w := l.waitFor("a"); w != 0 {
				t.Fatalf("waits %v after a login that was good", w)
			}
			l.undoTry("a")
		}
		if w := l.waitFor("a"); w != 0 {
			t.Fatalf("waits %v", w)
		}
		if w := l.waitFor("a"); w != 2*time.Second {
			t.Errorf("waits %v after one more wrong one, want 2s: the earlier ones still count", w)
		}
	})
}

func TestTheBooksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		for range freeAttempts + 1 {
			l.waitFor("grudge")
			time.Sleep(2 * time.Second)
		}
		for i := range 3 * mostKeys {
			l.waitFor(fmt.Sprint("flood ", i))
		}
		if len(l.keys) > mostKeys {
			t.Errorf("%d keys, want at most %d", len(l.keys), mostKeys)
		}
		if l.keys["grudge"] == nil {
			t.Error("a flood of new keys washed away an old one")
		}
	})
}

// waitFor is beginTry without the second result.
func (l *limiter) waitFor(keys ...string) time.Duration {
	wait, _ := l.beginTry(keys...)
	return wait
}

// The first refusal of each wait is distinguished from the others.
func TestLimiterReportsTheFirstRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		for range freeAttempts {
			l.beginTry("a")
		}
		for _, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
			if wait, first := l.beginTry("a", "b"); wait != want || !first {
				t.Errorf("wait %s, first %t; want %s and the first", wait, first, want)
			}
			for range 5 {
				if wait, first := l.beginTry("a", "c"); wait != want || first {
					t.Errorf("wait %s, first %t; want the announced %s", wait, first, want)
				}
			}
			time.Sleep(want)
			if wait, first := l.beginTry("a"); wait != 0 || first {
				t.Errorf("wait %s, first %t; want an attempt", wait, first)
			}
		}
	})
}

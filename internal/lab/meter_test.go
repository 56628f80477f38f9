package lab

import (
	"testing"
	"time"
)

func TestMeterCountsTheBusiestSecond(t *testing.T) {
	var m meter
	at := time.Unix(1000, 0)
	most := 0
	count := func(n int, every time.Duration) {
		for range n {
			most = m.count(at)
			at = at.Add(every)
		}
	}
	count(20, 100*time.Millisecond) // ten a second
	if most != 10 {
		t.Errorf("%d at ten a second", most)
	}
	at = at.Add(650 * time.Millisecond)
	count(30, 10*time.Millisecond) // within one second of at most three of them
	if want := 33; most < 30 || most > want {
		t.Errorf("%d in a burst of 30", most)
	}
	was := most
	at = at.Add(time.Minute)
	count(5, time.Millisecond)
	if most != was || len(m.times) != 5 {
		t.Errorf("the most fell to %d, with %d kept", most, len(m.times))
	}
}

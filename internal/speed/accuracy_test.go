package speed_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/speed"
)

// accuracy measures lines with a known rate. The expected result is the rate of the
// server's shaper minus the headers of full packets. Delays are one way. These
// variables choose the cells:
//
//	ACCURACY_RATES   Mbit/s, default "1 5 20 100 300"
//	ACCURACY_DELAYS  ms, default "5 40 120"
//	ACCURACY_MODES   default "quick full"
//	ACCURACY_LOSS    percent, default "0 0.1"; above 0 only up to 20 Mbit/s
//	ACCURACY_TIMES   tests of each cell
//
// A cell passes if 9 of 10 of its tests are within the bounds. With fewer than 10
// tests, all must be, or all but one after two more tests.
func accuracy(tb testing.TB, times string) {
	n, err := strconv.Atoi(fromEnv("ACCURACY_TIMES", times))
	if err != nil {
		tb.Fatal(err)
	}
	for mode := range strings.FieldsSeq(fromEnv("ACCURACY_MODES", "quick full")) {
		for mbit := range strings.FieldsSeq(fromEnv("ACCURACY_RATES", "1 5 20 100 300")) {
			for delay := range strings.FieldsSeq(fromEnv("ACCURACY_DELAYS", "5 40 120")) {
				for loss := range strings.FieldsSeq(fromEnv("ACCURACY_LOSS", "0 0.1")) {
					c := cell{connexa.SpeedMode(mode), number(tb, mbit), number(tb, delay), number(tb, loss)}
					if c.loss == 0 || c.mbit <= 20 {
						c.checkAccuracy(tb, n)
					}
				}
			}
		}
	}
}

// BenchmarkAccuracy prints the table, then the results of two simultaneous tests and
// the CPU cost of a test. With the build tag faketime it takes some minutes and does
// not depend on the load of this machine; see docs/adr/0006-speed.md.
func BenchmarkAccuracy(b *testing.B) {
	for b.Loop() {
		accuracy(b, "10")
		twoAtOnce(b)
		cpu(b)
	}
}

func fromEnv(name, or string) string {
	if s, ok := os.LookupEnv(name); ok {
		return s
	}
	return or
}

func number(tb testing.TB, s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// cell is one row of the table.
type cell struct {
	mode  connexa.SpeedMode
	mbit  float64
	delay float64 // ms, one way
	loss  float64 // percent
}

// behaviour returns the cell as a behaviour of the lab.
func (c cell) behaviour() string {
	s := fmt.Sprintf("rate:%gM+latency:%gms", c.mbit, c.delay)
	if c.loss > 0 {
		s += fmt.Sprintf("+loss:%g", c.loss)
	}
	return s
}

func (c cell) String() string {
	return fmt.Sprintf("%-5s %3g Mbit/s %3g ms %3g %%", c.mode, c.mbit, c.delay, c.loss)
}

// set returns the rate of the cell's line in bits of TCP data per second.
func (c cell) set() float64 { return c.mbit * 1e6 * payloadShare }

// sureUpTo is the maximum rate in Mbit/s at which a quick test is reliable. On a
// faster line it uses up its bytes too soon.
const sureUpTo = 50

// bounds returns the bounds of docs/BENCHMARKS.md. ok is false if there are none.
func (c cell) bounds() (low, high float64, ok bool) {
	switch {
	case c.loss > 0:
		return 0.85, 1.05, true
	case c.mode == connexa.SpeedFull:
		return 0.93, 1.05, true
	default:
		return 0.88, 1.08, c.mbit <= sureUpTo
	}
}

// checkAccuracy measures a cell several times and checks the results.
func (c cell) checkAccuracy(tb testing.TB, times int) {
	var down, up []string
	within, disturbed, sure := 0, 0, map[connexa.Confidence]int{}
	low, high, bound := c.bounds()
	allowed, asked := times/10, times
	for i := 0; i < times; i++ {
		m, again, err := c.quiet(tb, uint64(i+1))
		disturbed += again
		if err != nil {
			tb.Errorf("%s: %v", c, err)
			continue
		}
		d, u := float64(m.Down)/c.set(), float64(m.Up)/c.set()
		down, up = append(down, fmt.Sprintf("%.2f", d)), append(up, fmt.Sprintf("%.2f", u))
		if d >= low && d <= high && u >= low && u <= high {
			within++
		} else if bound && asked < 10 && times == asked {
			times, allowed = asked+2, 1
		}
		sure[m.Confidence]++
	}
	verdict := "no bound"
	if bound {
		verdict = fmt.Sprintf("%d of %d within %.2f-%.2f", within, times, low, high)
	}
	printRow("Benchmark: %s  down %s  up %s  %s  high %d medium %d low %d  disturbed %d\n", c, strings.Join(down, " "), strings.Join(up, " "),
		verdict, sure[connexa.ConfidenceHigh], sure[connexa.ConfidenceMedium], sure[connexa.ConfidenceLow], disturbed)
	switch {
	case bound && within < times-allowed:
		tb.Errorf("%s: %s: down %v, up %v", c, verdict, down, up)
	case !bound && sure[connexa.ConfidenceLow] < times:
		tb.Errorf("%s: got the confidences %v, want low for a quick test of a line this fast", c, sure)
	}
}

// tries is the maximum number of attempts at a test that was disturbed.
const tries = 6

// quiet repeats a measurement that was disturbed by the load of this machine. The last
// attempt always counts.
func (c cell) quiet(tb testing.TB, seed uint64) (m connexa.Measurement, disturbed int, err error) {
	for ; ; disturbed++ {
		late := labtest.WatchDelay()
		m, err = c.measure(tb, seed)
		if late() <= labtest.BusyThreshold || disturbed == tries-1 {
			return m, disturbed, err
		}
	}
}

func (c cell) measure(tb testing.TB, seed uint64) (connexa.Measurement, error) {
	r, stop := openRig(tb, c.behaviour(), seed)
	defer stop()
	tunnel := r.newTunnel(tb)
	defer tunnel.Close()
	return speed.Measure(tb.Context(), tunnel, []connexa.Endpoint{good}, speed.Options{Mode: c.mode})
}

// twoAtOnce measures two lines at the same time. Each result must be within the bounds
// for one.
func twoAtOnce(tb testing.TB) {
	c := cell{mode: connexa.SpeedFull, mbit: 20, delay: 20}
	var found [2]connexa.Measurement
	var work sync.WaitGroup
	for i := range found {
		tunnel := newRig(tb, c.behaviour()).newTunnel(tb)
		work.Go(func() {
			defer tunnel.Close()
			m, err := speed.Measure(tb.Context(), tunnel, []connexa.Endpoint{good}, speed.Options{Mode: c.mode})
			if err != nil {
				tb.Error(err)
			}
			found[i] = m
		})
	}
	work.Wait()
	low, high, _ := c.bounds()
	for _, m := range found {
		d, u := float64(m.Down)/c.set(), float64(m.Up)/c.set()
		printRow("Benchmark: one of two at once, 20 Mbit/s: down %.2f up %.2f\n", d, u)
		if d < low || d > high || u < low || u > high {
			tb.Errorf("one of two at once: down %.3f, up %.3f", d, u)
		}
	}
}

// cpu reports the CPU time of a test at 100 Mbit/s, including the lab's server.
func cpu(b *testing.B) {
	c := cell{mode: connexa.SpeedFull, mbit: 100, delay: 5}
	var before, after syscall.Rusage
	began := time.Now()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	m, err := c.measure(b, 1)
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	if err != nil {
		b.Error(err)
		return
	}
	spent := func(r syscall.Rusage) float64 {
		return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
	}
	share := (spent(after) - spent(before)) / time.Since(began).Seconds()
	printRow("Benchmark: CPU at 100 Mbit/s: %.2f of a core with the lab's server in the same process; down %.2f up %.2f\n",
		share, float64(m.Down)/c.set(), float64(m.Up)/c.set())
	if share >= 0.5 {
		b.Errorf("a test at 100 Mbit/s takes %.2f of a core", share)
	}
}

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
	"github.com/connexa-panel/connexa/internal/speed"
)

// BenchmarkAccuracy prints measured ÷ set of tunnels whose rate is known: what
// the server's shaper lets through, less the headers of full packets. Delays are
// one way. These variables choose what is measured:
//
//	ACCURACY_RATES   Mbit/s, default "1 5 20 100 300"
//	ACCURACY_DELAYS  ms, default "5 40 120"
//	ACCURACY_MODES   default "quick full"
//	ACCURACY_LOSS    percent, default "0 0.1"; above 0 only up to 20 Mbit/s
//	ACCURACY_TIMES   tests of each cell, default 10
//
// The last lines are two tests at once on two lines of 20 Mbit/s, and the CPU
// time of this process, the lab's servers included, during a test at 100 Mbit/s.
func BenchmarkAccuracy(b *testing.B) {
	times, err := strconv.Atoi(fromEnv("ACCURACY_TIMES", "10"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, mode := range strings.Fields(fromEnv("ACCURACY_MODES", "quick full")) {
			for _, mbit := range strings.Fields(fromEnv("ACCURACY_RATES", "1 5 20 100 300")) {
				for _, delay := range strings.Fields(fromEnv("ACCURACY_DELAYS", "5 40 120")) {
					for _, loss := range strings.Fields(fromEnv("ACCURACY_LOSS", "0 0.1")) {
						c := cell{connexa.SpeedMode(mode), number(b, mbit), number(b, delay), number(b, loss)}
						if c.loss == 0 || c.mbit <= 20 {
							c.print(b, times)
						}
					}
				}
			}
		}
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

func number(b *testing.B, s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		b.Fatal(err)
	}
	return f
}

// cell is one line of the table.
type cell struct {
	mode  connexa.SpeedMode
	mbit  float64
	delay float64 // ms, one way
	loss  float64 // percent
}

// behaviour is the lab's word for the cell.
func (c cell) behaviour() string {
	s := fmt.Sprintf("rate:%gM+latency:%gms", c.mbit, c.delay)
	if c.loss > 0 {
		s += fmt.Sprintf("+loss:%g", c.loss)
	}
	return s
}

// set is what a cell's line carries of TCP data, in bits per second.
func (c cell) set() float64 { return c.mbit * 1e6 * payloadShare }

// bounds are those of docs/BENCHMARKS.md; false where there are none.
func (c cell) bounds() (low, high float64, ok bool) {
	switch {
	case c.loss > 0:
		return 0.85, 1.05, true
	case c.mode == connexa.SpeedFull:
		return 0.93, 1.05, true
	default:
		return 0.88, 1.08, c.mbit <= 50
	}
}

// print measures a cell some times.
func (c cell) print(b *testing.B, times int) {
	var down, up []string
	within, sure := 0, map[connexa.Confidence]int{}
	low, high, bound := c.bounds()
	for range times {
		m, err := c.measure(b)
		if err != nil {
			b.Errorf("%s %s: %v", c.mode, c.behaviour(), err)
			continue
		}
		d, u := float64(m.Down)/c.set(), float64(m.Up)/c.set()
		down, up = append(down, fmt.Sprintf("%.2f", d)), append(up, fmt.Sprintf("%.2f", u))
		if d >= low && d <= high && u >= low && u <= high {
			within++
		}
		sure[m.Confidence]++
	}
	verdict := "no bound"
	if bound {
		verdict = fmt.Sprintf("%d of %d within %.2f-%.2f", within, times, low, high)
	}
	fmt.Fprintf(os.Stdout, "Benchmark: %-5s %3g Mbit/s %3g ms %3g %%  down %s  up %s  %s  high %d medium %d low %d\n", c.mode, c.mbit, c.delay, c.loss,
		strings.Join(down, " "), strings.Join(up, " "), verdict,
		sure[connexa.ConfidenceHigh], sure[connexa.ConfidenceMedium], sure[connexa.ConfidenceLow])
}

func (c cell) measure(b *testing.B) (connexa.Measurement, error) {
	way := newRig(b, c.behaviour()).tunnel(b)
	defer way.Close()
	return speed.Measure(b.Context(), way, []connexa.Endpoint{good}, speed.Options{Mode: c.mode})
}

func twoAtOnce(b *testing.B) {
	c := cell{mode: connexa.SpeedFull, mbit: 20, delay: 20}
	var found [2]connexa.Measurement
	var work sync.WaitGroup
	for i := range found {
		way := newRig(b, c.behaviour()).tunnel(b)
		work.Go(func() {
			defer way.Close()
			m, err := speed.Measure(b.Context(), way, []connexa.Endpoint{good}, speed.Options{Mode: c.mode})
			if err != nil {
				b.Error(err)
			}
			found[i] = m
		})
	}
	work.Wait()
	for _, m := range found {
		fmt.Fprintf(os.Stdout, "Benchmark: one of two at once, 20 Mbit/s: down %.2f up %.2f\n", float64(m.Down)/c.set(), float64(m.Up)/c.set())
	}
}

func cpu(b *testing.B) {
	c := cell{mode: connexa.SpeedFull, mbit: 100, delay: 5}
	var before, after syscall.Rusage
	began := time.Now()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	m, err := c.measure(b)
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	if err != nil {
		b.Error(err)
		return
	}
	spent := func(r syscall.Rusage) float64 {
		return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
	}
	share := (spent(after) - spent(before)) / time.Since(began).Seconds()
	fmt.Fprintf(os.Stdout, "Benchmark: CPU at 100 Mbit/s: %.2f of a core with the lab's server in the same process; down %.2f up %.2f\n",
		share, float64(m.Down)/c.set(), float64(m.Up)/c.set())
}

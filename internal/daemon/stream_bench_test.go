package daemon

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
)

var drawnRow = regexp.MustCompile(`<tr id="?node-(\d+)`)

// readersVar names the environment variable that makes the test program read streams.
// Its value is JSON of streamReaders.
const readersVar = "CONNEXA_TEST_READERS"

// streamReaders are browsers in a process of their own, so that their work is not counted
// as that of the panel.
type streamReaders struct {
	URL      string
	Sessions []string
	Queries  []string // one for each list
	Viewers  int      // of each list; the first one reports its rows
}

// readStreams prints "id time" for each row that a list gets, until the process is
// killed. Times are in Unix nanoseconds.
func readStreams(config string) error {
	var c streamReaders
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	out := make(chan string, 100_000)
	for i, query := range c.Queries {
		for viewer := range c.Viewers {
			n := i*c.Viewers + viewer
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+n%5))}}
			client := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}}
			r, err := http.NewRequest(http.MethodGet, c.URL+"/events?"+query, nil)
			if err != nil {
				return err
			}
			r.AddCookie(&http.Cookie{Name: "connexa", Value: c.Sessions[n%len(c.Sessions)]})
			res, err := client.Do(r)
			if err != nil {
				return err
			}
			if res.StatusCode != http.StatusOK {
				return fmt.Errorf("stream %d: %s", n, res.Status)
			}
			if viewer > 0 {
				go func() { _, _ = io.Copy(io.Discard, res.Body) }()
				continue
			}
			go func() {
				sc := bufio.NewScanner(res.Body)
				sc.Buffer(nil, 16<<20) // one line of a message contains all rows of a page
				for sc.Scan() {
					now := time.Now().UnixNano()
					for _, m := range drawnRow.FindAllStringSubmatch(sc.Text(), -1) {
						out <- fmt.Sprintln(m[1], now)
					}
				}
			}()
		}
	}
	out <- "0 0\n" // all are open
	for line := range out {
		if _, err := os.Stdout.WriteString(line); err != nil {
			return nil // the benchmark has ended
		}
	}
	return nil
}

// BenchmarkStream commits 1,000 results a second while 200 pages follow, ten for each of
// 20 lists of 200 rows; b.N is in seconds. It reports the delay between a commit and its
// appearance on a page, the part of a core that the streams take, and the growth of the
// memory from the first third to the end.
func BenchmarkStream(b *testing.B) {
	const nodes, lists, viewers, rows, rate = 4000, 20, 10, 200, 1000
	fleet, err := lab.New(lab.Config{Nodes: nodes, Seed: 1}) // without servers
	if err != nil {
		b.Fatal(err)
	}
	var (
		mu        sync.Mutex
		committed = map[int64]time.Time{} // first commit that no page has shown yet
		lags      []time.Duration
		results   int
	)
	p := startPanel(b, b.TempDir(), func(p *Panel) {
		slots := time.Duration(p.settings.get().Concurrency)
		p.runner.Work[connexa.Ping] = func(ctx context.Context, _ connexa.Job) (connexa.Probed, error) {
			time.Sleep(slots * time.Second / rate)
			return connexa.Probed{
				Fact: connexa.Answered, Result: connexa.ResultGood,
				Outcome: connexa.Outcome{Kind: connexa.Ping, At: time.Now(), Reached: connexa.Control, Latency: time.Millisecond, Attempts: 1},
			}, nil
		}
		publish := p.runner.Publish
		p.runner.Publish = func(e connexa.Event) { // called after the commit
			if e.Topic == connexa.NodeChanged && e.ID <= lists*rows {
				mu.Lock()
				results++
				if _, waiting := committed[e.ID]; !waiting {
					committed[e.ID] = time.Now()
				}
				mu.Unlock()
			}
			publish(e)
		}
	})
	p.addNodes(fleet.Nodes())
	keepRunning := func(d time.Duration) {
		for began := time.Now(); time.Since(began) < d; time.Sleep(100 * time.Millisecond) {
			if runs, err := p.db.LiveRuns(context.Background(), time.Now()); err != nil || len(runs) == 0 {
				p.postForm("/runs", url.Values{"kind": {"ping"}, "all": {"1"}})
			}
		}
	}
	b.ResetTimer()
	keepRunning(2 * time.Second)
	alone := make(chan float64, 1)
	go func() { alone <- coreShare(10 * time.Second) }()
	keepRunning(10 * time.Second)

	readers := streamReaders{URL: p.URL(), Viewers: viewers}
	for list := range lists {
		readers.Queries = append(readers.Queries, "page=nodes&rows="+rowsFrom(int64(list*rows+1), rows))
	}
	for range 5 {
		readers.Sessions = append(readers.Sessions, p.anotherSession(b))
	}
	readers.start(b, func(id int64, at time.Time) {
		mu.Lock()
		defer mu.Unlock()
		if since, ok := committed[id]; ok && at.After(since) {
			lags = append(lags, at.Sub(since))
			delete(committed, id)
		}
	})
	keepRunning(2 * time.Second)
	mu.Lock()
	clear(committed)
	lags, results = nil, 0
	mu.Unlock()
	took := time.Duration(b.N) * time.Second
	streaming := make(chan float64, 1)
	go func() { streaming <- coreShare(took) }()
	keepRunning(took / 3)
	start := readHeap()
	keepRunning(took - took/3)
	b.StopTimer()
	end := readHeap()
	share := <-streaming - <-alone
	mu.Lock()
	defer mu.Unlock()
	if len(lags) < results/2 {
		b.Fatalf("%d of %d results were seen", len(lags), results)
	}
	slices.Sort(lags)
	b.ReportMetric(float64(results)/took.Seconds(), "results/s")
	b.ReportMetric(float64(lags[len(lags)/2].Milliseconds()), "p50-ms")
	b.ReportMetric(float64(lags[len(lags)*95/100].Milliseconds()), "p95-ms(≤150)")
	b.ReportMetric(100*share, "%-of-a-core(≤30)")
	b.ReportMetric(float64(len(committed)), "unseen")
	b.ReportMetric(float64(int64(end.HeapInuse)-int64(start.HeapInuse))/(1<<20), "heap-growth-MiB")
	b.ReportMetric(0, "ns/op")
}

// start runs the readers until the end of the benchmark, and returns when they are open. onRow is called for each row.
func (c streamReaders) start(b *testing.B, onRow func(id int64, at time.Time)) {
	b.Helper()
	config, err := json.Marshal(c)
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), readersVar+"="+string(config))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // "signal: killed"
	})
	open := make(chan struct{})
	go func() {
		for sc := bufio.NewScanner(out); sc.Scan(); {
			var id, at int64
			if _, err := fmt.Sscan(sc.Text(), &id, &at); err != nil {
				continue
			}
			if id == 0 {
				close(open)
			}
			onRow(id, time.Unix(0, at))
		}
	}()
	select {
	case <-open:
	case <-time.After(time.Minute):
		b.Fatal("the streams are not open after a minute")
	}
}

func readHeap() (m runtime.MemStats) {
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

// rowsFrom returns the row token of n consecutive nodes.
func rowsFrom(first int64, n int) string {
	t := binary.AppendUvarint(nil, uint64(first))
	for range n - 1 {
		t = append(t, 1)
	}
	return base64.RawURLEncoding.EncodeToString(t)
}

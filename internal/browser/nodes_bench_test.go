package browser

import (
	"context"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// observeTasks notes the long tasks, the layout shifts and the rows that are drawn again.
const observeTasks = `
	window.noted = {tasks: [], shift: 0, rows: 0};
	new PerformanceObserver(list => list.getEntries().forEach(e => noted.tasks.push([e.startTime, e.duration]))).observe({type: "longtask", buffered: true});
	new PerformanceObserver(list => list.getEntries().forEach(e => noted.shift += e.hadRecentInput ? 0 : e.value)).observe({type: "layout-shift", buffered: true});
	document.addEventListener("htmx:before:swap", e => noted.rows += (e.detail.tasks ?? []).filter(t => t.target?.id?.startsWith("node-")).length);`

// BenchmarkNodesPage opens 100 of 100,000 nodes with a processor that is four times slower,
// ten times, and then watches their rows change 50 times a second; b.N is in seconds. It
// reports when the page was interactive, which is the end of its last long task, and the
// longest task and the layout shift while rows change. A task counts from 50 ms on.
func BenchmarkNodesPage(b *testing.B) {
	const nodes, rows, perSecond = 100_000, 100, "50"
	p := startPanel(b)
	p.addTestedFleet(nodes, rows, "good=9,refuse=1")
	c := p.newClient()
	c.postForm("/settings", url.Values{
		"concurrency": {"256"}, "connect_rate": {perSecond}, "per_network": {"256"}, "per_address": {"2"}, "ping_attempts": {"3"},
		"history_raw_days": {"14"}, "history_hour_days": {"90"}, "history_day_days": {"730"}, "encryption": {"preferred"},
	})
	tab := p.openTab(b)
	tab.logIn()
	tab.mustRun(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: observeTasks}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: 4})
		return err
	}))
	query := "q=country%3A" + liveCountry + "&sort=-speed"
	var ready []float64
	for range 10 {
		tab.openPage("/nodes?size=100&" + query)
		tab.waitLive()
		getValue[bool](tab, `new Promise(done => setTimeout(() => done(true), 1000))`) // long tasks are reported afterwards
		ready = append(ready, getValue[float64](tab, `Math.max(performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd,
			performance.getEntriesByName("first-contentful-paint")[0].startTime, ...noted.tasks.map(([start, took]) => start + took))`))
	}
	if n := getValue[int](tab, `document.querySelectorAll("#list tbody tr").length`); n != rows {
		b.Fatalf("%d rows, want %d", n, rows)
	}
	tab.mustRun(chromedp.Evaluate[chromedp.Void](`Object.assign(noted, {tasks: [], shift: 0, rows: 0})`))
	b.ResetTimer()
	began := time.Now()
	for second := range b.N {
		c.postForm("/runs", url.Values{"kind": {"ping"}, "all": {"1"}, "q": {"country:" + liveCountry + " speed>=90"}})
		<-time.After(time.Until(began.Add(time.Duration(second+1) * time.Second)))
	}
	b.StopTimer()
	got := getValue[struct {
		Tasks [][2]float64
		Shift float64
		Rows  int
	}](tab, `noted`)
	longest := 0.0
	for _, task := range got.Tasks {
		longest = max(longest, task[1])
	}
	slices.Sort(ready)
	b.ReportMetric(ready[len(ready)/2], "interactive-ms(≤800)")
	b.ReportMetric(ready[len(ready)-1], "worst-interactive-ms")
	b.ReportMetric(longest, "longest-task-ms(≤50)")
	b.ReportMetric(float64(len(got.Tasks)), "long-tasks")
	b.ReportMetric(got.Shift, "layout-shift")
	b.ReportMetric(float64(got.Rows)/time.Since(began).Seconds(), "rows/s")
	b.ReportMetric(0, "ns/op")
}

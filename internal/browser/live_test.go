package browser

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

const notLive = `document.querySelector("#live").hidden === false`

// A page shows when its stream is interrupted, and becomes current again without a
// reload.
func TestThePanelGoesAndComesBack(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	p.addFleet(6, "good=1")
	b := p.openTab(t)
	b.expectErrors(unreachable, streamEnded)
	b.logIn()
	b.mustRun(mark)
	b.waitTrue(`!(` + notLive + `)`)
	p.stopProcess()
	b.waitTrue(`window.seen && ` + notLive)
	p.restartProcess()
	// Changes during the interruption arrive with the next stream.
	p.newClient().postForm("/runs", map[string][]string{"kind": {"ping"}, "all": {"1"}})
	b.waitFor(75*time.Second, `window.seen && !(`+notLive+`) && `+countRows("ping_ok")+` === 6`)
}

// "Try again" reconnects at once.
func TestTryAgain(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	b := p.openTab(t)
	b.expectErrors(unreachable, streamEnded)
	b.logIn()
	b.mustRun(mark)
	p.stopProcess()
	b.waitTrue(notLive)
	p.restartProcess()
	waitUntil(t, patience, func() error {
		if err := b.checkOnce(`window.seen && !(` + notLive + `)`); err == nil {
			return nil
		}
		b.mustRun(chromedp.Evaluate[chromedp.Void](`document.querySelector("[data-reconnect]").click()`))
		return b.checkOnce(`window.seen && !(` + notLive + `)`)
	})
}

// The scripts of a page arrive in any order. htmx must not process the page before its
// stream extension is loaded.
func TestTheStreamWaitsForItsScript(t *testing.T) {
	t.Parallel()
	b := startPanel(t).openTab(t)
	b.logIn()
	late := make(chan fetch.RequestID, 1)
	if err := chromedp.Listen(b.ctx, func(event any) {
		if e, ok := event.(*fetch.EventRequestPaused); ok {
			late <- e.RequestID
		}
	}); err != nil {
		t.Fatal(err)
	}
	b.mustRun(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: "*/hx-sse-*"}}})
		return err
	}))
	b.mustRun(mark, chromedp.Evaluate[chromedp.Void](`location.reload()`))
	var id fetch.RequestID
	select {
	case id = <-late:
	case <-time.After(patience):
		t.Fatal("the page does not ask for its extension")
	}
	b.waitFor(patience, `!window.seen && window.htmx`) // without waiting for the whole page
	// After two more tasks, the task that htmx has queued is done.
	getValue[bool](b, `new Promise(done => setTimeout(() => setTimeout(() => done(true))))`)
	b.mustRun(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: id})
		return err
	}))
	b.waitLive()
}

// The other tests depend on this: a tab reports the errors of a page.
func TestATabHears(t *testing.T) {
	t.Parallel()
	var (
		mu    sync.Mutex
		heard []string
	)
	b := startPanel(t).openTab(t)
	b.report = func(text string) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, text)
	}
	b.openPage("/login")
	b.mustRun(chromedp.Evaluate[chromedp.Void](`
		document.body.setAttribute("style", "color: red");
		setTimeout(() => { throw new Error("thrown by the test") });
		console.error("written by the test");
		fetch("/nothing-here-of-this-name")`))
	for _, want := range []string{"Content Security Policy", "breach of the policy", "thrown by the test", "written by the test"} {
		waitUntil(t, patience, func() error {
			mu.Lock()
			defer mu.Unlock()
			if slices.ContainsFunc(heard, func(text string) bool { return strings.Contains(text, want) }) {
				return nil
			}
			return unheard(want)
		})
	}
}

type unheard string

func (u unheard) Error() string { return "the tab does not hear of: " + string(u) }

// The list of an empty panel shows the first nodes without a reload.
func TestTheFirstNodes(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	b := p.openTab(t)
	b.logIn()
	b.openPage("/nodes")
	b.waitTrue(`document.querySelector("#list .empty")`)
	b.mustRun(mark)
	p.newClient().postForm("/nodes", map[string][]string{"address": {"192.0.2.10"}, "port": {"1723"}, "login": {"ops"}, "password": {"Blue-Kite-7"}, "encryption": {""}})
	b.waitTrue(`document.querySelectorAll("#list tbody tr").length === 1 && document.querySelector("#filters")`)
	b.waitTrue(`window.seen && document.querySelector("#list #stream").getAttribute("hx-sse:connect").includes("page=nodes")`)
}

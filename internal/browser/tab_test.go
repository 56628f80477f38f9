package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is the time limit for events that are normally immediate. The machine may
// be busy with other tests.
var patience = 15 * time.Second

// tab is a page in the browser. Errors and warnings in its console and violations of
// the Content-Security-Policy fail the test.
type tab struct {
	t   testing.TB
	ctx context.Context
	url string // of the panel

	report func(text string) // called with the errors of the page

	mu       sync.Mutex
	expected []string
}

// openTab opens a tab with its own cookies.
func (p *panel) openTab(t testing.TB) *tab {
	t.Helper()
	parent, err := chromium()
	if err != nil {
		t.Fatal(err)
	}
	return newTab(t, parent, p.url, chromedp.WithNewBrowserContext())
}

// newTab opens a second tab with the same cookies.
func (b *tab) newTab() *tab {
	b.t.Helper()
	return newTab(b.t, b.ctx, b.url, chromedp.WithNewWindow(true))
}

func newTab(t testing.TB, parent context.Context, url string, options ...chromedp.ContextOption) *tab {
	t.Helper()
	b := &tab{t: t, url: url, report: func(text string) { t.Errorf("the page complains: %s", text) }}
	ctx, stop := chromedp.NewContext(parent, append(options, chromedp.WithListener(b.collectErrors))...)
	t.Cleanup(stop)
	b.ctx = ctx
	// The tab lives as long as the context that opens it.
	b.mustRun(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, audits.Enable, cdp.Empty{}); err != nil {
			return fmt.Errorf("listen to the issues of the page: %w", err)
		}
		// Without focus emulation a background page would stop its stream.
		_, err := cdp.Call(ctx, target, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return err
	}))
	b.setSize(1280, 860)
	return b
}

// collectErrors receives all events of the tab and reports its errors.
func (b *tab) collectErrors(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
		b.failWith(text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			var text []string
			for _, arg := range e.Args {
				text = append(text, string(arg.Value)+arg.Description)
			}
			b.failWith(strings.Join(text, " "))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.failWith(e.Entry.Text + " " + e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if e.Issue.Code == audits.InspectorIssueCodeContentSecurityPolicyIssue {
			details, _ := json.Marshal(e.Issue.Details.ContentSecurityPolicyIssueDetails)
			b.failWith("breach of the policy: " + string(details))
		}
	}
}

// failWith reports text unless the test expects it.
func (b *tab) failWith(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, part := range b.expected {
		if strings.Contains(text, part) {
			return
		}
	}
	b.report(text)
}

// expectErrors allows console messages that contain one of the texts. A browser
// reports all responses with status 400 or higher, even expected ones.
func (b *tab) expectErrors(text ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, text...)
}

// These are parts of messages about expected responses.
const (
	unprocessable = "status of 422"
	tooMany       = "status of 429"
	unauthorized  = "status of 401"
	unreachable   = "net::ERR_"
	streamEnded   = "htmx:sse:error"
)

// mustRun runs actions; an error fails the test.
func (b *tab) mustRun(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := b.tryRun(actions...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) tryRun(actions ...chromedp.Action[chromedp.Void]) error {
	if chromedp.FromContext(b.ctx).Target == nil {
		return chromedp.Do(b.ctx, actions...) // the first action opens the tab, which lives as long as this context
	}
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	return chromedp.Do(ctx, actions...)
}

func (b *tab) setSize(width, height int64) {
	b.t.Helper()
	b.mustRun(chromedp.EmulateViewport(width, height, chromedp.EmulateScale(1)))
}

// openPage loads a page of the panel.
func (b *tab) openPage(path string) {
	b.t.Helper()
	// Navigate may mistake the end of the previous page for that of this one.
	b.mustRun(mark, chromedp.Navigate(b.url+path))
	b.waitTrue(arrived)
}

// clickOn clicks the first element that matches selector, when it is visible and not
// covered. A live page may replace the element at any time, even during the click, so
// a click that did not arrive is repeated. clickOn waits until htmx has processed a
// new element: before that a link would load the whole page.
func (b *tab) clickOn(selector string) {
	b.t.Helper()
	find := fmt.Sprintf(`(() => {
		const e = document.querySelector(%[1]s)
		if (!e) return null
		const bound = e.closest("[hx-get], [hx-post]")
		if (bound && !bound._htmx) return null
		e.scrollIntoView({block: "nearest", inline: "nearest", behavior: "instant"})
		const r = e.getClientRects()[0]
		if (!r || getComputedStyle(e).visibility === "hidden") return null
		const at = {X: r.x + r.width / 2, Y: r.y + r.height / 2}, top = document.elementFromPoint(at.X, at.Y)
		if (!e.contains(top) && ![...(e.labels ?? [])].some(l => l.contains(top))) return null
		window.arrivals = 0
		if (!window.counting) document.addEventListener("click", e => { if (e.isTrusted && e.target.closest(window.awaited)) window.arrivals++ }, {capture: true})
		window.counting = true
		window.awaited = e.contains(top) ? %[1]s : "label"
		return at
	})()`, quoteJS(selector))
	waitUntil(b.t, patience, func() error {
		at, err := evaluateJS[*struct{ X, Y float64 }](b, find)
		if err != nil {
			return fmt.Errorf("click %s: %w", selector, err)
		}
		if at == nil {
			return fmt.Errorf("click %s: it is not seen on %s", selector, b.currentURL())
		}
		if err := b.tryRun(chromedp.MouseClickXY(at.X, at.Y)); err != nil {
			return fmt.Errorf("click %s: %w", selector, err)
		}
		// If the page has changed since, the click did arrive.
		if lost, err := evaluateJS[bool](b, `window.arrivals === 0`); err == nil && lost {
			return fmt.Errorf("click %s: it did not arrive", selector)
		}
		return nil
	})
}

// fillField replaces the text of a field.
func (b *tab) fillField(selector, text string) {
	b.t.Helper()
	field := chromedp.CSS(selector)
	waitUntil(b.t, patience, func() error {
		if err := b.tryRun(
			chromedp.WaitVisible(field),
			chromedp.Evaluate[chromedp.Void](`document.querySelector(`+quoteJS(selector)+`).select()`),
			chromedp.SendKeys(field, text),
		); err != nil {
			return fmt.Errorf("type into %s: %w", selector, err)
		}
		return nil
	})
}

// pressKey presses one key with the current focus. Unlike chromedp.KeyEvent it lets
// the page suppress the character.
func (b *tab) pressKey(key string) {
	b.t.Helper()
	down := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: key}
	switch key {
	case "Enter":
		down.Text, down.Code, down.WindowsVirtualKeyCode = "\r", key, 13
	case "Escape":
		down.Code, down.WindowsVirtualKeyCode = key, 27
	case "Tab":
		down.Code, down.WindowsVirtualKeyCode = key, 9
	case "End", "Home", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown":
		down.Code = key
	default:
		down.Text = key
	}
	up := down
	up.Type, up.Text = input.DispatchKeyEventTypeKeyUp, ""
	b.mustRun(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, input.DispatchKeyEvent, down); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, input.DispatchKeyEvent, up)
		return err
	}))
}

// getValue evaluates an expression in the page and waits for its promise.
func getValue[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := evaluateJS[T](b, expression)
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func evaluateJS[T any](b *tab, expression string) (T, error) {
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// waitTrue waits until the page is complete and the expression is true, across
// navigations.
func (b *tab) waitTrue(expression string) {
	b.t.Helper()
	b.waitFor(patience, `document.readyState === "complete" && (`+expression+")") // an incomplete page gives no valid answer
}

// waitFor is waitTrue with a time limit, for a page that need not be complete.
func (b *tab) waitFor(limit time.Duration, expression string) {
	b.t.Helper()
	waitUntil(b.t, limit, func() error {
		ok, err := evaluateJS[bool](b, "!!("+expression+")")
		if err != nil {
			return fmt.Errorf("%s: %w", expression, err)
		}
		if !ok {
			return fmt.Errorf("%s stays false on %s", expression, b.currentURL())
		}
		return nil
	})
}

// currentURL returns the URL of the page and its visible text, for messages.
func (b *tab) currentURL() string {
	text, err := evaluateJS[string](b, `location.href + "\n" + (document.querySelector("main")?.innerText ?? "").slice(0, 1500)`)
	if err != nil {
		return err.Error()
	}
	return text
}

// waitUntil calls ask until it returns nil. After limit the test fails with the last
// error.
func waitUntil(t testing.TB, limit time.Duration, ask func() error) {
	t.Helper()
	deadline, pause := time.Now().Add(limit), 20*time.Millisecond
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %v", limit, err)
		}
		<-time.After(pause)
		pause = min(2*pause, 250*time.Millisecond)
	}
}

// quoteJS returns a value as a JavaScript literal.
func quoteJS(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // not expected: tests pass only values with a JSON form
	}
	return string(text)
}

// pathIs returns an expression that is true on the page with a path.
func pathIs(path string) string {
	return fmt.Sprintf(`location.pathname === %s && document.readyState === "complete"`, quoteJS(path))
}

// hasText returns an expression that is true if an element contains a text.
func hasText(selector, text string) string {
	return fmt.Sprintf(`document.querySelector(%s)?.textContent.includes(%s)`, quoteJS(selector), quoteJS(text))
}

// logIn logs in through the form and opens the node list.
func (b *tab) logIn() {
	b.t.Helper()
	b.openPage("/login?next=%2Fnodes")
	b.fillField(`[name=username]`, admin)
	b.fillField(`[name=password]`, password)
	b.clickOn(`form[action="/login"] .btn.primary`)
	b.waitTrue(pathIs("/nodes"))
	b.waitLive()
}

// waitLive waits until the page's stream is open.
func (b *tab) waitLive() {
	b.t.Helper()
	b.waitTrue(`document.querySelector("#stream")?._htmx?.sse`)
}

// checkOnce evaluates an expression once. It returns an error unless the result is
// true.
func (b *tab) checkOnce(expression string) error {
	ok, err := evaluateJS[bool](b, "!!("+expression+")")
	if err == nil && !ok {
		err = fmt.Errorf("%s is false on %s", expression, b.currentURL())
	}
	return err
}

// mark sets a variable in the page, which is missing after a navigation.
var mark = chromedp.Evaluate[chromedp.Void](`window.seen = true`)

// arrived is an expression that is true when a page without the mark is complete.
const arrived = `!window.seen && document.readyState === "complete"`

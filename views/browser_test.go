package views

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/chromedp/chromedp"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/static"
)

// fake is a server with just enough behind it to test the page's script.
type fake struct {
	*httptest.Server
	p *i18n.Printer

	mu       sync.Mutex
	asked    []string // requests in order
	refusal  int      // status of the answer to /events; 0 streams
	messages chan string
}

func newFake(t *testing.T) *fake {
	f := &fake{p: i18n.New(i18n.English, nil).At(now), messages: make(chan string, 8)}
	mux := http.NewServeMux()
	mux.Handle("GET "+static.Prefix, static.Handler())
	mux.HandleFunc("GET /nodes", func(w http.ResponseWriter, r *http.Request) {
		if v := fakeNodes(t, r); r.Header.Get("HX-Request") == "true" {
			w.Header().Set("HX-Push-Url", v.List.URL())
			f.render(t, w, r, templ.Join(NodeListPart(v.List), FacetsPartial(v.Filters), FilterMenusPartial(v.Filters), SearchPartial(v.Filters)))
		} else {
			f.render(t, w, r, NodesPage(Page{Title: "Nodes", Nav: NavNodes, Account: "admin", Here: "/nodes"}, v))
		}
	})
	mux.HandleFunc("POST /nodes/delete", func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		f.render(t, w, r, ConfirmDialog(ConfirmDelete(f.p, len(r.PostForm["id"]), r.PostForm)))
	})
	mux.HandleFunc("POST /runs", func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		f.render(t, w, r, ToastPartial(Toast{Tone: ToneGood, Text: connexa.T("nodes.match", len(r.PostForm["id"]))}))
	})
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		f.render(t, w, r, Bare(Page{Title: "login"}))
	})
	mux.HandleFunc("GET /events", f.stream)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.asked = append(f.asked, r.Method+" "+r.URL.RequestURI())
		f.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { f.CloseClientConnections(); f.Close() })
	return f
}

func (f *fake) render(t *testing.T, w http.ResponseWriter, r *http.Request, c templ.Component) {
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := c.Render(i18n.With(r.Context(), f.p), w); err != nil {
		t.Error(err)
	}
}

// fakeNodes returns a page of 300 nodes with the filter and the order of a request.
func fakeNodes(t *testing.T, r *http.Request) Nodes {
	filter, err := connexa.ParseFilter(r.URL.Query())
	if err != nil {
		t.Error(err)
	}
	l := NodeList{
		Query: connexa.ListQuery{Filter: filter, Sort: connexa.ParseSort(r.URL.Query().Get("sort")), Size: 50},
		Page:  connexa.NodePage{Total: 300, Next: "c"}, Fleet: 300, Rows: sampleRows(), Kinds: []connexa.RunKind{connexa.RunPing}, Stream: "/events?page=nodes", Columns: usualColumns,
	}
	return Nodes{NodeFilters{Filter: filter, Facets: connexa.Facets{Total: 300, Statuses: map[connexa.Status]int{connexa.PingOK: 200, connexa.PingFailed: 100}, Countries: []connexa.Facet{{Value: "DE", Count: 3}}}, Fleet: 300}, l}
}

// stream answers /events with f.messages, or with f.refusal.
func (f *fake) stream(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	refusal := f.refusal
	f.mu.Unlock()
	if refusal != 0 {
		http.Error(w, "no", refusal)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	fmt.Fprint(w, "event: ping\ndata: \n\n")
	rc.Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case m := <-f.messages:
			fmt.Fprint(w, m)
			rc.Flush()
		}
	}
}

// refuseStream sets the status with which /events answers from now on; 0 streams.
func (f *fake) refuseStream(status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusal = status
}

func (f *fake) wasRequested(t *testing.T, request string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Contains(f.asked, request) {
		return
	}
	t.Errorf("got requests %q, want %q among them", f.asked, request)
}

// sendPartial sends one unnamed message to the page's stream.
func (f *fake) sendPartial(t *testing.T, c templ.Component) {
	t.Helper()
	var b bytes.Buffer
	if err := c.Render(i18n.With(t.Context(), f.p), &b); err != nil {
		t.Fatal(err)
	}
	f.messages <- "data: " + strings.ReplaceAll(b.String(), "\n", "\ndata: ") + "\n\n"
}

func openPage(t *testing.T, ctx context.Context, url string) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 860), chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	// A font that arrives late would move the elements to click.
	waitUntil(t, ctx, `document.readyState === "complete" && document.fonts.status === "loaded"`)
}

// waitSettled waits until htmx has no requests in flight.
func waitSettled(t *testing.T, ctx context.Context) {
	t.Helper()
	waitUntil(t, ctx, `!document.querySelector(".htmx-request, .htmx-swapping, .htmx-settling")`)
}

// waitUntil waits until an expression is true in the page, across navigations.
func waitUntil(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	condition := `(() => { try { return !!(` + expression + `) } catch { return false } })()`
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](condition)); err == nil && ok {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
	}
	t.Fatalf("never: %s", expression)
}

func clickOn(t *testing.T, ctx context.Context, selector string) {
	t.Helper()
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	if err := chromedp.Do(ctx, chromedp.Click(selector)); err != nil {
		t.Fatalf("click %s: %v", selector, err)
	}
}

func pressKey(t *testing.T, ctx context.Context, keys string) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.KeyEvent(keys)); err != nil {
		t.Fatalf("press %q: %v", keys, err)
	}
}

func TestRowsTurnLive(t *testing.T) {
	f, ctx := newFake(t), newBrowser(t)
	openPage(t, ctx, f.URL+"/nodes")
	waitUntil(t, ctx, `document.querySelector("#stream")._htmx?.sse`)
	clickOn(t, ctx, "#pick-node-11")
	fetchPage(t, ctx, `(() => {
		const cell = name => document.querySelector("#node-11 " + name);
		cell(".where").kept = cell(".state").kept = cell(".seen").kept = true;
		cell(".seen").setAttribute("hx-morph-skip", ""); // as while it is edited
	})()`)
	row := sampleRows()[10]
	row.Status, row.Basis = connexa.PingOK, connexa.Basis{Kind: connexa.Ping, At: now, Reached: connexa.Control}
	row.Last = connexa.Outcome{Kind: connexa.Ping, At: now, Reached: connexa.Control}
	f.sendPartial(t, templ.Join(RowSwap(usualColumns, row), RunsBarPartial([]RunBar{{ID: 3, Kind: connexa.RunPing, State: connexa.RunRunning, Tally: connexa.Tally{Total: 5, Good: 1}}}, nil), RowGone(10)))
	waitUntil(t, ctx, `document.querySelector("#node-11 .badge").textContent === "Ping OK"`)
	waitUntil(t, ctx, `document.querySelector("#runs-bar .run") && !document.querySelector("#node-10")`)
	if fetchPage(t, ctx, `document.querySelector("#pick-node-11").checked`) != true {
		t.Error("a selected row is no longer selected after it changed")
	}
	if fetchPage(t, ctx, `document.querySelector("#node-11").classList.contains("fresh")`) != true {
		t.Error("a changed row does not glow")
	}
	if fetchPage(t, ctx, `document.querySelectorAll("#node-11").length`) != 1.0 {
		t.Error("the row stands there twice")
	}
	if got := fetchPage(t, ctx, `[".where", ".state", ".seen"].map(name => !!document.querySelector("#node-11 " + name).kept).join()`); got != "true,false,true" {
		t.Errorf("kept cells: %v, want those that are equal or edited", got)
	}
	waitUntil(t, ctx, `!document.querySelector("#node-11").classList.contains("fresh")`)
}

func TestStreamThatNeverBeganIsTriedAgain(t *testing.T) {
	f, ctx := newFake(t), newBrowser(t)
	f.refuseStream(503)
	openPage(t, ctx, f.URL+"/nodes")
	waitUntil(t, ctx, `!document.querySelector("#live").hidden`)
	f.refuseStream(0)
	waitUntil(t, ctx, `document.querySelector("#live").hidden && document.querySelector("#stream")._htmx?.sse`)
	row := sampleRows()[10]
	row.Status = connexa.PingFailed
	f.sendPartial(t, RowSwap(usualColumns, row))
	waitUntil(t, ctx, `document.querySelector("#node-11 .badge").textContent === "Ping failed"`)
}

func TestStreamWithoutLoginLeadsToIt(t *testing.T) {
	f, ctx := newFake(t), newBrowser(t)
	f.refuseStream(401)
	openPage(t, ctx, f.URL+"/nodes?q=a")
	waitUntil(t, ctx, `location.pathname === "/login"`)
	f.wasRequested(t, "GET /login?next=%2Fnodes%3Fq%3Da")
}

func TestFiltersAndOrder(t *testing.T) {
	f, ctx := newFake(t), newBrowser(t)
	openPage(t, ctx, f.URL+"/nodes")
	clickOn(t, ctx, "#chip-ping_failed")
	waitUntil(t, ctx, `new URLSearchParams(location.search).get("q") === "status:ping_failed"`)
	if got := fetchPage(t, ctx, `location.search`); got != "?q=status%3Aping_failed" {
		t.Errorf("the address bar has %v", got)
	}
	waitSettled(t, ctx)
	clickOn(t, ctx, "#sort-latency")
	waitUntil(t, ctx, `document.querySelector("th.late").ariaSort === "ascending"`)
	waitUntil(t, ctx, `document.activeElement.id === "sort-latency"`)
	waitSettled(t, ctx)
	pressKey(t, ctx, "/")
	waitUntil(t, ctx, `document.activeElement.id === "q"`)
	fetchPage(t, ctx, `document.activeElement.value = "status:ping_failed "`) // keys of the driver type text even if the page prevents it
	pressKey(t, ctx, "ops")
	waitUntil(t, ctx, `new URLSearchParams(location.search).get("q") === "status:ping_failed ops"`)
	if got := fetchPage(t, ctx, `location.search`); got != "?q=status%3Aping_failed+ops&sort=latency" {
		t.Errorf("the address bar has %v", got)
	}
	if got := fetchPage(t, ctx, `document.activeElement.id`); got != "q" {
		t.Errorf("the focus left the search for %v", got)
	}
	waitUntil(t, ctx, `document.querySelector("#stream")._htmx?.sse`)
	waitSettled(t, ctx)
	clickOn(t, ctx, `[popovertarget="filter-country"]`)
	waitUntil(t, ctx, `document.querySelector("#filter-country").matches(":popover-open")`)
	clickOn(t, ctx, `#filter-country label`)
	waitUntil(t, ctx, `new URLSearchParams(location.search).get("q") === "status:ping_failed ops country:DE"`)
	if fetchPage(t, ctx, `document.querySelector("#filter-country").matches(":popover-open")`) != true {
		t.Error("the menu closed at the first choice")
	}
}

func TestSelection(t *testing.T) {
	f, ctx := newFake(t), newBrowser(t)
	openPage(t, ctx, f.URL+"/nodes")
	shown := `getComputedStyle(document.querySelector("#bulk")).display !== "none"`
	if fetchPage(t, ctx, shown) == true {
		t.Error("the bulk bar is there without a selection")
	}
	clickOn(t, ctx, "#pick-node-2")
	at := func(selector string) (x, y float64) {
		box := fetchPage(t, ctx, `(() => { const b = document.querySelector("`+selector+`").getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2] })()`).([]any)
		return box[0].(float64), box[1].(float64)
	}
	x, y := at("#pick-node-6")
	if err := chromedp.Do(ctx, chromedp.MouseClickXY(x, y, chromedp.ButtonModifiers(chromedp.ModifierShift))); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, ctx, `document.querySelector("[data-count]").textContent === "5"`)
	waitUntil(t, ctx, shown)
	if fetchPage(t, ctx, `document.querySelector("thead .pick input").indeterminate`) != true {
		t.Error("the box in the header does not say that some are selected")
	}
	clickOn(t, ctx, "[data-every]")
	waitUntil(t, ctx, `document.querySelector("[data-count]").textContent === "300"`)
	clickOn(t, ctx, "#pick-node-3")
	waitUntil(t, ctx, `!document.querySelector("[data-every]").checked`)
	clickOn(t, ctx, "[data-unpick]")
	waitUntil(t, ctx, `!(`+shown+`)`)
	pressKey(t, ctx, "j")
	pressKey(t, ctx, "j")
	pressKey(t, ctx, "x")
	waitUntil(t, ctx, `document.querySelector("#pick-node-2").checked`)
	clickOn(t, ctx, "#bulk button[name=kind]")
	waitUntil(t, ctx, `document.querySelector(".toast p")?.textContent === "1 node"`)
}

func TestDialogs(t *testing.T) {
	f, ctx := newFake(t), newBrowser(t)
	openPage(t, ctx, f.URL+"/nodes")
	clickOn(t, ctx, "#pick-node-1")
	clickOn(t, ctx, "#bulk .danger")
	waitUntil(t, ctx, `document.querySelector("#dialog dialog[open]")`)
	if got := fetchPage(t, ctx, `document.querySelector("#confirm-title").textContent`); got != "Delete 1 node?" {
		t.Errorf("the dialog asks %v", got)
	}
	if got := fetchPage(t, ctx, `document.activeElement.textContent`); got != "Cancel" {
		t.Errorf("the focus is on %v, want the link back", got)
	}
	clickOn(t, ctx, "#confirm [data-close]")
	waitUntil(t, ctx, `!document.querySelector("#dialog dialog")`)
	clickOn(t, ctx, `#node-2 [popovertarget]`)
	waitUntil(t, ctx, `document.querySelector("#row-menu").matches(":popover-open")`)
	box := fetchPage(t, ctx, `(() => { const b = document.querySelector("#row-menu").getBoundingClientRect(); return b.left >= 0 && b.right <= innerWidth && b.width > 100 })()`)
	if box != true {
		t.Error("the menu of a row hangs out of the window")
	}
	clickOn(t, ctx, "#row-menu .danger")
	waitUntil(t, ctx, `document.querySelector("#dialog dialog[open]")`)
	if fetchPage(t, ctx, `document.querySelector("#row-menu").matches(":popover-open")`) == true {
		t.Error("the menu stays open under the dialog")
	}
	pressKey(t, ctx, "\u001b")
	waitUntil(t, ctx, `!document.querySelector("#dialog dialog")`)
	pressKey(t, ctx, "?")
	waitUntil(t, ctx, `document.querySelector("#help").open`)
}

package handlers

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/events"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

const (
	gather    = 80 * time.Millisecond  // interval in which the rows that changed are drawn together
	runsEvery = 250 * time.Millisecond // minimum interval between two drawings of the progress
	// A browser reopens a stream half a second after its end, without limit.
	brokenPause = 10 * time.Second
	barsEvery   = time.Second // a bar's rate and time left change without events
)

// pageStream describes the updates of one page, besides the runs and the banners that
// every page shows.
type pageStream struct {
	rows         map[int64]bool // the nodes of the page
	mark         string         // the place in the events that the rows of the page include. Optional.
	services     bool           // rows also show the service of their node
	row          func(ctx context.Context, ids []int64) ([]templ.Component, error)
	panel        func(ctx context.Context) ([]templ.Component, error) // draws the other parts of the page
	wants        func(connexa.Event) bool                             // the events that change the panel
	panelName    string                                               // Optional. Streams with the same name share the drawings of panel.
	every        time.Duration                                        // interval in which panel is drawn at most once
	since        time.Time                                            // row and panel must not show older values
	needsRefresh func() bool                                          // Optional. Reports whether panel showed stale figures and must be drawn again.
}

func (f *pageStream) wantsEvent(e connexa.Event) bool {
	switch e.Topic {
	case connexa.RunChanged, connexa.PanelChanged, connexa.ActChanged:
		return true
	default:
	}
	return f.changesRow(e) || f.wants != nil && f.wants(e)
}

// changesRow reports whether a row shows what e changed.
func (f *pageStream) changesRow(e connexa.Event) bool {
	return f.rows[e.ID] && (e.Topic == connexa.NodeChanged || f.services && e.Topic == connexa.ServiceChanged)
}

// streamEvents answers GET /events with the stream of the page that the query names. An
// event is only a hint: the changed objects are read again, so the page gets the
// current state even if it missed events.
func (h *Handlers) streamEvents(w http.ResponseWriter, r *http.Request) error {
	f, err := h.pageStreamOf(r)
	if err != nil {
		return err
	}
	leave, err := h.streams.acquire(sessionOf(r.Context()), requestInfoOf(r.Context()).address)
	if err != nil {
		h.refuseStream(w, r, err)
		return nil
	}
	defer leave()
	// Subscribe before the first drawing, so that no event is missed in between.
	box, done := h.broker.Subscribe(f.wantsEvent)
	defer done()
	s, err := openStream(w)
	if err != nil {
		h.log.Debug("open a stream", "err", err)
		return nil
	}
	v := viewer{h: h, page: f, stream: s, box: box}
	if err := v.followEvents(r.Context()); err != nil && r.Context().Err() == nil {
		h.log.Debug("a stream ended", "err", err)
		pauseFor(r.Context(), brokenPause)
	}
	return nil
}

// viewer is one open page.
type viewer struct {
	h      *Handlers
	page   *pageStream
	stream *stream
	box    *events.Subscription

	rowsDue           map[int64]time.Time // when to draw rows next
	runsDue, panelDue time.Time           // likewise; zero means after the next change
	runsSent          string              // the bar that the page shows
	acts              map[int64]bool      // the bulk acts in it
	pingAt            time.Time
}

// followEvents draws the current page and then its changes, until the session, the
// request or the panel ends. Without changes it wakes only for pings. All streams draw at
// the same times, so that they can share what they draw; events after such a time wait
// for the next one.
func (v *viewer) followEvents(ctx context.Context) error {
	now := time.Now()
	v.runsDue, v.panelDue, v.pingAt = now, now, now.Add(pingEvery)
	v.rowsDue = make(map[int64]time.Time)
	v.scheduleFirst(now)
	v.page.since = now // the subscription has no earlier events
	if err := v.drawDue(ctx, now); err != nil {
		return err
	}
	for {
		wait, cancel := context.WithTimeout(ctx, v.nextDue(now).Sub(now))
		list, ok := v.box.Next(wait)
		timeout := wait.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case ok:
			if !pauseFor(ctx, time.Until(nextTick(time.Now(), gather))) {
				return nil
			}
			list = append(list, v.box.Drain()...)
		case !timeout:
			return nil // the panel shuts down
		}
		now = time.Now()
		v.schedule(list)
		v.page.since = now.Truncate(gather)
		if err := v.drawDue(ctx, now); err != nil {
			return err
		}
		if !now.Before(v.pingAt) {
			v.pingAt = now.Add(pingEvery)
			if err := v.stream.sendPing(); err != nil {
				return err
			}
		}
	}
}

// scheduleFirst sets which rows the first drawing has: those that changed after the page
// was drawn, or all if that is not known. A page that gets all of its rows again works on
// them for a second on a slow device.
func (v *viewer) scheduleFirst(now time.Time) {
	changes, known := v.h.broker.Since(v.page.mark)
	if !known {
		for id := range v.page.rows {
			v.rowsDue[id] = now
		}
		return
	}
	for _, e := range changes {
		if v.page.changesRow(e) {
			v.rowsDue[e.ID] = now
		}
	}
}

// schedule sets when the parts of the page that the events change are drawn.
func (v *viewer) schedule(list []events.Update) {
	for _, e := range list {
		if v.page.changesRow(e.Event) {
			v.rowsDue[e.ID] = nextTick(e.At, gather)
		}
		if e.Topic == connexa.RunChanged || e.Topic == connexa.PanelChanged || e.Topic == connexa.ActChanged {
			v.runsDue = earlierOf(v.runsDue, nextTick(e.At, runsEvery))
		}
		if v.page.wants != nil && v.page.wants(e.Event) {
			v.panelDue = earlierOf(v.panelDue, nextTick(e.At, v.page.every))
		}
	}
}

// drawDue sends the due parts. It clears the due times even if there is nothing to send,
// because a due time in the past would loop without waiting.
func (v *viewer) drawDue(ctx context.Context, now time.Time) error {
	ctx = i18n.With(ctx, i18n.From(ctx).At(v.h.now())) // relative times such as "2 minutes ago"
	var rows []int64
	for id, due := range v.rowsDue {
		if isDue(due, now) {
			rows = append(rows, id)
			delete(v.rowsDue, id)
		}
	}
	slices.Sort(rows)
	var parts []templ.Component
	if len(rows) > 0 && v.page.row != nil {
		list, err := v.page.row(ctx, rows)
		if err != nil {
			return err
		}
		parts = append(parts, list...)
	}
	if isDue(v.panelDue, now) {
		v.panelDue = time.Time{}
		list, err := v.drawPanel(ctx, now)
		if err != nil {
			return err
		}
		parts = append(parts, list...)
		if v.page.needsRefresh != nil && v.page.needsRefresh() {
			v.panelDue = nextTick(now, v.page.every)
		}
	}
	if isDue(v.runsDue, now) {
		v.runsDue = time.Time{}
		bar, err := v.drawRuns(ctx, now)
		if err != nil {
			return err
		}
		parts = append(parts, bar...)
	}
	if len(parts) == 0 {
		return nil
	}
	return v.stream.send(ctx, parts...)
}

// toldActs are the ends of bulk acts that their account was told. The zero value is ready to
// use.
type toldActs struct {
	mu   sync.Mutex
	ends map[actEnd]time.Time
}

// actEnd is the end of an act or of its undo.
type actEnd struct {
	id    int64
	state connexa.BulkState
}

// toldKept is longer than an act that ended is listed.
const toldKept = time.Minute

// noteAct notes the end of an act and reports whether it was not noted before.
func (t *toldActs) noteAct(a connexa.BulkAct) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, end := time.Now(), actEnd{a.ID, a.State}
	if _, told := t.ends[end]; told {
		return false
	}
	maps.DeleteFunc(t.ends, func(_ actEnd, at time.Time) bool { return now.Sub(at) > toldKept })
	if t.ends == nil {
		t.ends = make(map[actEnd]time.Time)
	}
	t.ends[end] = now
	return true
}

func (v *viewer) drawPanel(ctx context.Context, now time.Time) ([]templ.Component, error) {
	if v.page.panel == nil {
		return nil, nil
	}
	if v.page.panelName == "" {
		return v.page.panel(ctx)
	}
	name := sharedName(ctx, "panel", v.page.panelName)
	parts, err := v.h.shared.get(ctx, []string{name}, v.since(now, v.page.every), func(ctx context.Context, _ []string) (map[string]sharedPart, error) {
		list, err := v.page.panel(ctx)
		if err != nil {
			return nil, err
		}
		html, err := renderParts(ctx, list...)
		return map[string]sharedPart{name: {html: html}}, err
	})
	return []templ.Component{templ.Raw(parts[name].html)}, err
}

// since returns how old the values of a part may be that is drawn once per interval.
func (v *viewer) since(now time.Time, every time.Duration) time.Time {
	if v.page.since.Equal(now) { // the first drawing
		return now
	}
	return now.Truncate(every)
}

// drawRuns returns the bar of the runs, or nothing if the page already shows it.
func (v *viewer) drawRuns(ctx context.Context, now time.Time) ([]templ.Component, error) {
	name := sharedName(ctx, "runs", "")
	parts, err := v.h.shared.get(ctx, []string{name}, v.since(now, runsEvery), func(ctx context.Context, _ []string) (map[string]sharedPart, error) {
		part, err := v.h.runsPart(ctx)
		return map[string]sharedPart{name: part}, err
	})
	if err != nil {
		return nil, err
	}
	part := parts[name]
	if part.moves {
		v.runsDue = nextTick(now, barsEvery) // an ended run leaves the bar without an event
	}
	list := v.drawEnded(ctx, part.live, part.ended)
	if part.html == v.runsSent {
		return list, nil
	}
	v.runsSent = part.html
	return append(list, templ.Raw(part.html)), nil
}

// drawEnded returns toasts about the acts of this account that the page has shown and that
// ended since. The first drawing also has those that ended while no page of the account
// was open, such as between the form that started them and the next page.
func (v *viewer) drawEnded(ctx context.Context, live, ended []connexa.BulkAct) []templ.Component {
	var parts []templ.Component
	for _, a := range ended {
		if a.Account != accountOf(ctx).name {
			continue
		}
		if untold := v.h.told.noteAct(a); v.acts[a.ID] || v.acts == nil && untold {
			parts = append(parts, views.ToastPartial(views.ActToast(a)))
		}
	}
	v.acts = make(map[int64]bool, len(live))
	for _, a := range live {
		v.acts[a.ID] = true
	}
	return parts
}

// runsPart draws the bar of the runs.
func (h *Handlers) runsPart(ctx context.Context) (sharedPart, error) {
	bars, err := h.runBars(ctx)
	if err != nil {
		return sharedPart{}, err
	}
	live, ended, err := h.actBars(ctx)
	if err != nil {
		return sharedPart{}, err
	}
	moves := len(live) > 0 || slices.ContainsFunc(bars, func(b views.RunBar) bool { return b.State != connexa.RunPaused })
	html, err := renderParts(ctx, views.RunsBarPartial(bars, live))
	return sharedPart{html: html, moves: moves, live: live, ended: ended}, err
}

// nextDue returns when something is due. Rows that wait are due at the next tick.
func (v *viewer) nextDue(now time.Time) time.Time {
	due := earlierOf(earlierOf(v.pingAt, v.runsDue), v.panelDue)
	if len(v.rowsDue) > 0 {
		due = earlierOf(due, nextTick(now, gather))
	}
	return due
}

// nextTick returns the end of the interval that began last.
func nextTick(now time.Time, every time.Duration) time.Time { return now.Truncate(every).Add(every) }

func isDue(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// earlierOf returns the earlier of two times. Zero means never.
func earlierOf(a, b time.Time) time.Time {
	switch {
	case a.IsZero():
		return b
	case b.IsZero() || a.Before(b):
		return a
	}
	return b
}

func pauseFor(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// runBars returns the live runs and those that ended a moment ago.
func (h *Handlers) runBars(ctx context.Context) ([]views.RunBar, error) {
	runs, err := h.runs.ActiveRuns(ctx)
	if err != nil {
		return nil, err
	}
	bars := make([]views.RunBar, len(runs))
	for i, run := range runs {
		bars[i] = h.runBar(run)
	}
	return bars, nil
}

func (h *Handlers) runBar(run connexa.Run) views.RunBar {
	perSecond, left := h.runs.Pace(run)
	return views.RunBar{ID: run.ID, Kind: run.Kind, State: run.State, Notice: run.Notice, PerSecond: perSecond, Left: left, Tally: run.Tally}
}

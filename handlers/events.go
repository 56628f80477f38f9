package handlers

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/events"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

const (
	gather    = 80 * time.Millisecond  // how long a changed row waits for others
	runsEvery = 250 * time.Millisecond // minimum interval between two drawings of the progress
	// A browser reopens a stream half a second after its end, without limit.
	brokenPause = 10 * time.Second
	barsEvery   = time.Second // a bar's rate and time left change without events
)

// pageStream describes the updates of one page, besides the runs and the banners that
// every page shows.
type pageStream struct {
	rows         map[int64]bool // the nodes of the page
	services     bool           // rows also show the service of their node
	row          func(ctx context.Context, ids []int64) ([]templ.Component, error)
	panel        func(ctx context.Context) ([]templ.Component, error) // draws the other parts of the page
	wants        func(connexa.Event) bool                             // the events that change the panel
	every        time.Duration                                        // minimum interval between two drawings of panel
	needsRefresh func() bool                                          // Optional. Reports whether panel showed stale figures and must be drawn again.
}

func (f *pageStream) wantsEvent(e connexa.Event) bool {
	switch e.Topic {
	case connexa.RunChanged, connexa.PanelChanged, connexa.DeletionChanged:
		return true
	case connexa.NodeChanged:
		if f.rows[e.ID] {
			return true
		}
	case connexa.ServiceChanged:
		if f.services && f.rows[e.ID] {
			return true
		}
	default: // no row shows the others
	}
	return f.wants != nil && f.wants(e)
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

	runsDue, panelDue time.Time // when to draw next; zero means after the next change
	runsAt, panelAt   time.Time // when they were drawn last
	runsSent          []byte    // the bar that the page shows
	pingAt            time.Time
}

// followEvents draws the current page and then its changes, until the session, the
// request or the panel ends. Without changes it wakes only for pings.
func (v *viewer) followEvents(ctx context.Context) error {
	now := v.h.now()
	v.runsDue, v.panelDue, v.pingAt = now, now, now.Add(pingEvery)
	all := make([]int64, 0, len(v.page.rows))
	for id := range v.page.rows {
		all = append(all, id)
	}
	if err := v.drawRows(ctx, now, all); err != nil {
		return err
	}
	for {
		wait, cancel := context.WithTimeout(ctx, v.nextDue().Sub(now))
		list, ok := v.box.Next(wait)
		timeout := wait.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case ok:
			if !pauseFor(ctx, gather) {
				return nil
			}
			list = append(list, v.box.Drain()...)
		case !timeout:
			return nil // the panel shuts down
		}
		now = v.h.now()
		if err := v.drawRows(ctx, now, v.sortEvent(list)); err != nil {
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

// sortEvent returns the rows to draw now and schedules the other parts.
func (v *viewer) sortEvent(list []connexa.Event) (rows []int64) {
	seen := map[int64]bool{}
	for _, e := range list {
		row := e.Topic == connexa.NodeChanged || v.page.services && e.Topic == connexa.ServiceChanged
		if row && v.page.rows[e.ID] && !seen[e.ID] {
			seen[e.ID] = true
			rows = append(rows, e.ID)
		}
		if e.Topic == connexa.RunChanged || e.Topic == connexa.PanelChanged || e.Topic == connexa.DeletionChanged {
			v.runsDue = earlierOf(v.runsDue, v.runsAt.Add(runsEvery))
		}
		if v.page.wants != nil && v.page.wants(e) {
			v.panelDue = earlierOf(v.panelDue, v.panelAt.Add(v.page.every))
		}
	}
	return rows
}

// drawRows sends the rows and all due parts. It clears the due times even if there is
// nothing to send, because a due time in the past would loop without waiting.
func (v *viewer) drawRows(ctx context.Context, now time.Time, rows []int64) error {
	ctx = i18n.With(ctx, i18n.From(ctx).At(now)) // relative times such as "2 minutes ago"
	var parts []templ.Component
	if len(rows) > 0 && v.page.row != nil {
		list, err := v.page.row(ctx, rows)
		if err != nil {
			return err
		}
		parts = append(parts, list...)
	}
	if isDue(v.panelDue, now) {
		v.panelAt, v.panelDue = now, time.Time{}
		list, err := v.drawPanel(ctx)
		if err != nil {
			return err
		}
		parts = append(parts, list...)
		if v.page.needsRefresh != nil && v.page.needsRefresh() {
			v.panelDue = now.Add(v.page.every)
		}
	}
	if isDue(v.runsDue, now) {
		v.runsAt, v.runsDue = now, time.Time{}
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

func (v *viewer) drawPanel(ctx context.Context) ([]templ.Component, error) {
	if v.page.panel == nil {
		return nil, nil
	}
	return v.page.panel(ctx)
}

// drawRuns returns the bar of the runs, or nothing if the page already shows it.
func (v *viewer) drawRuns(ctx context.Context, now time.Time) ([]templ.Component, error) {
	bars, err := v.h.runBars(ctx)
	if err != nil {
		return nil, err
	}
	deletion := v.h.deletionPartial()
	if deletion.Total > 0 || slices.ContainsFunc(bars, func(b views.RunBar) bool { return b.State != connexa.RunPaused }) {
		v.runsDue = now.Add(barsEvery) // an ended run leaves the bar without an event
	}
	var drawn bytes.Buffer
	if err := views.RunsBarPartial(bars, deletion).Render(ctx, &drawn); err != nil {
		return nil, fmt.Errorf("draw the bar of the runs: %w", err)
	}
	if bytes.Equal(drawn.Bytes(), v.runsSent) {
		return nil, nil
	}
	v.runsSent = drawn.Bytes()
	return []templ.Component{templ.Raw(drawn.String())}, nil
}

func (v *viewer) nextDue() time.Time {
	return earlierOf(earlierOf(v.pingAt, v.runsDue), v.panelDue)
}

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

// deletionPartial returns the progress of the background deletion.
func (h *Handlers) deletionPartial() views.Deletion {
	done, total := h.nodes.Deletion()
	return views.Deletion{Done: done, Total: total}
}

func (h *Handlers) runBar(run connexa.Run) views.RunBar {
	perSecond, left := h.runs.Pace(run)
	return views.RunBar{ID: run.ID, Kind: run.Kind, State: run.State, Notice: run.Notice, PerSecond: perSecond, Left: left, Tally: run.Tally}
}

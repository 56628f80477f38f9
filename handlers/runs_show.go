package handlers

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// showRun answers GET /runs/{id}.
func (h *Handlers) showRun(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	v, err := h.runView(r.Context(), id)
	if err != nil {
		return err
	}
	pg := h.layoutData(w, r, connexa.T("kind."+string(v.Kind)), views.NavRuns)
	pg.Stream = "/events?page=run&id=" + strconv.FormatInt(id, 10)
	return h.renderPage(w, r, views.RunPage(pg, v))
}

// runView returns a run as its page shows it.
func (h *Handlers) runView(ctx context.Context, id int64) (views.Run, error) {
	run, groups, err := h.runs.Run(ctx, id)
	if err != nil {
		return views.Run{}, err
	}
	v := views.Run{Run: run, Bar: h.runBar(run), Answers: answersTo(run)}
	for _, g := range groups {
		if g.Result == connexa.ResultNone { // unfinished jobs; the progress counts them
			continue
		}
		group := views.RunGroup{RunGroup: g, Nodes: groupURL(g)}
		if g.Result != connexa.ResultDeleted {
			q := url.Values{"result": {string(g.Result)}, "cause": {string(g.Cause)}}
			group.Export = runPath(id) + "/nodes.csv?" + q.Encode()
		}
		v.Groups = append(v.Groups, group)
		if g.Result != connexa.ResultGood && g.Result != connexa.ResultSlow && g.Result != connexa.ResultDeleted {
			v.Retry += g.Count
		}
	}
	if !run.State.Live() && run.Good > 0 {
		v.Offer, err = h.monitor.OffersMonitor(ctx)
	}
	return v, err
}

// groupURL returns the URL of the node list with the nodes whose last probe ended like
// those of g, or "" if no filter selects them.
func groupURL(g connexa.RunGroup) string {
	f := connexa.FilterBy("step", string(g.Reached))
	switch {
	case g.Result.Inconclusive() || g.Result == connexa.ResultBad && g.Cause == "":
		return ""
	case g.Result == connexa.ResultSlow:
		f = f.And(connexa.FilterBy("status", string(connexa.SpeedSlow)))
	}
	if g.Cause != "" {
		f = f.And(connexa.FilterBy("cause", string(g.Cause)))
	}
	return views.NodesURL(connexa.ListQuery{Filter: f})
}

// answersTo returns the buttons under a run's question.
func answersTo(run connexa.Run) []views.Action {
	if !run.State.Live() {
		return nil
	}
	switch run.Notice.Key {
	case "run.notice.gre":
		return []views.Action{
			{Text: connexa.T("run.gre.accept"), URL: runPath(run.ID) + "/decide/accept"},
			{Text: connexa.T("run.gre.discard"), URL: runPath(run.ID) + "/decide/discard"},
		}
	case "run.notice.speed.endpoint":
		return []views.Action{{Text: connexa.T("speed.choose"), URL: "/speed/endpoints", Get: true}}
	case "run.notice.held":
		return []views.Action{{Text: connexa.T("run.held.go"), URL: runPath(run.ID) + "/decide/go"}}
	}
	return nil
}

// groupsEvery is the minimum interval between two counts of the groups of a live run.
const groupsEvery = time.Second

// runPageStream returns the page stream of a run page.
func (h *Handlers) runPageStream(ctx context.Context, v url.Values) (*pageStream, error) {
	id, err := strconv.ParseInt(v.Get("id"), 10, 64)
	if err != nil || id <= 0 {
		return nil, connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	if _, _, err := h.runs.Run(ctx, id); err != nil {
		return nil, err
	}
	return &pageStream{
		every: groupsEvery,
		wants: func(e connexa.Event) bool { return e.Topic == connexa.RunChanged && e.ID == id },
		panel: func(ctx context.Context) ([]templ.Component, error) {
			run, err := h.runView(ctx, id)
			if err != nil {
				return nil, err
			}
			return []templ.Component{views.RunPartial(run)}, nil
		},
	}, nil
}

// runsPageStream returns the page stream of the list of runs: the rows of live runs. It draws
// all of them, because they are few.
func (h *Handlers) runsPageStream() *pageStream {
	return &pageStream{
		every: groupsEvery,
		wants: func(e connexa.Event) bool { return e.Topic == connexa.RunChanged },
		panel: func(ctx context.Context) ([]templ.Component, error) {
			runs, err := h.runs.MovingRuns(ctx)
			if err != nil {
				return nil, err
			}
			parts := make([]templ.Component, len(runs))
			for i, run := range runs {
				parts[i] = views.RunRowPartial(run)
			}
			return parts, nil
		},
	}
}

package handlers

import (
	"net/http"
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// runsSize is the number of runs per page.
const runsSize = 50

// listRuns answers GET /runs with the runs that accounts started, or with by=monitor those of the
// monitor.
func (h *Handlers) listRuns(w http.ResponseWriter, r *http.Request) error {
	before, err := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64)
	if err != nil {
		before = 0
	}
	monitor := r.URL.Query().Get("by") == "monitor"
	runs, next, err := h.runs.RunPage(r.Context(), monitor, before, runsSize)
	if err != nil {
		return err
	}
	v := views.Runs{Runs: runs, Monitor: monitor}
	first, sign := "/runs", "?"
	if monitor {
		first, sign = "/runs?by=monitor", "&"
	}
	if next != 0 {
		v.Older = first + sign + "before=" + strconv.FormatInt(next, 10)
	}
	if before != 0 {
		v.Newer = first
	}
	pg := h.layoutData(w, r, connexa.T("runs.title"), views.NavRuns)
	pg.Stream = "/events?page=runs"
	return h.renderPage(w, r, views.RunsPage(pg, v))
}

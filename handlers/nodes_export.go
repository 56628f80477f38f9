package handlers

import (
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/exporter"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// exportSelection is selectionOf for URLs, where no selection means all nodes of the
// filter.
func exportSelection(v url.Values) (connexa.Selection, error) {
	if !v.Has("id") && !v.Has("ids") {
		v.Set("all", "1")
	}
	return selectionOf(v)
}

// exportPage answers GET /nodes/export with the form of an export of the nodes of a
// filter, or of "ids".
func (h *Handlers) exportPage(w http.ResponseWriter, r *http.Request) error {
	s, err := exportSelection(r.URL.Query())
	if err != nil {
		return err
	}
	last, err := h.nodes.LastExport(r.Context(), accountOf(r.Context()).id)
	if err != nil {
		return err
	}
	return h.renderExport(w, r, http.StatusOK, s, last, nil)
}

func (h *Handlers) renderExport(w http.ResponseWriter, r *http.Request, status int, s connexa.Selection, o connexa.ExportOptions, errs connexa.FieldErrors) error {
	n, err := h.nodes.CountNodes(r.Context(), s)
	if err != nil {
		return err
	}
	form := views.ExportForm{
		Count: n, Selection: views.HiddenOf(selectionValues(s)), Filter: s.Filter, All: s.All,
		Options: o, Proved: h.recentlyProved(r.Context()), Errors: errs,
	}
	return h.renderStatus(w, r, status, views.ExportPage(h.layoutData(w, r, connexa.T("export.title"), views.NavNodes), form))
}

// downloadNodes answers POST /nodes/export with the file. The form has the admin's own
// password if the file will contain passwords, so that no prompt comes in between, and
// is drawn again if something is wrong with it.
func (h *Handlers) downloadNodes(w http.ResponseWriter, r *http.Request) error {
	s, err := formSelection(r)
	if err != nil {
		return err
	}
	o, err := connexa.ParseExport(r.PostForm.Get("form"), r.PostForm["column"])
	ctx := r.Context()
	if err == nil && o.Secrets() {
		if ctx, err = h.withProof(w, r); err == nil && !h.recentlyProved(ctx) {
			err = connexa.FieldErrors{"own_password": connexa.T("export.error.password")}
		}
	}
	if err != nil {
		return renderFormError(err, func(status int, errs connexa.FieldErrors) error {
			return h.renderExport(w, r, status, s, o, errs)
		})
	}
	if err := h.nodes.SetLastExport(ctx, accountOf(ctx).id, o); err != nil {
		return err
	}
	if o.Secrets() {
		keepPlain(w)
	}
	// The date tells the files of a folder apart.
	name := "nodes-" + h.now().In(i18n.From(ctx).Zone()).Format(time.DateOnly)
	return h.writeNodes(w, r, name, s, o)
}

// exportNodes answers GET /nodes.csv with the nodes of a filter, or of "ids". With
// secrets=1 the password follows the login, which requires a recent authentication.
func (h *Handlers) exportNodes(w http.ResponseWriter, r *http.Request) error {
	s, err := exportSelection(r.URL.Query())
	if err != nil {
		return err
	}
	secrets := r.URL.Query().Get("secrets") == "1"
	if secrets && !h.recentlyAuthenticated(w, r) {
		return nil
	}
	return h.writeNodes(w, r, "nodes", s, connexa.UsualExport(secrets))
}

// exportFiles are the endings and types of the files of each form.
var exportFiles = map[connexa.ExportForm]struct{ ending, kind string }{
	connexa.ExportCSV:            {".csv", "text/csv; charset=utf-8"},
	connexa.ExportTSV:            {".tsv", "text/tab-separated-values; charset=utf-8"},
	connexa.ExportJSON:           {".json", "application/json"},
	connexa.ExportJSONLines:      {".jsonl", "application/x-ndjson"},
	connexa.ExportRouterOS:       {".rsc", textFile},
	connexa.ExportNetworkManager: {".nmconnection", textFile},
}

const textFile = "text/plain; charset=utf-8"

// writeNodes sends nodes as a file with that name, without its ending.
func (h *Handlers) writeNodes(w http.ResponseWriter, r *http.Request, name string, s connexa.Selection, o connexa.ExportOptions) error {
	nodes, err := h.nodes.ExportNodes(r.Context(), s, o.Secrets())
	if err != nil {
		return err
	}
	file, ok := exportFiles[o.Form]
	if !ok {
		file.ending, file.kind = ".txt", textFile
	}
	h.sendFile(w, name+file.ending, file.kind, func(next func()) error {
		return writeExport(w, nodes, o, next)
	})
	return nil
}

// writeExport writes nodes to w and calls next for each. The rows are one snapshot of
// the database, which a slow reader must not keep open.
func writeExport(w http.ResponseWriter, nodes iter.Seq2[connexa.Exported, error], o connexa.ExportOptions, next func()) error {
	out := exporter.New(w, o)
	for e, err := range nodes {
		if err != nil {
			return err
		}
		next()
		if err := out.Write(&e); err != nil {
			return err
		}
	}
	return out.Close()
}

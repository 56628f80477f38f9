package handlers

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

const binRows = 100

// showBin answers GET /bin.
func (h *Handlers) showBin(w http.ResponseWriter, r *http.Request) error {
	cursor := r.URL.Query().Get("before")
	page, err := h.acts.Bin(r.Context(), cursor, binRows)
	if err != nil {
		return err
	}
	vm := views.Bin{Page: page, First: cursor == ""}
	if page.Next != "" {
		vm.Older = "/bin?before=" + url.QueryEscape(page.Next)
	}
	return h.renderPage(w, r, views.BinPage(h.layoutData(w, r, connexa.T("bin.title"), views.NavNodes), vm))
}

// restoreNodes answers POST /bin/restore with "id" for each node, or "all".
func (h *Handlers) restoreNodes(w http.ResponseWriter, r *http.Request) error {
	ids, err := binSelection(r)
	if err != nil {
		return err
	}
	n, err := h.acts.CountBin(r.Context(), ids)
	if err == nil && n == 0 {
		err = connexa.Errorf(connexa.NotFound, "bin.gone")
	}
	if err != nil {
		return err
	}
	act, err := h.acts.StartBinAct(r.Context(), ids, n, connexa.BulkRestore)
	if err != nil {
		return err
	}
	return h.actStarted(w, r, act, "/bin")
}

// purgeNodes answers POST /bin/purge like restoreNodes, first with a question.
func (h *Handlers) purgeNodes(w http.ResponseWriter, r *http.Request) error {
	ids, err := binSelection(r)
	if err != nil {
		return err
	}
	var why error
	if shown, err := strconv.Atoi(r.PostForm.Get("count")); err == nil && isConfirmed(r) {
		act, err := h.acts.StartBinAct(r.Context(), ids, shown, connexa.BulkPurge)
		if err == nil {
			return h.actStarted(w, r, act, "/bin")
		}
		if why = err; connexa.CodeOf(err) != connexa.Conflict {
			return err
		}
	}
	n, err := h.acts.CountBin(r.Context(), ids)
	if err == nil && n == 0 {
		err = connexa.Errorf(connexa.NotFound, "bin.gone")
	}
	if err != nil {
		return err
	}
	selection := url.Values{"all": {"1"}}
	if ids != nil {
		selection = selectionValues(connexa.Selection{IDs: ids})
	}
	p := i18n.From(r.Context())
	c, status := views.ConfirmPurge(p, n, selection), http.StatusOK
	if why != nil {
		c.Warning, status = p.Err(why), statusOf(connexa.CodeOf(why))
	}
	return h.askConfirm(w, r, status, c, connexa.T("bin.title"), views.NavNodes)
}

// binSelection returns the ids in a form, or nil for all.
func binSelection(r *http.Request) ([]int64, error) {
	if err := parseForm(r); err != nil {
		return nil, err
	}
	if r.PostForm.Get("all") == "1" {
		return nil, nil
	}
	s, err := selectionOf(r.PostForm)
	return s.IDs, err
}

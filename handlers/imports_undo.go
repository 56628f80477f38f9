package handlers

import (
	"net/http"
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// undoImport answers POST /imports/{id}/undo, first with a question and the counts. The
// confirmed form starts the undo.
func (h *Handlers) undoImport(w http.ResponseWriter, r *http.Request) error {
	id, err := formID(r)
	if err != nil {
		return err
	}
	if !isConfirmed(r) {
		return h.askUndo(w, r, id, nil)
	}
	var shown connexa.UndoPlan
	for name, n := range map[string]*int{"remove": &shown.Remove, "restore": &shown.Restore, "keep": &shown.Keep} {
		if *n, err = strconv.Atoi(r.PostForm.Get(name)); err != nil {
			return h.askUndo(w, r, id, nil)
		}
	}
	err = h.imports.UndoImport(r.Context(), id, shown)
	switch {
	case connexa.CodeOf(err) == connexa.Conflict:
		return h.askUndo(w, r, id, err)
	case err != nil:
		return err
	}
	return h.redirectTo(w, r, importPath(id))
}

// askUndo asks for confirmation before an import is undone. why is the reason for
// asking again. Optional.
func (h *Handlers) askUndo(w http.ResponseWriter, r *http.Request, id int64, why error) error {
	i, err := h.imports.Import(r.Context(), id)
	if err != nil {
		return err
	}
	plan, err := h.imports.PlanUndo(r.Context(), i)
	if err == nil && plan.Remove+plan.Restore == 0 {
		err = connexa.Errorf(connexa.Conflict, "import.undo.nothing")
	}
	if err != nil {
		return err
	}
	p := i18n.From(r.Context())
	c := views.ConfirmUndo(p, i, plan)
	status := http.StatusOK
	if why != nil {
		status, c.Warning = http.StatusConflict, p.Text(connexa.TextOf(why))
	}
	return h.askConfirm(w, r, status, c, connexa.T("import.undo"), views.NavImport)
}

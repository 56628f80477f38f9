package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// startAct answers POST /acts with a selection and the kind of a bulk act in "act": first
// with a question for its values, then with its effect on the first nodes. The
// confirmed form starts the act.
func (h *Handlers) startAct(w http.ResponseWriter, r *http.Request) error {
	s, err := formSelection(r)
	if err != nil {
		return err
	}
	in := readBulk(r.PostForm)
	q := views.ActQuestion{Input: in, Selection: views.HiddenOf(selectionValues(s)), Back: pageAfterDelete(r)}
	if in.Kind == connexa.BulkDelete || !in.Kind.Undoable() {
		return connexa.Errorf(connexa.Invalid, "acts.kind")
	}
	if !valuesGiven(r.PostForm, in.Kind) {
		return h.askAct(w, r, s, q, connexa.Bulk{Kind: in.Kind}, http.StatusOK)
	}
	b, err := connexa.ParseBulk(in)
	if err != nil {
		return renderFormError(err, func(status int, errs connexa.FieldErrors) error {
			q.Errors = errs
			return h.askAct(w, r, s, q, connexa.Bulk{Kind: in.Kind}, status)
		})
	}
	q.What = b.What()
	shown, err := strconv.Atoi(r.PostForm.Get("count"))
	if err != nil || !isConfirmed(r) {
		return h.askAct(w, r, s, q, b, http.StatusOK)
	}
	ctx, err := h.withProof(w, r)
	var act connexa.BulkAct
	if err == nil {
		act, err = h.acts.StartAct(ctx, s, shown, b)
	}
	if connexa.CodeOf(err) == connexa.Conflict {
		q.Warning = i18n.From(r.Context()).Err(err)
		if in.Kind == connexa.BulkPassword { // no page may contain it, so it must be typed again
			q.What = connexa.Text{}
		}
		return h.askAct(w, r, s, q, b, http.StatusConflict)
	}
	if err != nil {
		return renderFormError(err, func(status int, errs connexa.FieldErrors) error {
			q.Errors = errs
			return h.askAct(w, r, s, q, b, status)
		})
	}
	return h.actStarted(w, r, act, q.Back)
}

// readBulk returns the act in a form. Its fields have a prefix, because a selection of
// all nodes has a field for each field of the filter.
func readBulk(v url.Values) connexa.BulkInput {
	return connexa.BulkInput{
		Kind: connexa.BulkKind(v.Get("act")), Field: v.Get("act_field"), Value: v.Get("act_value"), Tags: v.Get("act_tags"), Login: v.Get("act_login"), Password: v.Get("act_password"),
		Encryption: v.Get("act_encryption"),
	}
}

// valuesGiven reports whether a form has the values of an act.
func valuesGiven(v url.Values, kind connexa.BulkKind) bool {
	switch kind {
	case connexa.BulkSet:
		return v.Has("act_field")
	case connexa.BulkAddTags, connexa.BulkRemoveTags:
		return v.Has("act_tags")
	case connexa.BulkPassword:
		return v.Has("act_password")
	case connexa.BulkLogin:
		return v.Has("act_login")
	case connexa.BulkEncryption:
		return v.Has("act_encryption")
	case connexa.BulkLogins:
		return false
	default:
		return true
	}
}

// askAct asks for the values or the confirmation of an act.
func (h *Handlers) askAct(w http.ResponseWriter, r *http.Request, s connexa.Selection, q views.ActQuestion, b connexa.Bulk, status int) error {
	if q.What.IsZero() && b.Kind == connexa.BulkSet {
		b.Field = connexa.Columns()[0].Name // without values only the count is shown
	}
	preview, err := h.acts.PreviewAct(r.Context(), s, b)
	if err != nil {
		return err
	}
	q.Total = preview.Total
	q.Nodes = actNodes(preview.Nodes)
	return h.askQuestion(w, r, q, status)
}

func (h *Handlers) askQuestion(w http.ResponseWriter, r *http.Request, q views.ActQuestion, status int) error {
	c := views.ConfirmAct(i18n.From(r.Context()), q)
	return h.askConfirm(w, r, status, c, connexa.T("acts.name."+string(q.Input.Kind)), views.NavNodes)
}

func actNodes(nodes []app.PreviewedNode) []views.ActNode {
	list := make([]views.ActNode, len(nodes))
	for i, n := range nodes {
		list[i] = views.ActNode{Server: connexa.ServerName(n.Node.Address, n.Node.Port), Login: n.Node.Login, Changes: n.Changes, Full: n.Full}
	}
	return list
}

// draftLogins answers POST /acts/logins with a list of logins in "file", and asks for
// the confirmation.
func (h *Handlers) draftLogins(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseMultipartForm(formBytes); err != nil {
		return badForm(err)
	}
	defer func() { _ = r.MultipartForm.RemoveAll() }()
	s, err := selectionOf(r.PostForm)
	if err != nil {
		return err
	}
	in := connexa.BulkInput{Kind: connexa.BulkLogins}
	q := views.ActQuestion{Input: in, Selection: views.HiddenOf(selectionValues(s)), Back: pageAfterDelete(r)}
	refuse := func(problem connexa.Text) error {
		q.Errors = connexa.FieldErrors{"file": problem}
		return h.askAct(w, r, s, q, connexa.Bulk{Kind: in.Kind}, http.StatusUnprocessableEntity)
	}
	file, _, err := r.FormFile("file")
	switch {
	case errors.Is(err, http.ErrMissingFile):
		return refuse(connexa.T("acts.list.empty"))
	case err != nil:
		return badForm(err)
	}
	defer file.Close()
	act, list, err := h.acts.DraftLogins(r.Context(), s, file)
	switch {
	case connexa.CodeOf(err) == connexa.Invalid:
		return refuse(connexa.TextOf(err))
	case err != nil:
		return err
	case act.ID == 0:
		q.List = &views.ActLoginsList{LoginList: list}
		return refuse(connexa.T("acts.list.nothing"))
	}
	nodes, err := h.acts.PreviewLogins(r.Context(), list.Logins)
	if err != nil {
		return err
	}
	q.List, q.Draft, q.What, q.Total, q.Nodes = &views.ActLoginsList{LoginList: list}, act.ID, act.What(), act.Total, actNodes(nodes)
	return h.askQuestion(w, r, q, http.StatusOK)
}

// confirmAct answers POST /acts/{id}/confirm.
func (h *Handlers) confirmAct(w http.ResponseWriter, r *http.Request) error {
	return h.changeAct(w, r, h.acts.ConfirmAct)
}

// undoAct answers POST /acts/{id}/undo.
func (h *Handlers) undoAct(w http.ResponseWriter, r *http.Request) error {
	id, err := formID(r)
	if err != nil {
		return err
	}
	if exposes, err := h.acts.UndoExposes(r.Context(), id); err != nil {
		return err
	} else if exposes && !h.recentlyAuthenticated(w, r) {
		return nil
	}
	return h.changeAct(w, r, h.acts.UndoAct)
}

// cancelAct answers POST /acts/{id}/cancel.
func (h *Handlers) cancelAct(w http.ResponseWriter, r *http.Request) error {
	return h.changeAct(w, r, h.acts.CancelAct)
}

func (h *Handlers) changeAct(w http.ResponseWriter, r *http.Request, change func(ctx context.Context, id int64) (connexa.BulkAct, error)) error {
	id, err := formID(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	if h.recentlyProved(ctx) {
		ctx = app.WithProof(ctx)
	}
	act, err := change(ctx, id)
	if err != nil {
		return err
	}
	return h.actStarted(w, r, act, pageAfterAct(r))
}

// actStarted says how an act ended, or that it goes on in the background. The page is
// loaded again, because the act may have changed any of its rows.
func (h *Handlers) actStarted(w http.ResponseWriter, r *http.Request, act connexa.BulkAct, back string) error {
	if !act.State.Live() {
		h.told.noteAct(act)
	}
	h.flashToast(w, r, views.ActToast(act))
	return h.redirectTo(w, r, back)
}

// pageAfterAct returns the next page after an act: the page that it came from.
func pageAfterAct(r *http.Request) string {
	to := pageAfter(pageBefore(r))
	if u, err := url.Parse(to); err != nil || u.Path == "/" || u.Path == "/acts" || u.Path == "/acts/logins" {
		return "/nodes"
	}
	return to
}

// actBars returns the acts that are going on.
func (h *Handlers) actBars(ctx context.Context) (live, ended []connexa.BulkAct, err error) {
	acts, err := h.acts.LiveActs(ctx)
	for _, a := range acts {
		if a.State.Live() {
			live = append(live, a)
		} else {
			ended = append(ended, a)
		}
	}
	return live, ended, err
}

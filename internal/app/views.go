package app

import (
	"context"

	"github.com/connexa-panel/connexa/internal/connexa"
)

type viewStore interface {
	Views(ctx context.Context, account int64) ([]connexa.View, error)
	View(ctx context.Context, account, id int64) (connexa.View, error)
	StartView(ctx context.Context, account int64) (connexa.View, error)
	AddView(ctx context.Context, v connexa.View, most int) (id int64, err error)
	SaveView(ctx context.Context, v connexa.View) error
	DeleteView(ctx context.Context, account, id int64) error
	SetStartView(ctx context.Context, account, id int64, on bool) error
}

// maxViews is the maximum number of views of an account.
const maxViews = 100

// Views are the saved filters of the accounts. A private view exists only for its
// owner; a shared one is used by all accounts and changed by its owner.
type Views struct {
	env   Env
	store viewStore
	nodes nodeReader
}

// NewViews returns Views.
func NewViews(env Env, store viewStore, nodes nodeReader) *Views {
	return &Views{env: env, store: store, nodes: nodes}
}

// AllViews lists the views that an account may use: its own, then the shared ones of
// others.
func (a *Views) AllViews(ctx context.Context, account int64) ([]connexa.View, error) {
	return a.store.Views(ctx, account)
}

// View returns a view that an account may use, or NotFound.
func (a *Views) View(ctx context.Context, account, id int64) (connexa.View, error) {
	return a.store.View(ctx, account, id)
}

// OwnView returns a view that an account may change. The error is NotFound for a private
// view of another account, and Forbidden for a shared one.
func (a *Views) OwnView(ctx context.Context, account, id int64) (connexa.View, error) {
	v, err := a.store.View(ctx, account, id)
	if err == nil && v.AccountID != account {
		err = connexa.Errorf(connexa.Forbidden, "view.foreign", v.Owner)
	}
	return v, err
}

// StartView returns the start page of an account; ok is false if it has none.
func (a *Views) StartView(ctx context.Context, account int64) (v connexa.View, ok bool, err error) {
	v, err = a.store.StartView(ctx, account)
	if connexa.CodeOf(err) == connexa.NotFound {
		return v, false, nil
	}
	return v, err == nil, err
}

// CountedView is a view with the number of its nodes.
type CountedView struct {
	connexa.View
	Count   int
	Problem connexa.Text // with its filter; then there is no Count
}

// Tiles returns the views that the dashboard of an account shows.
func (a *Views) Tiles(ctx context.Context, account int64) ([]CountedView, error) {
	list, err := a.store.Views(ctx, account)
	if err != nil {
		return nil, err
	}
	var tiles []CountedView
	for _, v := range list {
		if !v.Tile {
			continue
		}
		tile := CountedView{View: v}
		f, err := v.Filter()
		if err != nil {
			tile.Problem = connexa.TextOf(err)
		} else if tile.Count, err = a.nodes.CountNodes(ctx, connexa.Selection{All: true, Filter: f}); err != nil {
			return nil, err
		}
		tiles = append(tiles, tile)
	}
	return tiles, nil
}

// AddView adds a view of an account, or says with FieldErrors what is wrong with in.
func (a *Views) AddView(ctx context.Context, account int64, in connexa.ViewInput) (connexa.View, error) {
	v, err := in.Parse()
	if err != nil {
		return v, err
	}
	v.AccountID = account
	if v.ID, err = a.store.AddView(ctx, v, maxViews); err != nil {
		return v, nameError(err)
	}
	if v.Start {
		err = a.store.SetStartView(ctx, account, v.ID, true)
	}
	a.env.recordAct(ctx, connexa.ActSettings, connexa.T("audit.view.added", v.Name))
	return v, err
}

// SaveView replaces a view of an account, or says with FieldErrors what is wrong with in.
// The errors of OwnView apply.
func (a *Views) SaveView(ctx context.Context, account, id int64, in connexa.ViewInput) (connexa.View, error) {
	was, err := a.OwnView(ctx, account, id)
	if err != nil {
		return was, err
	}
	v, err := in.Parse()
	if err != nil {
		return v, err
	}
	v.ID, v.AccountID = id, account
	if err := a.store.SaveView(ctx, v); err != nil {
		return v, nameError(err)
	}
	if v.Start != was.Start {
		err = a.store.SetStartView(ctx, account, id, v.Start)
	}
	a.env.recordAct(ctx, connexa.ActSettings, connexa.T("audit.view.changed", v.Name))
	return v, err
}

// DeleteView deletes a view of an account. The errors of OwnView apply.
func (a *Views) DeleteView(ctx context.Context, account, id int64) (connexa.View, error) {
	v, err := a.OwnView(ctx, account, id)
	if err != nil {
		return v, err
	}
	if err := a.store.DeleteView(ctx, account, id); err != nil {
		return v, err
	}
	a.env.recordAct(ctx, connexa.ActSettings, connexa.T("audit.view.deleted", v.Name))
	return v, nil
}

// SetStartView makes a view that an account may use its start page, or no longer.
func (a *Views) SetStartView(ctx context.Context, account, id int64, on bool) (connexa.View, error) {
	v, err := a.store.View(ctx, account, id)
	if err != nil {
		return v, err
	}
	return v, a.store.SetStartView(ctx, account, id, on)
}

// nameError turns the error that the name is taken into one at the form's field.
func nameError(err error) error {
	if connexa.TextOf(err).Key == "view.taken" {
		return connexa.FieldErrors{"name": connexa.T("view.taken")}
	}
	return err
}

package app

import (
	"context"

	"github.com/connexa-panel/connexa/internal/connexa"
)

type accessStore interface {
	AddAccess(ctx context.Context, u connexa.AccessUser, password connexa.Secret) (int64, error)
	EditAccess(ctx context.Context, u connexa.AccessUser, password connexa.Secret) error
	SetAccessPassword(ctx context.Context, id int64, password connexa.Secret) error
	EnableAccess(ctx context.Context, id int64, enabled bool) error
	DeleteAccess(ctx context.Context, id int64) error
	AccessUsers(ctx context.Context) ([]connexa.AccessUser, error)
	AccessUser(ctx context.Context, id int64) (connexa.AccessUser, error)
	AccessPassword(ctx context.Context, id int64) (connexa.Secret, error)
}

// accessView knows what access users do at this moment.
type accessView interface {
	Live(id int64) (connexa.AccessLive, bool)
	Reset(ctx context.Context, ids ...int64) error
}

// AccessRow is an access user with what it does now.
type AccessRow struct {
	connexa.AccessUser
	Live connexa.AccessLive
}

// AccessUsers lists the access users by name.
func (a *App) AccessUsers(ctx context.Context) ([]AccessRow, error) {
	users, err := a.Access.AccessUsers(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]AccessRow, len(users))
	for i, u := range users {
		rows[i] = a.accessRow(u)
	}
	return rows, nil
}

// AccessUser returns one access user.
func (a *App) AccessUser(ctx context.Context, id int64) (AccessRow, error) {
	u, err := a.Access.AccessUser(ctx, id)
	if err != nil {
		return AccessRow{}, err
	}
	return a.accessRow(u), nil
}

// accessRow adds to a user what it does now; of one that nobody has read yet the
// row itself tells.
func (a *App) accessRow(u connexa.AccessUser) AccessRow {
	live, ok := a.Accounts.Live(u.ID)
	if !ok {
		live = connexa.AccessLive{Up: u.Up, Down: u.Down, SeenAt: u.SeenAt, SeenFrom: u.SeenFrom}
	}
	live.State = u.State(a.Now(), live.Up+live.Down) // of the row: the view follows an edit a moment later
	return AccessRow{u, live}
}

// AddAccess checks in and adds it as an access user; without a password it makes
// one. What is wrong with it comes as FieldErrors.
func (a *App) AddAccess(ctx context.Context, in connexa.AccessInput) (int64, error) {
	u, password, err := connexa.ParseAccess(in, a.PanelZone())
	if err != nil {
		return 0, err
	}
	if password == "" {
		password = randomPassword()
	}
	id, err := a.Access.AddAccess(ctx, u, password)
	if err != nil {
		if connexa.TextOf(err).Key == "error.exists" {
			err = connexa.FieldErrors{"name": connexa.T("access.taken")}
		}
		return 0, err
	}
	a.accessChanged(ctx, connexa.ActAccessAdded, 0, connexa.T("audit.access", u.Name))
	return id, nil
}

// EditAccess checks in and puts it in place of what a person wrote about the
// access user but for its name; an empty password keeps the old one. revision is
// that of the user when the person began: when it is no longer, the edit is
// Conflict.
func (a *App) EditAccess(ctx context.Context, id, revision int64, in connexa.AccessInput) error {
	old, err := a.Access.AccessUser(ctx, id)
	if err != nil {
		return err
	}
	in.Name = old.Name
	u, password, err := connexa.ParseAccess(in, a.PanelZone())
	if err != nil {
		return err
	}
	u.ID, u.Revision = id, revision
	if in.Expires == connexa.ExpiryDay(old.Expires, a.PanelZone()) {
		u.Expires = old.Expires // it may have been set in another zone
	}
	if err := a.Access.EditAccess(ctx, u, password); err != nil {
		return err
	}
	changes := connexa.AccessChanges(&old, &u, a.PanelZone())
	if password != "" {
		changes = append(changes, connexa.PasswordChange())
	}
	a.accessChanged(ctx, connexa.ActAccessChanged, id, edited(connexa.T("audit.access", u.Name), changes))
	return nil
}

// EnableAccess lets an access user in, or cuts it off.
func (a *App) EnableAccess(ctx context.Context, id int64, enabled bool) error {
	what := "audit.access.disabled"
	if enabled {
		what = "audit.access.enabled"
	}
	return a.changeAccess(ctx, id, connexa.ActAccessChanged, what, func(ctx context.Context) error {
		return a.Access.EnableAccess(ctx, id, enabled)
	})
}

// RenewAccess gives an access user a new password that nobody chose.
func (a *App) RenewAccess(ctx context.Context, id int64) error {
	return a.changeAccess(ctx, id, connexa.ActAccessChanged, "audit.access.password", func(ctx context.Context) error {
		return a.Access.SetAccessPassword(ctx, id, randomPassword())
	})
}

// ResetAccess begins the counters of an access user anew, and with them its quota.
func (a *App) ResetAccess(ctx context.Context, id int64) error {
	return a.changeAccess(ctx, id, connexa.ActAccessChanged, "audit.access.reset", func(ctx context.Context) error {
		return a.Accounts.Reset(ctx, id)
	})
}

// DeleteAccess deletes an access user.
func (a *App) DeleteAccess(ctx context.Context, id int64) error {
	return a.changeAccess(ctx, id, connexa.ActAccessDeleted, "audit.access", func(ctx context.Context) error {
		return a.Access.DeleteAccess(ctx, id)
	})
}

// changeAccess does something to an access user and tells of it.
func (a *App) changeAccess(ctx context.Context, id int64, act connexa.Act, what string, change func(context.Context) error) error {
	u, err := a.Access.AccessUser(ctx, id)
	if err != nil {
		return err
	}
	if err := change(ctx); err != nil {
		return err
	}
	changed := id
	if act == connexa.ActAccessDeleted {
		changed = 0
	}
	a.accessChanged(ctx, act, changed, connexa.T(what, u.Name))
	return nil
}

// accessChanged tells everybody; id is zero where the list has changed.
func (a *App) accessChanged(ctx context.Context, act connexa.Act, id int64, what connexa.Text) {
	a.Publish(connexa.Event{Topic: connexa.AccessChanged, ID: id})
	a.audit(ctx, act, what)
}

// RevealAccess returns the password of an access user, and records that it did.
func (a *App) RevealAccess(ctx context.Context, id int64) (connexa.Secret, error) {
	u, err := a.Access.AccessUser(ctx, id)
	if err != nil {
		return "", err
	}
	password, err := a.Access.AccessPassword(ctx, id)
	if err != nil {
		return "", err
	}
	a.audit(ctx, connexa.ActReveal, connexa.T("audit.access", u.Name))
	return password, nil
}

// AccessServices lists the services that run and that an access user may use.
func (a *App) AccessServices(ctx context.Context, u *connexa.AccessUser) ([]NodeService, error) {
	list, err := a.RunningServices(ctx, connexa.ServiceFilter{})
	if err != nil {
		return nil, err
	}
	var may []NodeService
	for _, s := range list {
		if u.MayUse(s.Node.ID, s.Node.Tags) {
			may = append(may, s)
		}
	}
	return may, nil
}

// ServedNodes lists the nodes that have, or had, a service, by their addresses:
// those that an access user may be given.
func (a *App) ServedNodes(ctx context.Context, also []int64) ([]NodeService, error) {
	services, err := a.Services.ServiceRows(ctx, nil)
	if err != nil {
		return nil, err
	}
	ids := append([]int64(nil), also...)
	for id := range services {
		ids = append(ids, id)
	}
	return a.nodeServices(ctx, ids, services)
}

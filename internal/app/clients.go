package app

import (
	"context"

	"github.com/connexa-panel/connexa/internal/connexa"
)

type clientStore interface {
	AddClient(ctx context.Context, u connexa.Client, password connexa.Secret) (int64, error)
	EditClient(ctx context.Context, u connexa.Client, password connexa.Secret) error
	SetClientPassword(ctx context.Context, id int64, password connexa.Secret) error
	EnableClient(ctx context.Context, id int64, enabled bool) error
	DeleteClient(ctx context.Context, id int64) error
	Clients(ctx context.Context) ([]connexa.Client, error)
	Client(ctx context.Context, id int64) (connexa.Client, error)
	ClientPassword(ctx context.Context, id int64) (connexa.Secret, error)
}

// clientUsage knows what access users do at this moment.
type clientUsage interface {
	Live(id int64) (connexa.ClientLive, bool)
	Reset(ctx context.Context, ids ...int64) error
}

// ClientRow is an access user with what it does now.
type ClientRow struct {
	connexa.Client
	Live connexa.ClientLive
}

// Clients may use the services of nodes.
type Clients struct {
	env      Env
	store    clientStore
	usage    clientUsage
	services *Services
}

// NewClients returns the service.
func NewClients(env Env, store clientStore, usage clientUsage, services *Services) *Clients {
	return &Clients{env: env, store: store, usage: usage, services: services}
}

// Clients lists the access users by name.
func (a *Clients) Clients(ctx context.Context) ([]ClientRow, error) {
	users, err := a.store.Clients(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]ClientRow, len(users))
	for i, u := range users {
		rows[i] = a.clientRow(u)
	}
	return rows, nil
}

// Client returns one access user.
func (a *Clients) Client(ctx context.Context, id int64) (ClientRow, error) {
	u, err := a.store.Client(ctx, id)
	if err != nil {
		return ClientRow{}, err
	}
	return a.clientRow(u), nil
}

// clientRow adds to a user what it does now; of one that nobody has read yet the
// row itself tells.
func (a *Clients) clientRow(u connexa.Client) ClientRow {
	live, ok := a.usage.Live(u.ID)
	if !ok {
		live = connexa.ClientLive{Up: u.Up, Down: u.Down, SeenAt: u.SeenAt, SeenFrom: u.SeenFrom}
	}
	live.State = u.State(a.env.Now(), live.Up+live.Down) // of the row: the view follows an edit a moment later
	return ClientRow{u, live}
}

// AddClient checks in and adds it as an access user; without a password it makes
// one. What is wrong with it comes as FieldErrors.
func (a *Clients) AddClient(ctx context.Context, in connexa.ClientInput) (int64, error) {
	u, password, err := connexa.ParseClient(in, a.env.zone())
	if err != nil {
		return 0, err
	}
	if password == "" {
		password = randomPassword()
	}
	id, err := a.store.AddClient(ctx, u, password)
	if err != nil {
		if connexa.TextOf(err).Key == "error.exists" {
			err = connexa.FieldErrors{"name": connexa.T("clients.taken")}
		}
		return 0, err
	}
	a.clientChanged(ctx, connexa.ActClientAdded, 0, connexa.T("audit.client", u.Name))
	return id, nil
}

// EditClient checks in and puts it in place of what a person wrote about the
// access user but for its name; an empty password keeps the old one. revision is
// that of the user when the person began: when it is no longer, the edit is
// Conflict.
func (a *Clients) EditClient(ctx context.Context, id, revision int64, in connexa.ClientInput) error {
	old, err := a.store.Client(ctx, id)
	if err != nil {
		return err
	}
	in.Name = old.Name
	u, password, err := connexa.ParseClient(in, a.env.zone())
	if err != nil {
		return err
	}
	u.ID, u.Revision = id, revision
	if in.Expires == connexa.ExpiryDay(old.Expires, a.env.zone()) {
		u.Expires = old.Expires // it may have been set in another zone
	}
	if err := a.store.EditClient(ctx, u, password); err != nil {
		return err
	}
	changes := connexa.ClientChanges(&old, &u, a.env.zone())
	if password != "" {
		changes = append(changes, connexa.PasswordChange())
	}
	a.clientChanged(ctx, connexa.ActClientChanged, id, editedError(connexa.T("audit.client", u.Name), changes))
	return nil
}

// EnableClient lets an access user in, or cuts it off.
func (a *Clients) EnableClient(ctx context.Context, id int64, enabled bool) error {
	what := "audit.clients.disabled"
	if enabled {
		what = "audit.clients.enabled"
	}
	return a.changeClient(ctx, id, connexa.ActClientChanged, what, func(ctx context.Context) error {
		return a.store.EnableClient(ctx, id, enabled)
	})
}

// RenewClientPassword gives an access user a new password that nobody chose.
func (a *Clients) RenewClientPassword(ctx context.Context, id int64) error {
	return a.changeClient(ctx, id, connexa.ActClientChanged, "audit.clients.password", func(ctx context.Context) error {
		return a.store.SetClientPassword(ctx, id, randomPassword())
	})
}

// ResetClientUsage begins the counters of an access user anew, and with them its quota.
func (a *Clients) ResetClientUsage(ctx context.Context, id int64) error {
	return a.changeClient(ctx, id, connexa.ActClientChanged, "audit.clients.reset", func(ctx context.Context) error {
		return a.usage.Reset(ctx, id)
	})
}

// DeleteClient deletes an access user.
func (a *Clients) DeleteClient(ctx context.Context, id int64) error {
	return a.changeClient(ctx, id, connexa.ActClientDeleted, "audit.client", func(ctx context.Context) error {
		return a.store.DeleteClient(ctx, id)
	})
}

// changeClient does something to an access user and tells of it.
func (a *Clients) changeClient(ctx context.Context, id int64, act connexa.Act, what string, change func(context.Context) error) error {
	u, err := a.store.Client(ctx, id)
	if err != nil {
		return err
	}
	if err := change(ctx); err != nil {
		return err
	}
	changed := id
	if act == connexa.ActClientDeleted {
		changed = 0
	}
	a.clientChanged(ctx, act, changed, connexa.T(what, u.Name))
	return nil
}

// clientChanged tells everybody; id is zero where the list has changed.
func (a *Clients) clientChanged(ctx context.Context, act connexa.Act, id int64, what connexa.Text) {
	a.env.Publish(connexa.Event{Topic: connexa.ClientChanged, ID: id})
	a.env.recordAct(ctx, act, what)
}

// RevealClientPassword returns the password of an access user, and records that it did.
func (a *Clients) RevealClientPassword(ctx context.Context, id int64) (connexa.Secret, error) {
	u, err := a.store.Client(ctx, id)
	if err != nil {
		return "", err
	}
	password, err := a.store.ClientPassword(ctx, id)
	if err != nil {
		return "", err
	}
	a.env.recordAct(ctx, connexa.ActReveal, connexa.T("audit.client", u.Name))
	return password, nil
}

// ClientServices lists the services that run and that an access user may use.
func (a *Clients) ClientServices(ctx context.Context, u *connexa.Client) ([]NodeService, error) {
	list, err := a.services.RunningServices(ctx, connexa.ServiceFilter{})
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

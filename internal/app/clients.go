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

// clientUsage holds the current activity of clients.
type clientUsage interface {
	Live(id int64) (connexa.ClientLive, bool)
	Reset(ctx context.Context, ids ...int64) error
}

// ClientRow is a client with its current activity.
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

// NewClients returns Clients.
func NewClients(env Env, store clientStore, usage clientUsage, services *Services) *Clients {
	return &Clients{env: env, store: store, usage: usage, services: services}
}

// Clients lists the clients by name.
func (a *Clients) Clients(ctx context.Context) ([]ClientRow, error) {
	clients, err := a.store.Clients(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]ClientRow, len(clients))
	for i, u := range clients {
		rows[i] = a.clientRow(u)
	}
	return rows, nil
}

// Client returns one client.
func (a *Clients) Client(ctx context.Context, id int64) (ClientRow, error) {
	u, err := a.store.Client(ctx, id)
	if err != nil {
		return ClientRow{}, err
	}
	return a.clientRow(u), nil
}

// clientRow adds the current activity of a client. A client that is not loaded yet has
// that of its row.
func (a *Clients) clientRow(u connexa.Client) ClientRow {
	live, ok := a.usage.Live(u.ID)
	if !ok {
		live = connexa.ClientLive{Up: u.Up, Down: u.Down, SeenAt: u.SeenAt, SeenFrom: u.SeenFrom}
	}
	live.State = u.State(a.env.Now(), live.Up+live.Down) // from the row, because the directory follows an edit a moment later
	return ClientRow{u, live}
}

// AddClient adds a client, with a generated password if in has none, or says with
// FieldErrors what is wrong with in.
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

// EditClient replaces the settings of a client except its name; an empty password keeps
// the stored one. revision is the revision of the client when the edit began. If the
// client has a newer one, the error is Conflict.
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
	a.clientChanged(ctx, connexa.ActClientChanged, id, editedText(connexa.T("audit.client", u.Name), changes))
	return nil
}

// EnableClient enables a client, or disables it and closes its connections.
func (a *Clients) EnableClient(ctx context.Context, id int64, enabled bool) error {
	what := "audit.clients.disabled"
	if enabled {
		what = "audit.clients.enabled"
	}
	return a.changeClient(ctx, id, connexa.ActClientChanged, what, func(ctx context.Context) error {
		return a.store.EnableClient(ctx, id, enabled)
	})
}

// RenewClientPassword gives a client a generated password.
func (a *Clients) RenewClientPassword(ctx context.Context, id int64) error {
	return a.changeClient(ctx, id, connexa.ActClientChanged, "audit.clients.password", func(ctx context.Context) error {
		return a.store.SetClientPassword(ctx, id, randomPassword())
	})
}

// ResetClientUsage resets the counters of a client, and so its quota.
func (a *Clients) ResetClientUsage(ctx context.Context, id int64) error {
	return a.changeClient(ctx, id, connexa.ActClientChanged, "audit.clients.reset", func(ctx context.Context) error {
		return a.usage.Reset(ctx, id)
	})
}

// DeleteClient deletes a client.
func (a *Clients) DeleteClient(ctx context.Context, id int64) error {
	return a.changeClient(ctx, id, connexa.ActClientDeleted, "audit.client", func(ctx context.Context) error {
		return a.store.DeleteClient(ctx, id)
	})
}

// changeClient calls change for a client, publishes the change and records it. what is
// the text key of the audit row.
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

// clientChanged publishes and records a change. id is zero if the list of clients
// changed.
func (a *Clients) clientChanged(ctx context.Context, act connexa.Act, id int64, what connexa.Text) {
	a.env.Publish(connexa.Event{Topic: connexa.ClientChanged, ID: id})
	a.env.recordAct(ctx, act, what)
}

// RevealClientPassword returns the password of a client and records the act.
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

// ClientServices lists the running services that a client may use.
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

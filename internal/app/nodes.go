package app

import (
	"context"
	"iter"
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// nodeReader is what other services read of the nodes.
type nodeReader interface {
	CountNodes(ctx context.Context, s connexa.Selection) (int, error)
	SelectNodes(ctx context.Context, s connexa.Selection) ([]int64, error)
	Node(ctx context.Context, id int64) (connexa.Node, error)
	NodesByID(ctx context.Context, ids []int64) ([]connexa.Node, error)
}

type nodeStore interface {
	nodeReader
	ListNodes(ctx context.Context, q connexa.ListQuery) (connexa.NodePage, error)
	ListWithFacets(ctx context.Context, q connexa.ListQuery) (connexa.NodePage, connexa.Facets, error)
	OrderedNodes(ctx context.Context, s connexa.Selection, by connexa.Sort) ([]int64, error)
	Facets(ctx context.Context, f connexa.Filter) (connexa.Facets, error)
	NodeValues(ctx context.Context, field string, f connexa.Filter) ([]connexa.Facet, error)
	NodePassword(ctx context.Context, id int64) (connexa.Secret, error)
	AddNode(ctx context.Context, n connexa.Node, password connexa.Secret, by string) (int64, error)
	EditNode(ctx context.Context, n connexa.Node, password connexa.Secret, by string) (reset bool, err error)
	EditNodeField(ctx context.Context, id, revision int64, field, was, text, by string) (before, after connexa.Node, err error)
	ExportNodes(ctx context.Context, s connexa.Selection, secrets bool) iter.Seq2[connexa.Exported, error]
	LastExport(ctx context.Context, accountID int64) (connexa.ExportOptions, error)
	SetLastExport(ctx context.Context, accountID int64, o connexa.ExportOptions) error
}

// Nodes are the PPTP servers with their logins.
type Nodes struct {
	env      Env
	store    nodeStore
	settings *Settings
}

// NewNodes returns Nodes.
func NewNodes(env Env, store nodeStore, settings *Settings) *Nodes {
	return &Nodes{env: env, store: store, settings: settings}
}

// ListNodes returns one page of the node list.
func (a *Nodes) ListNodes(ctx context.Context, q connexa.ListQuery) (connexa.NodePage, error) {
	return a.store.ListNodes(ctx, q)
}

// ListWithFacets returns one page of the node list, and what Facets returns for its filter.
func (a *Nodes) ListWithFacets(ctx context.Context, q connexa.ListQuery) (connexa.NodePage, connexa.Facets, error) {
	return a.store.ListWithFacets(ctx, q)
}

// Facets returns the values that the filters of the node list offer. The result is
// shared and must not be changed.
func (a *Nodes) Facets(ctx context.Context, f connexa.Filter) (connexa.Facets, error) {
	return a.store.Facets(ctx, f)
}

// NodeValues counts the values of a field that has a set of them, such as a city, the
// most frequent first.
func (a *Nodes) NodeValues(ctx context.Context, field string, f connexa.Filter) ([]connexa.Facet, error) {
	return a.store.NodeValues(ctx, field, f)
}

// NodesByID returns the nodes of ids in that order, without those that do not exist.
func (a *Nodes) NodesByID(ctx context.Context, ids []int64) ([]connexa.Node, error) {
	return a.store.NodesByID(ctx, ids)
}

// OrderedNodes returns the nodes of s in an order, at most the first ones.
func (a *Nodes) OrderedNodes(ctx context.Context, s connexa.Selection, by connexa.Sort, most int) ([]connexa.Node, error) {
	ids, err := a.store.OrderedNodes(ctx, s, by)
	if err != nil {
		return nil, err
	}
	return a.store.NodesByID(ctx, ids[:min(most, len(ids))])
}

// Node returns one node.
func (a *Nodes) Node(ctx context.Context, id int64) (connexa.Node, error) {
	return a.store.Node(ctx, id)
}

// AddNode adds a node that was never tested, or says with FieldErrors what is wrong
// with in.
func (a *Nodes) AddNode(ctx context.Context, in connexa.NodeInput) (int64, error) {
	n, password, err := connexa.ParseNode(in)
	if err != nil {
		return 0, err
	}
	by, _ := Actor(ctx)
	id, err := a.store.AddNode(ctx, n, password, by)
	if err != nil {
		return 0, takenError(err)
	}
	a.env.recordAct(ctx, connexa.ActNodeAdded, nameOf(id, &n))
	a.env.Publish(connexa.Event{Topic: connexa.FleetChanged})
	return id, nil
}

// EditNode replaces the descriptive columns and the login of a node; an empty password
// keeps the stored one. If the stored password would go to another server or be less
// protected (connexa.Exposes), it must be typed again unless ctx has a proof
// (WithProof); the error is at the field "password". revision is the revision of the
// node when the edit began. If the node has a newer one, the error is Conflict. reset
// reports whether the edit reset the status.
func (a *Nodes) EditNode(ctx context.Context, id, revision int64, in connexa.NodeInput) (reset bool, err error) {
	was, err := a.store.Node(ctx, id)
	if err != nil {
		return false, err
	}
	stored, err := a.store.NodePassword(ctx, id)
	if err != nil {
		return false, err
	}
	kept := in.Password == ""
	if kept {
		in.Password = stored.Reveal()
	}
	n, password, err := connexa.ParseNode(in)
	if err != nil {
		return false, err
	}
	s, err := a.settings.CurrentSettings(ctx)
	if err != nil {
		return false, err
	}
	if kept && !Proved(ctx) && connexa.Exposes(&was, &n, s.Encryption) {
		return false, connexa.FieldErrors{"password": connexa.T("account.proof.node")}
	}
	n.ID, n.Revision = id, revision
	by, _ := Actor(ctx)
	if reset, err = a.store.EditNode(ctx, n, password, by); err != nil {
		return false, takenError(err)
	}
	changes := connexa.NodeChanges(&was, &n)
	if password != stored {
		changes = append(changes, connexa.PasswordChange())
	}
	a.env.recordAct(ctx, connexa.ActNodeEdited, editedText(nameOf(id, &n), changes))
	a.env.Publish(connexa.Event{Topic: connexa.NodeChanged, ID: id})
	a.env.Publish(connexa.Event{Topic: connexa.FleetChanged})
	return reset, nil
}

// takenError turns the error that the node exists into one at the form's field.
func takenError(err error) error {
	if connexa.TextOf(err).Key == "error.exists" {
		return connexa.FieldErrors{"login": connexa.T("node.taken")}
	}
	return err
}

// CountNodes counts the nodes of s now.
func (a *Nodes) CountNodes(ctx context.Context, s connexa.Selection) (int, error) {
	return a.store.CountNodes(ctx, s)
}

// ExportNodes records the export and yields the nodes of s. The caller must check that
// the user may have secrets.
func (a *Nodes) ExportNodes(ctx context.Context, s connexa.Selection, secrets bool) (iter.Seq2[connexa.Exported, error], error) {
	n, err := a.store.CountNodes(ctx, s)
	if err != nil {
		return nil, err
	}
	with := "audit.plain"
	if secrets {
		with = "audit.secrets"
	}
	a.env.recordAct(ctx, connexa.ActExport, connexa.T(with, nodesOf(n, s)))
	return a.store.ExportNodes(ctx, s, secrets), nil
}

// LastExport returns the options of the last export of an account, or a CSV without
// passwords before the first one.
func (a *Nodes) LastExport(ctx context.Context, accountID int64) (connexa.ExportOptions, error) {
	last, err := a.store.LastExport(ctx, accountID)
	if err != nil {
		return last, err
	}
	if o, err := connexa.ParseExport(string(last.Form), last.Columns); err == nil {
		return o, nil
	}
	return connexa.UsualExport(false), nil
}

// SetLastExport stores the options for LastExport.
func (a *Nodes) SetLastExport(ctx context.Context, accountID int64, o connexa.ExportOptions) error {
	return a.store.SetLastExport(ctx, accountID, o)
}

// RevealPassword returns the password of a node and records the act.
func (a *Nodes) RevealPassword(ctx context.Context, id int64) (connexa.Secret, error) {
	n, err := a.store.Node(ctx, id)
	if err != nil {
		return "", err
	}
	password, err := a.store.NodePassword(ctx, id)
	if err != nil {
		return "", err
	}
	a.env.recordAct(ctx, connexa.ActReveal, nameOf(id, &n))
	return password, nil
}

// editedText is the audit detail of an edit: the edited object and each change.
func editedText(what connexa.Text, changes []connexa.Change) connexa.Text {
	if len(changes) == 0 {
		return what
	}
	return connexa.T("audit.edited", what, connexa.ChangesText(changes))
}

// nameOf names a node in the audit log, which outlives the node.
func nameOf(id int64, n *connexa.Node) connexa.Text {
	return connexa.T("audit.node", strconv.FormatInt(id, 10), n.HostPort(), n.Login)
}

// nodesOf describes n nodes and the filter that selected them in the audit log.
func nodesOf(n int, s connexa.Selection) connexa.Text {
	switch {
	case !s.All:
		return connexa.T("nodes.match", n)
	case s.Filter.IsZero():
		return connexa.T("audit.nodes.all", n)
	default:
		return connexa.T("audit.nodes.filter", n, s.Filter.String())
	}
}

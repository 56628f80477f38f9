package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// SmallAct is the maximum number of nodes of an act that is done before StartAct
// returns. RunActs does larger acts.
const SmallAct = 500

const (
	actEvery   = 250 * time.Millisecond // the minimum interval between two progress events
	fleetEvery = time.Second            // the same for FleetChanged, which makes expensive counts
	actRetry   = 10 * time.Second       // after an internal error
	actShown   = 20 * time.Second       // how long an act is listed after its end
	actPreview = 5                      // nodes
)

type actStore interface {
	StartAct(ctx context.Context, n connexa.NewAct) (connexa.BulkAct, error)
	AdvanceAct(ctx context.Context, id int64, issue connexa.IssueVPN) (connexa.ActStep, error)
	ConfirmAct(ctx context.Context, id int64, audit connexa.AuditRow) (connexa.BulkAct, error)
	CancelAct(ctx context.Context, id int64) (connexa.BulkAct, error)
	UndoAct(ctx context.Context, id int64, account string) (connexa.BulkAct, error)
	Act(ctx context.Context, id int64) (connexa.BulkAct, error)
	LiveActs(ctx context.Context, endedSince time.Time) ([]connexa.BulkAct, error)
	ActsOfAudit(ctx context.Context, rows []int64) (map[int64]connexa.BulkAct, error)
	ActNodes(ctx context.Context, id int64) ([]int64, error)
	Encryptions(ctx context.Context, ids []int64) ([]connexa.EncryptionPolicy, error)
	LoginsAt(ctx context.Context, addresses []string) ([]connexa.NodeLogin, error)
	Bin(ctx context.Context, cursor string, size int) (connexa.BinPage, error)
	SelectBin(ctx context.Context, ids []int64) ([]int64, error)
	Authority(ctx context.Context, create func() (cert string, key connexa.Secret, err error)) (cert string, key connexa.Secret, err error)
}

// Acts are the bulk acts: work on many nodes in the background, and its undo.
type Acts struct {
	env          Env
	store        actStore
	nodes        nodeReader
	settings     *Settings
	services     *Services
	runs         *Runs
	certificates certificates
	bell         bell // wakes RunActs
}

// NewActs returns Acts. The caller must call RunActs.
func NewActs(env Env, store actStore, nodes nodeReader, settings *Settings, services *Services, runs *Runs, certificates certificates) *Acts {
	return &Acts{env: env, store: store, nodes: nodes, settings: settings, services: services, runs: runs, certificates: certificates, bell: runs.bell}
}

// StartAct changes the nodes of s. shown is the number that the user confirmed; if s has
// another number of nodes now, nothing is changed and the error is Conflict. More than
// SmallAct nodes are changed in the background. If the act would weaken the protection
// of a stored password and ctx has no proof, the error is at the field "encryption". If
// it would switch no service, the error is Conflict.
func (a *Acts) StartAct(ctx context.Context, s connexa.Selection, shown int, b connexa.Bulk) (connexa.BulkAct, error) {
	ids, err := a.nodes.SelectNodes(ctx, s)
	if err != nil {
		return connexa.BulkAct{}, err
	}
	if len(ids) != shown {
		return connexa.BulkAct{}, connexa.Errorf(connexa.Conflict, "acts.changed", len(ids), shown)
	}
	if err := a.checkExposure(ctx, ids, b); err != nil {
		return connexa.BulkAct{}, err
	}
	if b.Kind.OnServices() {
		if _, err := a.services.PlanServices(ctx, connexa.Selection{IDs: ids}, b.Kind); err != nil {
			return connexa.BulkAct{}, err
		}
	}
	what := nodesOf(len(ids), s)
	if len(ids) == 1 {
		if n, err := a.nodes.Node(ctx, ids[0]); err == nil {
			what = nameOf(n.ID, &n)
		}
	}
	return a.start(ctx, connexa.NewAct{Bulk: b, IDs: ids}, what)
}

// start stores an act. It does a small one at once and leaves others to RunActs.
func (a *Acts) start(ctx context.Context, n connexa.NewAct, what connexa.Text) (connexa.BulkAct, error) {
	n.Audit = a.auditRow(ctx, &n.Bulk, what)
	act, err := a.store.StartAct(ctx, n)
	if err != nil {
		return act, err
	}
	return a.advanceSmall(ctx, act)
}

// auditRow returns the row of the audit table about an act on the nodes that what names.
func (a *Acts) auditRow(ctx context.Context, b *connexa.Bulk, what connexa.Text) connexa.AuditRow {
	detail := what
	switch {
	case b.Kind.Act() == connexa.ActNodesEdited:
		detail = connexa.T("acts.audit", what, b.What())
	case b.Kind == connexa.BulkStartVPN:
		detail = connexa.T("vpn.audit.on", what)
	case b.Kind == connexa.BulkStopVPN:
		detail = connexa.T("vpn.audit.off", what)
	}
	return a.env.auditRow(ctx, b.Kind.Act(), detail)
}

// checkExposure returns an error if the act would weaken the encryption of a node and ctx
// has no proof.
func (a *Acts) checkExposure(ctx context.Context, ids []int64, b connexa.Bulk) error {
	if b.Kind != connexa.BulkEncryption || Proved(ctx) {
		return nil
	}
	s, err := a.settings.CurrentSettings(ctx)
	if err != nil {
		return err
	}
	policies, err := a.store.Encryptions(ctx, ids)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(policies, func(p connexa.EncryptionPolicy) bool {
		return b.Encryption.Under(s.Encryption).Weaker(p.Under(s.Encryption))
	}) {
		return connexa.FieldErrors{"encryption": connexa.T("account.proof.acts")}
	}
	return nil
}

// ConfirmAct begins an act that waits for its confirmation.
func (a *Acts) ConfirmAct(ctx context.Context, id int64) (connexa.BulkAct, error) {
	act, err := a.store.Act(ctx, id)
	if err != nil {
		return act, err
	}
	if act, err = a.store.ConfirmAct(ctx, id, a.auditRow(ctx, &act.Bulk, connexa.T("nodes.match", act.Total))); err != nil {
		return act, err
	}
	return a.advanceSmall(ctx, act)
}

// CancelAct ends an act. The nodes that it has changed stay changed.
func (a *Acts) CancelAct(ctx context.Context, id int64) (connexa.BulkAct, error) {
	act, err := a.store.CancelAct(ctx, id)
	if err != nil {
		return act, err
	}
	done, total := act.Progress()
	a.env.recordAct(ctx, connexa.ActCancelled, connexa.T("acts.audit.cancelled", act.What(), done, total))
	a.env.Publish(connexa.Event{Topic: connexa.ActChanged, ID: id})
	return act, nil
}

// UndoExposes reports whether the undo of an act could weaken the protection of a stored
// password.
func (a *Acts) UndoExposes(ctx context.Context, id int64) (bool, error) {
	act, err := a.store.Act(ctx, id)
	if err != nil || act.Kind != connexa.BulkEncryption {
		return false, err
	}
	s, err := a.settings.CurrentSettings(ctx)
	return act.Encryption.Under(s.Encryption) != connexa.EncryptionOff, err
}

// UndoAct restores what an act changed, where nothing newer changed it. It is Forbidden
// without a proof if it exposes passwords (UndoExposes).
func (a *Acts) UndoAct(ctx context.Context, id int64) (connexa.BulkAct, error) {
	if exposes, err := a.UndoExposes(ctx, id); err != nil {
		return connexa.BulkAct{}, err
	} else if exposes && !Proved(ctx) {
		return connexa.BulkAct{}, connexa.Errorf(connexa.Forbidden, "account.proof.acts")
	}
	by, _ := Actor(ctx)
	act, err := a.store.UndoAct(ctx, id, by)
	if err != nil {
		return act, err
	}
	a.env.recordAct(ctx, connexa.ActUndone, connexa.T("acts.audit", connexa.T("nodes.match", act.Changed), act.What()))
	return a.advanceSmall(ctx, act)
}

// Act returns one act.
func (a *Acts) Act(ctx context.Context, id int64) (connexa.BulkAct, error) {
	return a.store.Act(ctx, id)
}

// LiveActs lists the acts that have work left, and those that ended a moment ago. It
// leaves out those of runs, which have a progress of their own.
func (a *Acts) LiveActs(ctx context.Context) ([]connexa.BulkAct, error) {
	acts, err := a.store.LiveActs(ctx, a.env.Now().Add(-actShown))
	return slices.DeleteFunc(acts, func(act connexa.BulkAct) bool { return act.Kind == connexa.BulkTest }), err
}

// ActsOfAudit returns the acts of rows of the audit table, by row.
func (a *Acts) ActsOfAudit(ctx context.Context, rows []int64) (map[int64]connexa.BulkAct, error) {
	return a.store.ActsOfAudit(ctx, rows)
}

// ActPreview is what an act would change.
type ActPreview struct {
	Total int
	Nodes []PreviewedNode // the first ones
}

// PreviewedNode is a node before an act and the changes of the act.
type PreviewedNode struct {
	Node    connexa.Node
	Changes []connexa.Change // empty if the act changes no field of it
	Full    bool             // it would get too many tags and is left out
}

// PreviewAct returns what an act would change.
func (a *Acts) PreviewAct(ctx context.Context, s connexa.Selection, b connexa.Bulk) (ActPreview, error) {
	ids, err := a.nodes.SelectNodes(ctx, s)
	if err != nil {
		return ActPreview{}, err
	}
	if len(ids) == 0 {
		return ActPreview{}, connexa.Errorf(connexa.NotFound, "acts.gone")
	}
	p := ActPreview{Total: len(ids)}
	nodes, err := a.nodes.NodesByID(ctx, ids[:min(actPreview, len(ids))])
	if err != nil {
		return p, err
	}
	for _, n := range nodes {
		after, ok := b.Apply(n)
		v := PreviewedNode{Node: n, Full: !ok}
		if ok {
			v.Changes = connexa.NodeChanges(&n, &after)
		}
		if b.Kind == connexa.BulkPassword {
			v.Changes = []connexa.Change{connexa.PasswordChange()}
		}
		p.Nodes = append(p.Nodes, v)
	}
	return p, nil
}

// Bin returns one page of the deleted nodes.
func (a *Acts) Bin(ctx context.Context, cursor string, size int) (connexa.BinPage, error) {
	return a.store.Bin(ctx, cursor, size)
}

// CountBin counts the nodes of ids that are in the bin, or all for nil.
func (a *Acts) CountBin(ctx context.Context, ids []int64) (int, error) {
	found, err := a.store.SelectBin(ctx, ids)
	return len(found), err
}

// StartBinAct restores nodes from the bin or deletes them for good. Nil ids are all.
// shown is as in StartAct.
func (a *Acts) StartBinAct(ctx context.Context, ids []int64, shown int, kind connexa.BulkKind) (connexa.BulkAct, error) {
	if !kind.OnBin() {
		return connexa.BulkAct{}, connexa.Errorf(connexa.Invalid, "acts.kind")
	}
	found, err := a.store.SelectBin(ctx, ids)
	if err != nil {
		return connexa.BulkAct{}, err
	}
	if len(found) != shown {
		return connexa.BulkAct{}, connexa.Errorf(connexa.Conflict, "acts.changed", len(found), shown)
	}
	return a.start(ctx, connexa.NewAct{Bulk: connexa.Bulk{Kind: kind}, IDs: found}, connexa.T("nodes.match", len(found)))
}

// RunActs does the acts in the order in which they were started until ctx is done. It
// continues acts that an earlier process left unfinished.
func (a *Acts) RunActs(ctx context.Context) error {
	for {
		var again <-chan time.Time
		if err := a.advanceAll(ctx); err != nil && ctx.Err() == nil {
			a.env.Log.Error("bulk act", "err", err)
			again = time.After(actRetry)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.bell:
		case <-again:
		}
	}
}

// advanceAll does all acts that have work left. An act that fails does not keep the
// others from their turn.
func (a *Acts) advanceAll(ctx context.Context) error {
	var failed []int64
	var errs error
	for {
		acts, err := a.store.LiveActs(ctx, a.env.Now())
		if err != nil {
			return err
		}
		i := slices.IndexFunc(acts, func(act connexa.BulkAct) bool { return act.State.Live() && !slices.Contains(failed, act.ID) })
		if i < 0 {
			return errs
		}
		if _, err := a.advance(ctx, acts[i]); err != nil {
			failed, errs = append(failed, acts[i].ID), errors.Join(errs, err)
		}
	}
}

// advanceSmall does a small act, and leaves others to RunActs.
func (a *Acts) advanceSmall(ctx context.Context, act connexa.BulkAct) (connexa.BulkAct, error) {
	if _, total := act.Progress(); total <= SmallAct {
		// A cancelled request must not leave half an act.
		ended, err := a.advance(context.WithoutCancel(ctx), act)
		if err == nil {
			return ended, nil
		}
		a.env.Log.Error("bulk act", "act", act.ID, "err", err) // RunActs tries again
	} else if act.Kind == connexa.BulkDelete && act.State == connexa.BulkQueued {
		a.stopAhead(ctx, act.ID)
	}
	a.env.Publish(connexa.Event{Topic: connexa.ActChanged, ID: act.ID})
	a.bell.wakeUp()
	return act, nil
}

// stopAhead stops the services of the nodes of a deletion, which may have to wait for its
// turn.
func (a *Acts) stopAhead(ctx context.Context, id int64) {
	ids, err := a.store.ActNodes(ctx, id)
	if err == nil {
		_, err = a.services.unwantServicesOf(context.WithoutCancel(ctx), ids)
	}
	if err != nil { // the act stops them again
		a.env.Log.Error("stop the services of nodes that will be deleted", "act", id, "err", err)
	}
}

// advance does all of an act and publishes what changed.
func (a *Acts) advance(ctx context.Context, act connexa.BulkAct) (connexa.BulkAct, error) {
	if act.Kind == connexa.BulkDelete && act.State != connexa.BulkUndoing {
		ids, err := a.store.ActNodes(ctx, act.ID)
		if err == nil {
			err = a.services.stopServicesOf(WithActor(ctx, act.Account, ""), ids)
		}
		if err != nil {
			return act, err
		}
	}
	issue, err := a.issueOf(ctx, act.Kind)
	if err != nil {
		return act, err
	}
	topic := connexa.NodeChanged
	if act.Kind.OnServices() {
		topic = connexa.ServiceChanged
	}
	var published, fleet time.Time
	for {
		step, err := a.store.AdvanceAct(ctx, act.ID, issue)
		if err != nil {
			return act, err
		}
		act = step.Act
		for _, id := range step.IDs {
			a.env.Publish(connexa.Event{Topic: topic, ID: id})
		}
		for _, id := range step.Runs {
			a.env.Publish(connexa.Event{Topic: connexa.RunChanged, ID: id})
		}
		a.wakeRunner(act.Kind)
		now := a.env.Now()
		if step.Done || now.Sub(published) >= actEvery {
			published = now
			a.env.Publish(connexa.Event{Topic: connexa.ActChanged, ID: act.ID})
		}
		if !act.Kind.OnServices() && act.Kind != connexa.BulkTest && (step.Done || now.Sub(fleet) >= fleetEvery) {
			fleet = now
			a.env.Publish(connexa.Event{Topic: connexa.FleetChanged})
		}
		if step.Done {
			return act, nil
		}
	}
}

// issueOf returns the function that makes the identities of first exits for an act of a
// kind, or nil if it makes none.
func (a *Acts) issueOf(ctx context.Context, kind connexa.BulkKind) (connexa.IssueVPN, error) {
	if kind != connexa.BulkStartVPN {
		return nil, nil
	}
	cert, key, err := a.store.Authority(ctx, a.certificates.Authority)
	if err != nil {
		return nil, err
	}
	return func(node int64) (connexa.VPNIdentity, error) { return a.certificates.Server(cert, key, node) }, nil
}

// wakeRunner begins the work that a batch of an act has ordered.
func (a *Acts) wakeRunner(kind connexa.BulkKind) {
	switch kind {
	case connexa.BulkStart, connexa.BulkStop, connexa.BulkStartVPN, connexa.BulkStopVPN:
		a.services.runner.Wake()
	case connexa.BulkTest:
		a.runs.runner.Wake()
	default: // it needs no runner
	}
}

package app

import (
	"context"

	"github.com/connexa-panel/connexa/internal/connexa"
)

type auditStore interface {
	AddAudit(ctx context.Context, row connexa.AuditRow) error
	AuditRows(ctx context.Context, before int64, size int) ([]connexa.AuditRow, error)
}

// Audit reads the audit log.
type Audit struct{ store auditStore }

// NewAudit returns the service of the audit log in store.
func NewAudit(store auditStore) *Audit { return &Audit{store} }

// AuditPage returns a page of the audit log, the newest rows first. The next page ends
// before next; zero means that there is none.
func (a *Audit) AuditPage(ctx context.Context, before int64, size int) (rows []connexa.AuditRow, next int64, err error) {
	rows, err = a.store.AuditRows(ctx, before, size+1)
	if err != nil {
		return nil, 0, err
	}
	if len(rows) > size {
		rows = rows[:size]
		next = rows[size-1].ID
	}
	return rows, next, nil
}

// recordAct records an act of the account in ctx. An error is only logged: the act has
// already happened.
func (e *Env) recordAct(ctx context.Context, act connexa.Act, detail connexa.Text) {
	if err := e.Audit.AddAudit(context.WithoutCancel(ctx), e.auditRow(ctx, act, detail)); err != nil {
		e.Log.Error("record an act", "act", string(act), "err", err)
	}
}

// auditRow returns the row about an act of the account in ctx.
func (e *Env) auditRow(ctx context.Context, act connexa.Act, detail connexa.Text) connexa.AuditRow {
	name, address := Actor(ctx)
	return connexa.AuditRow{At: e.Now(), Account: name, Address: address, Act: act, Detail: connexa.AuditDetail(detail)}
}

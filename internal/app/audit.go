package app

import (
	"context"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// AuditPage returns up to size audit rows older than the one with the id before
// (zero: from the newest), and the id to go on from, zero at the end.
func (a *App) AuditPage(ctx context.Context, before int64, size int) (rows []connexa.AuditRow, next int64, err error) {
	rows, err = a.Audit.AuditRows(ctx, before, size+1)
	if err != nil {
		return nil, 0, err
	}
	if len(rows) > size {
		rows = rows[:size]
		next = rows[size-1].ID
	}
	return rows, next, nil
}

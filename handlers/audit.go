package handlers

import (
	"net/http"
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

const auditRows = 50

func (h *Handlers) listAudit(w http.ResponseWriter, r *http.Request) error {
	before, err := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64)
	if err != nil || before < 0 {
		before = 0
	}
	rows, next, err := h.audit.AuditPage(r.Context(), before, auditRows)
	if err != nil {
		return err
	}
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	acts, err := h.acts.ActsOfAudit(r.Context(), ids)
	if err != nil {
		return err
	}
	vm := views.AuditPage{Rows: rows, Acts: acts, First: before == 0}
	if next != 0 {
		vm.Older = "/audit?before=" + strconv.FormatInt(next, 10)
	}
	return h.renderPage(w, r, views.Audit(h.layoutData(w, r, connexa.T("audit.title"), views.NavAudit), vm))
}

package views

import (
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

func TestAuditDetail(t *testing.T) {
	en, ru := i18n.New(i18n.English, nil), i18n.New(i18n.Russian, nil)
	kept := connexa.AuditDetail(connexa.T("audit.plain", connexa.T("audit.nodes.filter", 2, "q=ops")))
	for _, c := range []struct {
		p            *i18n.Printer
		detail, want string
	}{
		{en, kept, "2 nodes (q=ops), without passwords"},
		{ru, kept, "2 узла (q=ops), без паролей"},
		{ru, connexa.AuditDetail(connexa.T("audit.import.cancelled", "1024")), "импорт 1024 отменён"},
		{ru, connexa.AuditDetail(connexa.Text{}), ""},
		{ru, "run 7", "run 7"},
		{ru, `{"key":"no.such"}`, `{"key":"no.such"}`},
		{ru, "12", "12"},
	} {
		if got := auditDetail(c.p, c.detail); got != c.want {
			t.Errorf("auditDetail(%s) = %q, want %q", c.detail, got, c.want)
		}
	}
}

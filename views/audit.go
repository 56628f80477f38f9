package views

import (
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// auditDetail is the detail of a row in the reader's language, where it is a
// sentence of ours.
func auditDetail(p *i18n.Printer, detail string) string {
	if t, ok := connexa.AuditText(detail); ok && p.Has(t.Key) {
		return p.Text(t)
	}
	return detail
}

// actTone marks what an admin looks for first.
func actTone(a connexa.Act) Tone {
	switch a {
	case connexa.ActLoginFailed, connexa.ActNodesDeleted:
		return ToneBad
	case connexa.ActExport, connexa.ActReveal, connexa.ActPassword, connexa.ActSessionRevoked:
		return ToneWarn
	case connexa.ActLogin, connexa.ActReauth:
		return ToneInfo
	default:
		return ToneNone
	}
}

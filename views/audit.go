package views

import (
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// auditDetail returns the detail of a row, translated if it is a key of the catalogue.
func auditDetail(p *i18n.Printer, detail string) string {
	if t, ok := connexa.AuditText(detail); ok && p.Has(t.Key) {
		return p.Text(t)
	}
	return detail
}

// actTone returns the colour of an act: important ones stand out.
func actTone(a connexa.Act) Tone {
	switch a {
	case connexa.ActLoginFailed, connexa.ActNodesDeleted, connexa.ActNodesPurged:
		return ToneBad
	case connexa.ActExport, connexa.ActReveal, connexa.ActPassword, connexa.ActSessionRevoked:
		return ToneWarn
	case connexa.ActLogin, connexa.ActReauth:
		return ToneInfo
	default:
		return ToneNone
	}
}

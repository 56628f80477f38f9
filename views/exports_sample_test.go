package views

import (
	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// exportSamples returns the form of an export in its states.
func exportSamples(pg Page) map[string]templ.Component {
	filter := connexa.FilterBy("country", "DE", "FR")
	return map[string]templ.Component{
		"export":         ExportPage(pg, ExportForm{Count: 4688, All: true, Options: connexa.UsualExport(false)}),
		"export-secrets": ExportPage(pg, ExportForm{Count: 312, All: true, Filter: filter, Options: connexa.UsualExport(true), Errors: connexa.FieldErrors{"own_password": connexa.T("export.error.password")}}),
		"export-colons":  ExportPage(pg, ExportForm{Count: 3, Options: connexa.ExportOptions{Form: connexa.ExportColons}, Proved: true}),
		"export-nothing": ExportPage(pg, ExportForm{All: true, Options: connexa.ExportOptions{Form: connexa.ExportCSV}, Errors: connexa.FieldErrors{"column": connexa.T("export.error.columns"), "form": connexa.T("export.error.form")}}),
	}
}

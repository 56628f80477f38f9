package handlers

import (
	"net/http"
	"strconv"

	"github.com/connexa-panel/connexa/internal/i18n"
)

// badLines answers GET /imports/{id}/bad.csv: the bad lines with their numbers, reasons
// and text. The text contains passwords, so it requires a recent authentication.
func (h *Handlers) badLines(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if !h.recentlyAuthenticated(w, r) {
		return nil
	}
	lines, err := h.imports.BadLines(r.Context(), id)
	if err != nil {
		return err
	}
	p := i18n.From(r.Context())
	h.writeCSV(w, "import-"+strconv.FormatInt(id, 10)+"-bad.csv", []string{"line", "reason", "text"}, func(yield func([]string, error) bool) {
		for row, err := range lines {
			if !yield([]string{strconv.Itoa(row.Line), p.Text(row.Problem), row.Raw.Reveal()}, err) {
				return
			}
		}
	})
	return nil
}

package handlers

import (
	"encoding/csv"
	"net/http"
	"strconv"
	"time"

	"github.com/connexa-panel/connexa/internal/i18n"
)

// badLines answers GET /imports/{id}/bad.csv: the bad lines with their numbers,
// the reasons and what stood there. That holds passwords, so it is for who has
// just entered the own one again.
func (h *Handlers) badLines(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if !h.proved(w, r) {
		return
	}
	lines, err := h.app.BadLines(r.Context(), id)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="import-`+strconv.FormatInt(id, 10)+`-bad.csv"`)
	p := i18n.From(r.Context())
	rc := http.NewResponseController(w)
	out := csv.NewWriter(w)
	err = out.Write([]string{"line", "reason", "text"})
	n := 0
	for row, failed := range lines {
		if err == nil {
			err = failed
		}
		if err != nil {
			break
		}
		if n++; n%exportDeadline == 1 {
			_ = rc.SetWriteDeadline(time.Now().Add(exportWithin)) // a writer without deadlines is one of a test
		}
		err = out.Write([]string{strconv.Itoa(row.Line), p.Text(row.Problem), row.Raw.Reveal()})
	}
	if out.Flush(); err == nil {
		err = out.Error()
	}
	if err != nil {
		h.log.Warn("send bad lines", "import", id, "err", err)
		panic(http.ErrAbortHandler) // a file that ends early must not look whole
	}
}

package handlers

import (
	"encoding/csv"
	"iter"
	"net/http"
	"time"
)

const (
	exportDeadline = 500 // rows between two looks at the clock
	exportWithin   = time.Minute
)

// writeCSV sends rows as a file. One that ends early must not look whole.
func (h *Handlers) writeCSV(w http.ResponseWriter, name string, header []string, rows iter.Seq2[[]string, error]) {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	out := csv.NewWriter(w)
	rc := http.NewResponseController(w)
	err := out.Write(header)
	n := 0
	for row, failed := range rows {
		if err == nil {
			err = failed
		}
		if err != nil {
			break
		}
		if n++; n%exportDeadline == 1 {
			_ = rc.SetWriteDeadline(time.Now().Add(exportWithin)) // a writer without deadlines is one of a test
		}
		err = out.Write(row)
	}
	if out.Flush(); err == nil {
		err = out.Error()
	}
	if err != nil {
		h.log.Warn("export a history", "err", err)
		panic(http.ErrAbortHandler)
	}
}

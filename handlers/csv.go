package handlers

import (
	"encoding/csv"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	exportDeadline = 500 // rows between two extensions of the write deadline
	exportWithin   = time.Minute
)

// csvWriter writes the CSV files of the panel. It escapes cells that a spreadsheet
// would run as formulas; the importer reads them back unchanged.
type csvWriter struct {
	out  *csv.Writer
	safe []string
}

func newCSVWriter(w io.Writer) *csvWriter { return &csvWriter{out: csv.NewWriter(w)} }

func (c *csvWriter) writeRow(row []string) error {
	c.safe = c.safe[:0]
	for _, cell := range row {
		c.safe = append(c.safe, connexa.EscapeCell(cell))
	}
	return c.out.Write(c.safe)
}

// flush writes the buffered rows and returns the first error of all writes.
func (c *csvWriter) flush() error {
	c.out.Flush()
	return c.out.Error()
}

// writeCSV sends rows as a file.
func (h *Handlers) writeCSV(w http.ResponseWriter, name string, header []string, rows iter.Seq2[[]string, error]) {
	h.sendFile(w, name, "text/csv; charset=utf-8", func(next func()) error {
		out := newCSVWriter(w)
		if err := out.writeRow(header); err != nil {
			return err
		}
		for row, err := range rows {
			if err != nil {
				return err
			}
			next()
			if err := out.writeRow(row); err != nil {
				return err
			}
		}
		return out.flush()
	})
}

// sendFile sends a file that write writes; it calls next before each row. After an
// error, sendFile aborts the connection, so that an incomplete file does not look
// complete.
func (h *Handlers) sendFile(w http.ResponseWriter, name, kind string, write func(next func()) error) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	rc := http.NewResponseController(w)
	n := 0
	err := write(func() {
		if n++; n%exportDeadline == 1 {
			_ = rc.SetWriteDeadline(time.Now().Add(exportWithin)) // writers of tests have no deadlines
		}
	})
	if err != nil {
		h.log.Warn("send a file", "file", name, "err", err)
		panic(http.ErrAbortHandler)
	}
}

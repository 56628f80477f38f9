package handlers

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// exportColumn is a column of the file.
type exportColumn struct {
	name  string
	value func(*connexa.Exported) string
}

// exportColumns are the columns of the file in their order. The step and the cause
// belong to the status; what the last probe found is in last_check and last_cause.
func exportColumns(secrets bool) []exportColumn {
	list := []exportColumn{
		{"address", func(e *connexa.Exported) string { return e.Address }},
		{"port", func(e *connexa.Exported) string { return strconv.Itoa(e.Port) }},
		{"login", func(e *connexa.Exported) string { return e.Login }},
	}
	if secrets {
		list = append(list, exportColumn{"password", func(e *connexa.Exported) string { return e.Password.Reveal() }})
	}
	for _, c := range connexa.Columns() {
		list = append(list, exportColumn{c.Name, func(e *connexa.Exported) string { return *c.Value(&e.Node) }})
	}
	return append(list,
		exportColumn{"tags", func(e *connexa.Exported) string { return strings.Join(e.Tags, ", ") }},
		exportColumn{"status", func(e *connexa.Exported) string { return string(e.Status) }},
		exportColumn{"suspect", func(e *connexa.Exported) string { return strconv.FormatBool(e.Failures.Suspect()) }},
		exportColumn{"step", func(e *connexa.Exported) string {
			if e.Last.At.IsZero() {
				return ""
			}
			return string(e.Basis.Reached)
		}},
		exportColumn{"cause", func(e *connexa.Exported) string { return string(e.Basis.Cause) }},
		exportColumn{"latency_ms", func(e *connexa.Exported) string { return formatMilliseconds(e.Last.Latency) }},
		exportColumn{"loss", func(e *connexa.Exported) string {
			if e.Last.Attempts == 0 {
				return ""
			}
			return formatDecimal(e.Last.Loss(), 3)
		}},
		exportColumn{"down_mbps", func(e *connexa.Exported) string { return formatMegabits(e.Last.DownBits) }},
		exportColumn{"up_mbps", func(e *connexa.Exported) string { return formatMegabits(e.Last.UpBits) }},
		exportColumn{"last_check", func(e *connexa.Exported) string { return formatTime(e.Last.At) }},
		exportColumn{"status_check", func(e *connexa.Exported) string { return formatTime(e.Basis.At) }},
		exportColumn{"last_cause", func(e *connexa.Exported) string { return string(e.Last.Cause) }},
	)
}

// exportNodes answers GET /nodes.csv with the nodes of a filter, or of "ids". With
// secrets=1 the password follows the login, which requires a recent authentication.
func (h *Handlers) exportNodes(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	if !v.Has("id") && !v.Has("ids") {
		v.Set("all", "1")
	}
	s, err := selectionOf(v)
	if err != nil {
		return err
	}
	secrets := v.Get("secrets") == "1"
	if secrets && !h.recentlyAuthenticated(w, r) {
		return nil
	}
	return h.writeNodes(w, r, s, secrets)
}

// writeNodes sends nodes as a CSV file.
func (h *Handlers) writeNodes(w http.ResponseWriter, r *http.Request, s connexa.Selection, secrets bool) error {
	nodes, err := h.nodes.ExportNodes(r.Context(), s, secrets)
	if err != nil {
		return err
	}
	columns := exportColumns(secrets)
	header := make([]string, len(columns))
	for i, c := range columns {
		header[i] = c.name
	}
	// The rows are one snapshot of the database, which a slow reader must not keep open.
	h.writeCSV(w, "nodes.csv", header, func(yield func([]string, error) bool) {
		for e, err := range nodes {
			row := make([]string, len(columns))
			for i, c := range columns {
				row[i] = c.value(&e)
			}
			if !yield(row, err) {
				return
			}
		}
	})
	return nil
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func formatMegabits(bits int64) string {
	if bits <= 0 {
		return ""
	}
	return formatDecimal(float64(bits)/1e6, 2)
}

// formatDecimal formats f with at most digits decimals and without trailing zeros.
func formatDecimal(f float64, digits int) string {
	s := strconv.FormatFloat(f, 'f', digits, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

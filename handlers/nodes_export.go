package handlers

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

var exportHeader = []string{
	"address", "port", "login", "country", "state", "city", "zip", "provider", "comment", "tags",
	"status", "suspect", "step", "cause", "latency_ms", "loss", "down_mbps", "up_mbps", "last_check",
	"status_check", "last_cause",
}

// exportNodes answers GET /nodes.csv with the nodes of a filter, or of "ids".
// With secrets=1 the password follows the login, for who has just entered the
// own one again.
func (h *Handlers) exportNodes(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	if !v.Has("id") && !v.Has("ids") {
		v.Set("all", "1")
	}
	s, err := selectionOf(v)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	secrets := v.Get("secrets") == "1"
	if secrets && !h.recentlyAuthenticated(w, r) {
		return
	}
	h.writeNodes(w, r, s, secrets)
}

// writeNodes sends nodes as a CSV file.
func (h *Handlers) writeNodes(w http.ResponseWriter, r *http.Request, s connexa.Selection, secrets bool) {
	nodes, err := h.nodes.ExportNodes(r.Context(), s, secrets)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	header := exportHeader
	if secrets {
		header = withPassword(header, "password")
	}
	// The rows stand in one snapshot of the database: a reader that is gone must
	// not keep it.
	h.writeCSV(w, "nodes.csv", header, func(yield func([]string, error) bool) {
		for e, err := range nodes {
			row := exportRow(&e.Node)
			if secrets {
				row = withPassword(row, e.Password.Reveal())
			}
			if !yield(row, err) {
				return
			}
		}
	})
}

// withPassword puts the password after the login.
func withPassword(row []string, password string) []string {
	return append(append(append(make([]string, 0, len(row)+1), row[:3]...), password), row[3:]...)
}

// exportRow is a node as a row of the file. Step and cause belong to the status;
// what the last probe found stands in last_check and last_cause.
func exportRow(n *connexa.Node) []string {
	o := &n.Last
	row := []string{
		n.Address, strconv.Itoa(n.Port), n.Login, n.Country, n.State, n.City, n.Zip, n.Provider, n.Comment, strings.Join(n.Tags, ", "),
		string(n.Status), strconv.FormatBool(n.Failures.Suspect()), "", string(n.Basis.Cause), "", "", formatMegabits(o.DownBits), formatMegabits(o.UpBits), "",
		"", string(o.Cause),
	}
	if !o.At.IsZero() {
		row[12], row[18], row[19] = string(n.Basis.Reached), o.At.UTC().Format(time.RFC3339), n.Basis.At.UTC().Format(time.RFC3339)
	}
	if o.Latency > 0 {
		row[14] = formatDecimal(float64(o.Latency)/float64(time.Millisecond), 3)
	}
	if o.Attempts > 0 {
		row[15] = formatDecimal(o.Loss(), 3)
	}
	return row
}

func formatMegabits(bits int64) string {
	if bits <= 0 {
		return ""
	}
	return formatDecimal(float64(bits)/1e6, 2)
}

// formatDecimal is f with at most that many digits after the point, and no more than
// it needs.
func formatDecimal(f float64, digits int) string {
	s := strconv.FormatFloat(f, 'f', digits, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

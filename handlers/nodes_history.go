package handlers

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

var historyHeader = []string{
	"time", "what", "kind", "result", "step", "cause", "latency_ms", "control_ms", "attempts", "loss", "jitter_ms", "down_mbps", "up_mbps",
	"exit_ip", "endpoint", "confidence", "status_before", "status_after", "suspect", "older_revision", "run", "by",
	"answered_by", "server_says", "evidence",
}

var sumsHeader = []string{
	"from", "good", "slow", "failed", "no_result", "status_changes", "loss",
	"latency_ms", "latency_min_ms", "latency_max_ms", "down_mbps", "down_min_mbps", "down_max_mbps", "up_mbps", "up_min_mbps", "up_max_mbps",
}

// exportHistory answers GET /nodes/{id}/history.csv with all rows of a node's history,
// the oldest first. With tier=hour or tier=day it sends the sums of each hour or day
// (UTC).
func (h *Handlers) exportHistory(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	tier := connexa.Tier(r.URL.Query().Get("tier"))
	switch tier {
	case connexa.EveryHour, connexa.EveryDay:
		n, buckets, err := h.history.NodeSums(r.Context(), id, tier)
		if err != nil {
			return err
		}
		h.writeCSV(w, historyName(&n, tier), sumsHeader, func(yield func([]string, error) bool) {
			for i := range buckets {
				if !yield(sumsRow(&buckets[i]), nil) {
					return
				}
			}
		})
	default:
		n, entries, err := h.history.NodeHistory(r.Context(), id)
		if err != nil {
			return err
		}
		h.writeCSV(w, historyName(&n, connexa.EveryProbe), historyHeader, func(yield func([]string, error) bool) {
			for e, err := range entries {
				if !yield(historyCSV(&e), err) {
					return
				}
			}
		})
	}
	return nil
}

// historyName returns the file name. An address contains no character that needs
// quoting in a header.
func historyName(n *connexa.Node, tier connexa.Tier) string {
	return fmt.Sprintf("%s-%d-%s.csv", n.Address, n.Port, tier)
}

func historyCSV(e *connexa.Entry) []string {
	row := []string{
		e.At.UTC().Format(time.RFC3339), string(e.What), string(e.Kind), string(e.Result), "", string(e.Cause), connexa.FormatMilliseconds(e.Latency), connexa.FormatMilliseconds(e.Control),
		"", "", "", connexa.FormatMegabits(e.DownBits), connexa.FormatMegabits(e.UpBits), "", "", "", string(e.Before), string(e.After), strconv.FormatBool(e.Suspect),
		strconv.FormatBool(e.Stale), "", e.By,
		"", e.Detail.PeerText, e.Detail.Evidence,
	}
	if e.What == connexa.EntryProbe {
		row[4] = string(e.Reached)
	}
	if e.ByService() {
		row[4], row[22] = "", "service" // no step of its own
	}
	if e.Attempts > 0 {
		row[8], row[9] = strconv.Itoa(e.Attempts), connexa.FormatDecimal(e.Loss(), 3)
	}
	if m := e.Detail.Speed; m != nil {
		row[10], row[13], row[14], row[15] = connexa.FormatMilliseconds(m.Jitter), m.ExitIP, m.Endpoint, string(m.Confidence)
	}
	if e.RunID != 0 {
		row[20] = strconv.FormatInt(e.RunID, 10)
	}
	return row
}

func sumsRow(s *connexa.Bucket) []string {
	row := []string{
		s.At.UTC().Format(time.RFC3339), strconv.Itoa(s.Good), strconv.Itoa(s.Slow), strconv.Itoa(s.Bad), strconv.Itoa(s.Inconclusive), strconv.Itoa(s.Turns), "",
	}
	if s.Attempts > 0 {
		row[6] = connexa.FormatDecimal(float64(s.Lost)/float64(s.Attempts), 3)
	}
	for _, f := range []struct {
		connexa.Sum
		unit   float64
		digits int
	}{{s.Latency, 1e3, 3}, {s.Down, 1e6, 2}, {s.Up, 1e6, 2}} {
		if f.Count == 0 {
			row = append(row, "", "", "")
			continue
		}
		row = append(row, connexa.FormatDecimal(f.Mean()/f.unit, f.digits), connexa.FormatDecimal(float64(f.Min)/f.unit, f.digits), connexa.FormatDecimal(float64(f.Max)/f.unit, f.digits))
	}
	return row
}

package handlers

import (
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// TestHistoryRowsHaveWhatTheServerSaid checks that the export has the server's own text
// and codes, and marks probes that a running service answered.
func TestHistoryRowsHaveWhatTheServerSaid(t *testing.T) {
	column := func(row []string, name string) string {
		for i, h := range historyHeader {
			if h == name {
				return row[i]
			}
		}
		t.Fatalf("there is no column %s", name)
		return ""
	}
	older := connexa.Outcome{Kind: connexa.Login, Reached: connexa.IP}
	for _, tt := range []struct {
		entry connexa.Entry
		want  map[string]string
	}{
		{
			connexa.Entry{
				What: connexa.EntryProbe, Result: connexa.ResultBad, Outcome: connexa.Outcome{Kind: connexa.Login, Reached: connexa.LCP, Cause: "auth.691"},
				Detail: connexa.Detail{PeerText: "Access denied", Evidence: "MS-CHAPv2"},
			},
			map[string]string{"step": "lcp", "answered_by": "", "server_says": "Access denied", "evidence": "MS-CHAPv2"},
		},
		{
			connexa.Entry{What: connexa.EntryProbe, Result: connexa.ResultGood, Outcome: connexa.Outcome{Kind: connexa.Login, Reached: connexa.NoStep}},
			map[string]string{"step": "", "answered_by": "service"},
		},
		{
			connexa.Entry{What: connexa.EntryProbe, Result: connexa.ResultGood, Outcome: older, Detail: connexa.Detail{Text: connexa.T("probe.through")}},
			map[string]string{"step": "", "answered_by": "service"},
		},
		{connexa.Entry{What: connexa.EntryEdited, By: "admin"}, map[string]string{"step": "", "answered_by": "", "by": "admin"}},
	} {
		row := historyCSV(&tt.entry)
		if len(row) != len(historyHeader) {
			t.Fatalf("%d cells for %d columns", len(row), len(historyHeader))
		}
		for name, want := range tt.want {
			if got := column(row, name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
}

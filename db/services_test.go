package db

import (
	"slices"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// startServices starts the services of nodes, as an act.
func startServices(tb testing.TB, d *DB, nodes ...int64) connexa.BulkAct {
	tb.Helper()
	return doAct(tb, d, connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkStart}, IDs: nodes, Audit: connexa.AuditRow{Account: "ann"}})
}

func TestServicesOnAndOff(t *testing.T) {
	d := openFleet(t)
	ctx := t.Context()
	ids := addNodes(t, d, 3)
	if a := startServices(t, d, ids...); a.Changed != len(ids) {
		t.Fatalf("started %+v, want %v", a, ids)
	}
	first, err := d.WantedServices(ctx)
	if err != nil || len(first) != 3 {
		t.Fatalf("got %d wanted services, %v; want 3", len(first), err)
	}
	t.Run("a running service is not started again", func(t *testing.T) {
		if a := startServices(t, d, ids[0], 999); a.Changed != 0 || a.Skipped != 0 || a.Undoable() {
			t.Errorf("started %+v, want none", a)
		}
	})
	t.Run("a service has the account of its node and a listener", func(t *testing.T) {
		for i, s := range first {
			checkService(t, d, s, "127.0.0.1:2000"+string(rune('0'+i)))
		}
	})
	t.Run("ports and credentials survive a stop", func(t *testing.T) {
		a := doAct(t, d, connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkStop}, IDs: ids[1:2], Audit: connexa.AuditRow{Account: "bob"}})
		if a.Changed != 1 || a.Undoable() {
			t.Errorf("stopped %+v, want one service", a)
		}
		startServices(t, d, ids[1])
		if again, err := d.WantedServices(ctx); err != nil || !slices.Equal(again, first) {
			t.Errorf("got %+v, %v; want %+v", again, err, first)
		}
	})
	t.Run("the history says who started and stopped it", func(t *testing.T) {
		h, err := d.NodeHistory(ctx, ids[1], 0, 9)
		var got []string
		for _, e := range h {
			if e.What == connexa.EntryService {
				got = append(got, e.By+" "+e.Detail.Text.Key)
			}
		}
		if want := []string{"ann service.wanted", "bob service.unwanted", "ann service.wanted"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	})
	t.Run("a deleted node takes its service along", func(t *testing.T) {
		if _, _, err := deleteNodes(ctx, d, ids[:1]); err != nil {
			t.Fatal(err)
		}
		if rows, err := d.ServiceRows(ctx, nil); err != nil || len(rows) != 2 {
			t.Errorf("got %v, %v; want 2 rows", rows, err)
		}
	})
}

// checkService compares a service with its node.
func checkService(t *testing.T, d *DB, s connexa.Service, listen string) {
	t.Helper()
	n, err := d.Node(t.Context(), s.NodeID)
	if err != nil {
		t.Fatal(err)
	}
	password, err := d.NodePassword(t.Context(), s.NodeID)
	if err != nil {
		t.Fatal(err)
	}
	if s.Address != n.Address || s.Port != n.Port || s.Login != n.Login || s.Password != password || len(s.Secret) < 20 || s.User == "" {
		t.Errorf("got service %+v, want the account of node %+v, a user and a secret", s, n)
	}
	if got := s.Listen.String(); got != listen {
		t.Errorf("service of node %d listens at %s, want %s", s.NodeID, got, listen)
	}
	if secret, err := d.ServiceSecret(t.Context(), s.NodeID); err != nil || secret != s.Secret {
		t.Errorf("ServiceSecret returns another secret than WantedServices, %v", err)
	}
}

func TestPortsRunOut(t *testing.T) {
	d := openFleet(t)
	ids := addNodes(t, d, 3)
	err := d.ChangeSettings(t.Context(), func(s *connexa.Settings) error {
		s.Service.FirstPort, s.Service.LastPort = 30000, 30001
		return s.Check()
	})
	if err != nil {
		t.Fatal(err)
	}
	if plan, err := d.PlanServices(t.Context(), connexa.Selection{All: true}); err != nil || plan != (connexa.ServicePlan{Nodes: 3, Unproven: plan.Unproven, NoPort: 1}) {
		t.Errorf("plan %+v, %v", plan, err)
	}
	if a := startServices(t, d, ids...); a.State != connexa.BulkDone || a.Changed != 2 || a.Skipped != 1 {
		t.Errorf("three services on two ports: %+v", a)
	}
	if a := startServices(t, d, ids...); a.Changed != 0 || a.Skipped != 1 {
		t.Errorf("again: %+v", a)
	}
	if list, err := d.WantedServices(t.Context()); err != nil || len(list) != 2 {
		t.Errorf("%d services, %v; want 2", len(list), err)
	}
}

func TestServiceReports(t *testing.T) {
	d := openFleet(t)
	ctx := t.Context()
	node := addNodes(t, d, 1)[0]
	t.Run("a service that was never started has none", func(t *testing.T) {
		err := d.SaveServiceReport(ctx, connexa.ServiceReport{NodeID: node, State: connexa.ServiceOnline})
		if connexa.CodeOf(err) != connexa.NotFound {
			t.Errorf("got %v, want %v", err, connexa.NotFound)
		}
	})
	startServices(t, d, node)
	before, err := d.Node(ctx, node)
	if err != nil {
		t.Fatal(err)
	}
	now := d.now().UTC().Truncate(time.Millisecond)
	d.now = func() time.Time { return now }
	t.Run("the row shows the last report", func(t *testing.T) {
		online := connexa.ServiceReport{NodeID: node, State: connexa.ServiceOnline, Since: now, UpAt: now, LocalIP: "10.0.0.2", ExitIP: "192.0.2.1", Latency: 20 * time.Millisecond}
		lost := connexa.ServiceReport{
			NodeID: node, State: connexa.ServiceReconnecting, Since: now, Reason: connexa.T("service.reason.ended"), Cause: "lcp.no_echo",
			Failures: 1, RetryAt: now.Add(time.Second),
		}
		again := lost
		again.Reason, again.Failures = connexa.T("service.reason.try"), 2
		for _, report := range []connexa.ServiceReport{{NodeID: node, State: connexa.ServiceStarting, Since: now}, online, lost, again} {
			saveReport(t, d, report)
		}
		list, err := d.WantedServices(ctx)
		if err != nil || !list[0].LastUp.Equal(now) {
			t.Errorf("got last up %v, %v; want %v", list[0].LastUp, err, now)
		}
	})
	t.Run("the history has a failure that repeats once", func(t *testing.T) { checkReportHistory(t, d, node) })
	t.Run("the verdict of the node stays", func(t *testing.T) {
		if after, err := d.Node(ctx, node); err != nil || after.Verdict != before.Verdict {
			t.Errorf("got %+v, %v; want %+v", after.Verdict, err, before.Verdict)
		}
	})
	t.Run("a failure lasts until the service is online or off", func(t *testing.T) { checkServiceDown(t, d, node, now) })
	t.Run("a restart of the panel starts it", func(t *testing.T) {
		if err := d.RecoverServices(ctx); err != nil {
			t.Fatal(err)
		}
		if rows, err := d.ServiceRows(ctx, nil); err != nil || rows[node].State != connexa.ServiceStarting || rows[node].Cause != "" {
			t.Errorf("got %+v, %v; want %s without a cause", rows[node], err, connexa.ServiceStarting)
		}
	})
}

// checkReportHistory expects two reports of the same failure as one entry.
func checkReportHistory(t *testing.T, d *DB, node int64) {
	h, err := d.NodeHistory(t.Context(), node, 0, 9)
	var got []connexa.Cause
	for _, e := range h {
		if e.What == connexa.EntryService && e.By == "" && e.Detail.Text.Key != "service.wanted" {
			got = append(got, e.Cause)
		}
	}
	if want := []connexa.Cause{"lcp.no_echo", "", ""}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got causes %q, %v; want %q", got, err, want)
	}
}

// saveReport saves a report and compares the row with it.
func saveReport(t *testing.T, d *DB, want connexa.ServiceReport) {
	t.Helper()
	if err := d.SaveServiceReport(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	rows, err := d.ServiceRows(t.Context(), []int64{want.NodeID})
	if got := rows[want.NodeID].ServiceReport; err != nil || got.Reason.String() != want.Reason.String() {
		t.Errorf("got reason %q, %v; want %q", got.Reason, err, want.Reason)
	} else if got.Reason, want.Reason = (connexa.Text{}), (connexa.Text{}); !sameService(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// checkServiceDown saves reports, with a restart of the panel among them (""), and
// checks after each whether the service counts as down.
func checkServiceDown(t *testing.T, d *DB, node int64, now time.Time) {
	for _, tt := range []struct {
		state connexa.ServiceState
		down  bool
	}{
		{connexa.ServiceReconnecting, false}, {connexa.ServiceFailed, true}, {connexa.ServiceReconnecting, true}, {"", true},
		{connexa.ServiceStarting, true}, {connexa.ServiceOnline, false}, {connexa.ServiceFailed, true}, {connexa.ServiceOff, false},
	} {
		var err error
		if tt.state == "" {
			err = d.RecoverServices(t.Context())
		} else {
			err = d.SaveServiceReport(t.Context(), connexa.ServiceReport{NodeID: node, State: tt.state, Since: now})
		}
		if err != nil {
			t.Fatal(err)
		}
		if list, err := d.WantedServices(t.Context()); err != nil || list[0].Down != tt.down {
			t.Errorf("after %q: got down %v, %v; want %v", tt.state, list[0].Down, err, tt.down)
		}
	}
}

func sameService(a, b connexa.ServiceReport) bool {
	return a.NodeID == b.NodeID && a.State == b.State && a.Since.Equal(b.Since) && a.Cause == b.Cause && a.Failures == b.Failures &&
		a.RetryAt.Equal(b.RetryAt) && a.UpAt.Equal(b.UpAt) && a.LocalIP == b.LocalIP && a.ExitIP == b.ExitIP && a.Latency == b.Latency
}

func TestTraffic(t *testing.T) {
	d := openFleet(t)
	ctx := t.Context()
	node := addNodes(t, d, 1)[0]
	startServices(t, d, node)
	noon := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for _, s := range []struct {
		after    time.Duration
		up, down uint64
	}{{time.Second, 1, 10}, {5 * time.Second, 1, 10}, {15 * time.Second, 2, 20}, {2 * time.Hour, 4, 40}} {
		err := d.SampleServices(ctx, noon.Add(s.after), []connexa.Traffic{{NodeID: node, Up: s.up, Down: s.down, Open: 3}, {NodeID: node + 1, Up: 1}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for span, want := range map[connexa.TrafficSpan][]connexa.TrafficPoint{
		connexa.TrafficSample: {{At: noon, Up: 2, Down: 20}, {At: noon.Add(10 * time.Second), Up: 2, Down: 20}, {At: noon.Add(2 * time.Hour), Up: 4, Down: 40}},
		connexa.TrafficHour:   {{At: noon, Up: 4, Down: 40}, {At: noon.Add(2 * time.Hour), Up: 4, Down: 40}},
		connexa.TrafficDay:    {{At: noon.Add(-12 * time.Hour), Up: 8, Down: 80}},
	} {
		if got, err := d.Traffic(ctx, node, span, noon.Add(-24*time.Hour)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", span, got, err, want)
		}
	}
	if rows, err := d.ServiceRows(ctx, nil); err != nil || rows[node].Up != 8 || rows[node].Down != 80 || rows[node].Open != 3 {
		t.Errorf("counted %+v, %v", rows[node], err)
	}
	d.now = func() time.Time { return noon.Add(samplesKept + time.Hour) }
	if n, err := d.pruneTraffic(ctx, connexa.Retention{Raw: 14, Hours: 90, Days: 730}); err != nil || n != 2 {
		t.Errorf("pruned %d, %v", n, err)
	}
}

package db

import (
	"slices"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func selectOnly(ids ...int64) connexa.Selection { return connexa.Selection{IDs: ids} }

func TestServicesOnAndOff(t *testing.T) {
	d := openFleet(t)
	ctx := t.Context()
	ids := addNodes(t, d, 3)
	started, err := d.WantServices(ctx, connexa.Selection{All: true}, "ann")
	if err != nil || !slices.Equal(started, ids) {
		t.Fatalf("started %v, %v", started, err)
	}
	if again, err := d.WantServices(ctx, selectOnly(ids[0]), "ann"); err != nil || len(again) != 0 {
		t.Errorf("started again: %v, %v", again, err)
	}
	first, err := d.WantedServices(ctx)
	if err != nil || len(first) != 3 {
		t.Fatalf("wanted %v, %v", first, err)
	}
	for i, s := range first {
		n, err := d.Node(ctx, s.NodeID)
		if err != nil {
			t.Fatal(err)
		}
		password, err := d.NodePassword(ctx, s.NodeID)
		if err != nil {
			t.Fatal(err)
		}
		if s.Address != n.Address || s.Port != n.Port || s.Login != n.Login || s.Password != password || len(s.Secret) < 20 || s.User == "" {
			t.Errorf("service %+v of node %+v", s, n)
		}
		if got := s.Listen.String(); got != "127.0.0.1:2000"+string(rune('0'+i)) {
			t.Errorf("service %d listens at %s", i, got)
		}
		if secret, err := d.ServiceSecret(ctx, s.NodeID); err != nil || secret != s.Secret {
			t.Errorf("the secret comes back as another one: %v", err)
		}
	}
	stopped, err := d.UnwantServices(ctx, selectOnly(ids[1]), "bob")
	if err != nil || !slices.Equal(stopped, ids[1:2]) {
		t.Errorf("stopped %v, %v", stopped, err)
	}
	// Ports and credentials stay, whatever was on in between.
	if _, err := d.WantServices(ctx, selectOnly(ids[1]), "ann"); err != nil {
		t.Fatal(err)
	}
	if again, err := d.WantedServices(ctx); err != nil || !slices.Equal(again, first) {
		t.Errorf("after a while: %+v, %v; want %+v", again, err, first)
	}
	h, err := d.NodeHistory(ctx, ids[1], 0, 9)
	var told []string
	for _, e := range h {
		if e.What == connexa.EntryService {
			told = append(told, e.By+" "+e.Detail.Text.Key)
		}
	}
	if err != nil || !slices.Equal(told, []string{"ann service.wanted", "bob service.unwanted", "ann service.wanted"}) {
		t.Errorf("history %q, %v", told, err)
	}
	if _, _, err := d.DeleteNodes(ctx, ids[:1]); err != nil {
		t.Fatal(err)
	}
	if rows, err := d.ServiceRows(ctx, nil); err != nil || len(rows) != 2 {
		t.Errorf("rows after a deletion: %v, %v", rows, err)
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
	if _, err := d.WantServices(t.Context(), connexa.Selection{All: true}, ""); connexa.TextOf(err).Key != "service.ports" {
		t.Errorf("three services on two ports: %v", err)
	}
	if list, err := d.WantedServices(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("half of them were started: %v, %v", list, err)
	}
	if _, err := d.WantServices(t.Context(), selectOnly(ids[1:]...), ""); err != nil {
		t.Error(err)
	}
}

func TestWhatIsSeenOfAService(t *testing.T) {
	d := openFleet(t)
	ctx := t.Context()
	node := addNodes(t, d, 1)[0]
	if err := d.SaveServiceReport(ctx, connexa.ServiceReport{NodeID: node, State: connexa.ServiceOnline}); connexa.CodeOf(err) != connexa.NotFound {
		t.Errorf("a gateway that was never made: %v", err)
	}
	if _, err := d.WantServices(ctx, selectOnly(node), ""); err != nil {
		t.Fatal(err)
	}
	before, err := d.Node(ctx, node)
	if err != nil {
		t.Fatal(err)
	}
	now := d.now().UTC().Truncate(time.Millisecond)
	d.now = func() time.Time { return now }
	online := connexa.ServiceReport{NodeID: node, State: connexa.ServiceOnline, Since: now, UpAt: now, LocalIP: "10.0.0.2", ExitIP: "192.0.2.1", Latency: 20 * time.Millisecond}
	lost := connexa.ServiceReport{
		NodeID: node, State: connexa.ServiceReconnecting, Since: now, Reason: connexa.T("service.reason.ended"), Cause: "lcp.no_echo",
		Failures: 1, RetryAt: now.Add(time.Second),
	}
	again := lost
	again.Reason, again.Failures = connexa.T("service.reason.try"), 2
	for _, g := range []connexa.ServiceReport{{NodeID: node, State: connexa.ServiceStarting, Since: now}, online, lost, again} {
		if err := d.SaveServiceReport(ctx, g); err != nil {
			t.Fatal(err)
		}
		rows, err := d.ServiceRows(ctx, []int64{node})
		if got := rows[node].ServiceReport; err != nil || got.Reason.String() != g.Reason.String() {
			t.Errorf("%+v, %v", got, err)
		} else if got.Reason, g.Reason = (connexa.Text{}), (connexa.Text{}); !sameService(got, g) {
			t.Errorf("saved %+v, read %+v", g, got)
		}
	}
	list, err := d.WantedServices(ctx)
	if err != nil || !list[0].LastUp.Equal(now) {
		t.Errorf("last up %v, %v; want %v", list[0].LastUp, err, now)
	}
	h, err := d.NodeHistory(ctx, node, 0, 9)
	var told []connexa.Cause
	for _, e := range h {
		if e.What == connexa.EntryService && e.By == "" && e.Detail.Text.Key != "service.wanted" {
			told = append(told, e.Cause)
		}
	}
	if err != nil || !slices.Equal(told, []connexa.Cause{"lcp.no_echo", "", ""}) { // the same failure once more is no news
		t.Errorf("history %q, %v", told, err)
	}
	if after, err := d.Node(ctx, node); err != nil || after.Verdict != before.Verdict {
		t.Errorf("the node's verdict was %+v and is %+v, %v", before.Verdict, after.Verdict, err)
	}
	// That it has failed outlasts whatever is no end of that, a restart too.
	for _, tt := range []struct {
		state connexa.ServiceState
		down  bool
	}{
		{connexa.ServiceReconnecting, false}, {connexa.ServiceFailed, true}, {connexa.ServiceReconnecting, true}, {"", true},
		{connexa.ServiceStarting, true}, {connexa.ServiceOnline, false}, {connexa.ServiceFailed, true}, {connexa.ServiceOff, false},
	} {
		if tt.state == "" {
			err = d.RecoverServices(ctx)
		} else {
			err = d.SaveServiceReport(ctx, connexa.ServiceReport{NodeID: node, State: tt.state, Since: now})
		}
		if err != nil {
			t.Fatal(err)
		}
		if list, err := d.WantedServices(ctx); err != nil || list[0].Down != tt.down {
			t.Errorf("after %q it is down: %v, %v", tt.state, list[0].Down, err)
		}
	}
	if err := d.RecoverServices(ctx); err != nil {
		t.Fatal(err)
	}
	if rows, err := d.ServiceRows(ctx, nil); err != nil || rows[node].State != connexa.ServiceStarting || rows[node].Cause != "" {
		t.Errorf("after a restart: %+v, %v", rows[node], err)
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
	if _, err := d.WantServices(ctx, selectOnly(node), ""); err != nil {
		t.Fatal(err)
	}
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

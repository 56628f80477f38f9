package db

import (
	"fmt"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// issueVPN makes the identity of an exit without a certificate.
func issueVPN(node int64) (connexa.VPNIdentity, error) {
	return connexa.VPNIdentity{Name: fmt.Sprintf("exit-%d", node), Cert: "cert", Key: "key", TLSCrypt: "static"}, nil
}

// startVPNs switches the OpenVPN exits of nodes on, as an act.
func startVPNs(tb testing.TB, d *DB, nodes ...int64) connexa.BulkAct {
	tb.Helper()
	return doAct(tb, d, connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkStartVPN}, IDs: nodes, Audit: connexa.AuditRow{At: fleetNow, Account: "ann", Act: connexa.ActServiceChanged}})
}

// countVPNs returns the number of exits that are on, of their ports and devices, and of rows of the
// history that say that an exit was switched on.
func countVPNs(t *testing.T, d *DB) (on, distinct, recorded int) {
	t.Helper()
	err := d.read.QueryRowContext(t.Context(), `SELECT count(*), min(count(DISTINCT port), count(DISTINCT device)),
		(SELECT count(*) FROM history WHERE instr(detail, 'vpn.history.wanted')) FROM vpns WHERE wanted = 1`).Scan(&on, &distinct, &recorded)
	if err != nil {
		t.Fatal(err)
	}
	return on, distinct, recorded
}

// A cancelled act leaves the exits of its batches on, each with its own port and device, and
// the next act does the others.
func TestVPNsInBatches(t *testing.T) {
	d := openFleet(t)
	ids := nodeIDs(putFleet(t, d, makeFleet(1, 2*actBatch+9)))
	if _, _, err := d.Authority(t.Context(), func() (string, connexa.Secret, error) { return "CA", "key", nil }); err != nil {
		t.Fatal(err)
	}
	wantOn := func(want int) {
		t.Helper()
		if on, distinct, recorded := countVPNs(t, d); on != want || distinct != want || recorded != want {
			t.Errorf("%d exits are on, with %d ports and devices, the history has %d; want %d", on, distinct, recorded, want)
		}
	}
	a, err := d.StartAct(t.Context(), connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkStartVPN}, IDs: ids})
	if err != nil || a.Total != len(ids) {
		t.Fatalf("ordered %+v, %v", a, err)
	}
	wantOn(0)
	if step := advanceAct(t, d, a.ID); step.Done || len(step.IDs) != actBatch || step.Act.Processed != actBatch {
		t.Errorf("the first batch: %d exits, %+v", len(step.IDs), step.Act)
	}
	wantOn(actBatch)
	if a, err = d.CancelAct(t.Context(), a.ID); err != nil || a.Changed != actBatch || a.Undoable() {
		t.Errorf("cancelled: %+v, %v", a, err)
	}
	if step := advanceAct(t, d, a.ID); !step.Done || len(step.IDs) != 0 {
		t.Errorf("a cancelled act goes on: %+v", step)
	}
	wantOn(actBatch)
	if services, err := d.WantedServices(t.Context()); err != nil || len(services) != 0 {
		t.Errorf("the exits started %d services, %v", len(services), err)
	}

	if a := startVPNs(t, d, ids...); a.State != connexa.BulkDone || a.Changed != len(ids)-actBatch || a.Skipped != 0 {
		t.Errorf("the other exits: %+v", a)
	}
	wantOn(len(ids))
	before, err := d.VPNs(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := doAct(t, d, connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkStopVPN}, IDs: ids}); a.Changed != len(ids) {
		t.Errorf("switched off: %+v", a)
	}
	if on, _, _ := countVPNs(t, d); on != 0 {
		t.Errorf("%d exits are on", on)
	}
	startVPNs(t, d, ids[0])
	if after, err := d.VPNs(t.Context(), nil); err != nil || len(after) != 1 || after[ids[0]] != before[ids[0]] {
		t.Errorf("got %+v, %v; want %+v as before", after, err, before[ids[0]])
	}
}

// An order for which something is not free is refused. An act for which something ran out
// after its order skips nodes.
func TestVPNsRunOut(t *testing.T) {
	for _, tt := range []struct {
		name    string
		limit   func(*connexa.ServiceSettings)
		problem string
	}{
		{"ports of services", func(s *connexa.ServiceSettings) { s.FirstPort, s.LastPort = 30000, 30001 }, "service.ports"},
		{"ports", func(s *connexa.ServiceSettings) { s.VPNFirstPort, s.VPNLastPort = 12000, 12001 }, "vpn.ports"},
		{"devices", nil, "vpn.devices"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := openFleet(t)
			ids := addNodes(t, d, 3)
			if tt.limit == nil {
				takeDevices(t, d, maxDevices-2)
			} else if err := d.ChangeSettings(t.Context(), func(s *connexa.Settings) error {
				tt.limit(&s.Service)
				return s.Check()
			}); err != nil {
				t.Fatal(err)
			}
			if err := d.CheckVPNs(t.Context(), ids[:2]); err != nil {
				t.Errorf("two exits: %v", err)
			}
			if err := d.CheckVPNs(t.Context(), ids); connexa.CodeOf(err) != connexa.Conflict || connexa.TextOf(err).Key != tt.problem {
				t.Errorf("three exits: got %v, want %s", err, tt.problem)
			}
			if a := startVPNs(t, d, ids...); a.State != connexa.BulkDone || a.Changed != 2 || a.Skipped != 1 {
				t.Errorf("three exits: %+v", a)
			}
			if err := d.CheckVPNs(t.Context(), ids[:2]); err != nil {
				t.Errorf("exits that are there: %v", err)
			}
			rows, err := d.AuditRows(t.Context(), 0, 9)
			if err != nil || len(rows) != 2 || rows[0].Act != connexa.ActServiceChanged {
				t.Errorf("audit: %+v, %v; want what was ordered and what was done", rows, err)
			}
		})
	}
}

// takeDevices makes n nodes with an exit. Their ports are outside the range of exits.
func takeDevices(t *testing.T, d *DB, n int) {
	t.Helper()
	putFleet(t, d, makeFleet(2, n))
	for _, query := range []string{
		`INSERT INTO services (node_id, port, user, secret) SELECT id, 30000 + id, 'exit', x'01' FROM nodes WHERE id > 3`,
		`INSERT INTO vpns (node_id, port, device, name, cert, key, tls_crypt) SELECT node_id, port, node_id - 4, 'n', 'c', x'01', x'02' FROM services`,
	} {
		if _, err := d.write.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
}

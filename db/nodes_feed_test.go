package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// TestFleetFollowsChanges changes a fleet in every way that the panel has, and in
// transactions that are rolled back, and compares lists with a plain loop over the rows of
// the database.
func TestFleetFollowsChanges(t *testing.T) {
	ctx := t.Context()
	dir, opened := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		opened++
		f := changingFleet{ctx: ctx, dir: filepath.Join(dir, fmt.Sprint(opened)), rng: rand.New(rand.NewPCG(3, 3))}
		var err error
		if f.DB, err = Open(ctx, Options{Dir: f.dir, Now: func() time.Time { return fleetNow }}); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.DB.Close() }()
		f.add(t, 90)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			f.change(t, rapid.SampledFrom([]string{"probe", "probe", "rollback", "add", "delete", "edit", "flap", "service", "reopen"}).Draw(t, "what"))
			q := connexa.ListQuery{Filter: drawFilter(t), Sort: drawSort(t), Size: 20}
			checkOrder(t, &f, q)
		}
	})
}

// checkOrder compares the ids of a whole list with the rows of the database.
func checkOrder(t *rapid.T, f *changingFleet, q connexa.ListQuery) {
	ids, err := queryIDs(f.read.QueryContext(f.ctx, `SELECT id FROM nodes`))
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := f.NodesByID(f.ctx, ids)
	if err != nil {
		t.Fatal(err)
	}
	nodes = slices.DeleteFunc(nodes, func(n connexa.Node) bool { return !matchesFilter(q.Filter, &n) })
	slices.SortFunc(nodes, func(a, b connexa.Node) int { return byOrder(q.Sort, &a, &b) })
	page, facets, err := f.ListWithFacets(f.ctx, q)
	if alone, errAlone := f.Facets(f.ctx, q.Filter); err != nil || errAlone != nil || page.Total != len(nodes) || !reflect.DeepEqual(facets, alone) {
		t.Fatalf("%s: %d nodes with the facets %v, %v; want %d with %v, %v", q.Filter, page.Total, facets, err, len(nodes), alone, errAlone)
	}
	var got []int64
	for {
		page, err := f.ListNodes(f.ctx, q)
		if err != nil || page.Total != len(nodes) || page.From != len(got) {
			t.Fatalf("%s: got a page from %d of %d, %v; want %d of %d", q.Filter, page.From, page.Total, err, len(got), len(nodes))
		}
		got = append(got, nodeIDs(page.Nodes)...)
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	if !slices.Equal(got, nodeIDs(nodes)) {
		t.Fatalf("%s by %s:\n got %v\nwant %v", q.Filter, q.Sort, got, nodeIDs(nodes))
	}
}

// changingFleet is a fleet and the nodes that it has after each change.
type changingFleet struct {
	*DB
	ctx   context.Context
	rng   *rand.Rand
	dir   string
	seed  uint64
	nodes []connexa.Node
}

func (f *changingFleet) add(t *rapid.T, n int) {
	f.seed++
	err := f.inTx(f.ctx, func(tx *sql.Tx) error {
		ins, err := f.insertNodes(f.ctx, tx, fleetStart, 0)
		if err != nil {
			return err
		}
		defer ins.close()
		for _, v := range makeFleet(f.seed, n) {
			if v.ID, err = ins.insertNode(f.ctx, &v, "x"); err != nil {
				return err
			}
			if v.ID != 0 {
				f.nodes = append(f.nodes, v)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// probe stores a result of any node in a transaction that ends with end.
func (f *changingFleet) probe(t *rapid.T, end error) {
	n := &f.nodes[f.rng.IntN(len(f.nodes))]
	probeNode(f.rng, n)
	err := f.inStmtTx(f.ctx, func(tx *stmtTx) error {
		o := n.Last
		if err := tx.exec(`UPDATE nodes SET status = ?, silences = ?, basis_reached = ?, basis_cause = ?, latency = ?, attempts = ?, lost = ?, down = ?, checked_at = ? WHERE id = ?`,
			string(n.Status), int64(n.Failures.NoAnswer), int64(n.Basis.Reached.Index()), string(n.Basis.Cause), toMicros(o.Latency), int64(o.Attempts), int64(o.Lost), positiveOrNil(o.DownBits), toMillis(o.At), n.ID); err != nil {
			return err
		}
		return end
	})
	if !errors.Is(err, end) {
		t.Fatalf("got %v, want %v", err, end)
	}
}

func (f *changingFleet) change(t *rapid.T, what string) {
	exec := func(query string, args ...any) error {
		return f.inTx(f.ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(f.ctx, query, args...)
			return err
		})
	}
	var err error
	switch what {
	case "probe":
		for range 5 {
			f.probe(t, nil)
		}
	case "rollback":
		f.probe(t, errors.New("broken"))
	case "add":
		f.add(t, 7)
	case "delete":
		i := f.rng.IntN(len(f.nodes) - 5)
		_, _, err = deleteNodes(f.ctx, f.DB, nodeIDs(f.nodes[i:i+4]))
		f.nodes = slices.Delete(f.nodes, i, i+4)
	case "edit":
		err = exec(`UPDATE nodes SET country = 'JP', tags = ',old,', login = login || 'x' WHERE id % 7 = ?`, f.rng.IntN(7))
	case "flap":
		err = exec(`INSERT OR REPLACE INTO flaps (node_id, before_at, last_at, until) VALUES (?, 1, 2, ?)`, f.nodes[f.rng.IntN(len(f.nodes))].ID, f.rng.IntN(2))
	case "service":
		node := f.nodes[f.rng.IntN(len(f.nodes))].ID
		state := connexa.ServiceStates()[f.rng.IntN(len(connexa.ServiceStates()))]
		if err = exec(`INSERT OR REPLACE INTO services (node_id, port, user, secret, state) VALUES (?1, 20000 + ?1, '', x'', ?2)`, node, state); err == nil {
			f.checkServices(t)
		}
	case "reopen":
		err = f.DB.Close()
		if err == nil {
			f.DB, err = Open(f.ctx, Options{Dir: f.dir, Now: func() time.Time { return fleetNow }})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// checkServices compares the states of services that lists know with the table.
func (f *changingFleet) checkServices(t *rapid.T) {
	for _, state := range connexa.ServiceStates() {
		want, err := queryIDs(f.read.QueryContext(f.ctx, `
			SELECT id FROM nodes LEFT JOIN services ON node_id = id WHERE ifnull(services.state, 'off') = ? ORDER BY id`, state))
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.SelectNodes(f.ctx, connexa.Selection{All: true, Filter: connexa.FilterBy("service", string(state))})
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%s: %v, %v; want %v", state, got, err, want)
		}
	}
}

// TestListsBesideWriters asks for pages while nodes are added, changed and deleted: what
// was committed before is in the list.
func TestListsBesideWriters(t *testing.T) {
	d := openFleetAt(t, fleetNow)
	fleet := putFleet(t, d, makeFleet(5, 400))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		rng := rand.New(rand.NewPCG(1, 1))
		for ctx.Err() == nil {
			n := fleet[rng.IntN(len(fleet))]
			err := d.inTx(t.Context(), func(tx *sql.Tx) error {
				_, err := tx.Exec(`UPDATE nodes SET latency = ? WHERE id = ?`, (1+rng.IntN(1000))*1000, n.ID)
				return err
			})
			if err == nil && rng.IntN(10) == 0 {
				var added []int64
				if added, err = addBatch(t.Context(), d, makeFleet(rng.Uint64(), 10)); err == nil {
					_, _, err = deleteNodes(t.Context(), d, added)
				}
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	q := connexa.ListQuery{Sort: connexa.Sort{Key: connexa.SortLatency}, Size: 50}
	for i := range 200 {
		page, err := d.ListNodes(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Nodes) != 50 || page.Total < len(fleet) {
			t.Fatalf("%d rows of %d", len(page.Nodes), page.Total)
		}
		login := fmt.Sprint("fresh", i)
		err = d.inTx(ctx, func(tx *sql.Tx) error {
			_, err := tx.Exec(`UPDATE nodes SET login = ? WHERE id = ?`, login, fleet[i].ID)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.SelectNodes(ctx, connexa.Selection{All: true, Filter: connexa.FilterText(login)}); err != nil || !slices.Contains(got, fleet[i].ID) {
			t.Fatalf("%s is not found after its commit: %v, %v", login, got, err)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

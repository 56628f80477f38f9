package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/connexa-panel/connexa/db/dbtest"
	"github.com/connexa-panel/connexa/internal/connexa"
)

// fillIndex makes the lists of d use its node index.
func fillIndex(tb testing.TB, d *DB) {
	tb.Helper()
	if err := d.refillIndex(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// indexedIDs returns the ids of a page from the node index only.
func indexedIDs(ctx context.Context, tb interface{ Fatal(...any) }, d *DB, q connexa.ListQuery) []int64 {
	rows, ok, err := d.indexedPage(ctx, q, parseCursor(q.Cursor, q.Sort))
	if err != nil || !ok {
		tb.Fatal("node index not used: ", err)
	}
	var found []int64
	for _, r := range rows {
		found = append(found, r.node.ID)
	}
	return found
}

// TestNodeIndexFollowsChanges changes a fleet in every way that the panel has, and
// in transactions that are rolled back, and compares the node index with SQL.
func TestNodeIndexFollowsChanges(t *testing.T) {
	ctx := t.Context()
	dir, opened := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		opened++
		d, err := Open(ctx, Options{Dir: filepath.Join(dir, fmt.Sprint(opened))})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		f := changingFleet{DB: d, ctx: ctx, rng: rand.New(rand.NewPCG(3, 3))}
		f.add(t, 60)
		if err := d.refillIndex(ctx); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			f.change(t, rapid.SampledFrom([]string{"probe", "probe", "rollback", "add", "delete", "edit", "flap", "forget", "lag"}).Draw(t, "what"))
			q := connexa.ListQuery{Filter: drawFilter(t), Sort: drawSort(t), Size: 10}
			q.Filter.Flapping = rapid.IntRange(0, 4).Draw(t, "flapping?") == 0
			if q.Sort.Key == connexa.SortAddress && q.Filter.Text == "" {
				q.Filter.Text = "user" // without it the SQL index has the order
			}
			f.checkPages(t, q)
		}
	})
}

// changingFleet is a fleet and the nodes that it has after each change.
type changingFleet struct {
	*DB
	ctx   context.Context
	rng   *rand.Rand
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
		_, _, err = f.DeleteNodes(f.ctx, nodeIDs(f.nodes[i:i+4]))
		f.nodes = slices.Delete(f.nodes, i, i+4)
	case "edit":
		err = exec(`UPDATE nodes SET country = 'JP', tags = ',old,', login = login || 'x', search = search || 'x' WHERE id % 7 = ?`, f.rng.IntN(7))
	case "flap":
		err = exec(`INSERT OR REPLACE INTO flaps (node_id, before_at, last_at, until) VALUES (?, 1, 2, ?)`, f.nodes[f.rng.IntN(len(f.nodes))].ID, f.rng.IntN(2))
	case "forget":
		f.nodeCache.index.changedMu.Lock()
		f.nodeCache.index.stale = true
		f.nodeCache.index.changedMu.Unlock()
		err = f.catchUp(f.ctx)
	case "lag":
		err = f.catchUp(f.ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// checkPages compares four pages and the count of the node index with SQL.
func (f *changingFleet) checkPages(t *rapid.T, q connexa.ListQuery) {
	for range 4 {
		rows, err := f.indexPage(f.ctx, q, parseCursor(q.Cursor, q.Sort))
		if err != nil {
			t.Fatal(err)
		}
		var want []int64
		for _, r := range rows {
			want = append(want, r.node.ID)
		}
		if got := indexedIDs(f.ctx, t, f.DB, q); !slices.Equal(got, want) {
			t.Fatalf("%+v\n got %v\nwant %v", q, got, want)
		}
		n, ok, err := f.indexedCount(f.ctx, q.Filter)
		if all, _ := countRows(f.ctx, f.read, q.Filter); err != nil || !ok || n != all {
			t.Fatalf("%+v: got %d, %v, %v; want %d", q.Filter, n, ok, err, all)
		}
		page, err := f.ListNodes(f.ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
}

// TestNodeIndexIsFilled checks that the list of a large fleet fills the node index,
// also after more changes than it records.
func TestNodeIndexIsFilled(t *testing.T) {
	d := openFleet(t)
	d.nodeCache.index.minIDs = 100
	fleet := putFleet(t, d, makeFleet(9, 300))
	q := connexa.ListQuery{Sort: connexa.Sort{Key: connexa.SortLogin}, Size: 10}
	filled := func(want bool) {
		t.Helper()
		if _, err := d.ListNodes(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		d.nodeCache.index.background.Wait()
		if _, ok, err := d.indexedPage(t.Context(), q, nil); ok != want || err != nil {
			t.Fatalf("node index used: got %v, want %v; %v", ok, want, err)
		}
	}
	filled(true)
	many := make([]int64, indexResetAt+1)
	for i := range many {
		many[i] = int64(i) + 1
	}
	d.nodeCache.index.markChanged(many)
	if _, ok, err := d.indexedPage(t.Context(), q, nil); ok || err != nil {
		t.Fatal("got a page from a node index that is far behind, want none")
	}
	d.nodeCache.index.background.Wait()
	filled(true)

	// A change by another process is found when the node index is filled again.
	pool, err := dbtest.Open(d.path)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(`UPDATE nodes SET login = '!' WHERE id = ?`, fleet[200].ID); err != nil {
		t.Fatal(err)
	}
	d.nodeCache.index.filled = time.Now().Add(-2 * indexMaxAge)
	filled(true)
	if got := indexedIDs(t.Context(), t, d, q); got[0] != fleet[200].ID {
		t.Errorf("the first by login is %d, want %d", got[0], fleet[200].ID)
	}
}

// TestSmallFleetHasNoNodeIndex checks that a small fleet is listed by SQL.
func TestSmallFleetHasNoNodeIndex(t *testing.T) {
	d := openFleet(t)
	putFleet(t, d, makeFleet(9, 300))
	for range 2 {
		if _, err := d.ListNodes(t.Context(), connexa.ListQuery{Sort: connexa.Sort{Key: connexa.SortLogin}, Size: 10}); err != nil {
			t.Fatal(err)
		}
		d.nodeCache.index.background.Wait()
	}
	if !d.nodeCache.index.filled.IsZero() {
		t.Error("the node index was filled, want it empty")
	}
}

// TestNodeIndexBesideWriters asks for pages while nodes are added, changed and
// deleted: rows are in the order of their values, and no row of a page is missing.
func TestNodeIndexBesideWriters(t *testing.T) {
	d := openFleet(t)
	d.nodeCache.index.minIDs = 1
	fleet := putFleet(t, d, makeFleet(5, 400))
	fillIndex(t, d)
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
					_, _, err = d.DeleteNodes(t.Context(), added)
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
	for range 200 {
		page, err := d.ListNodes(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Nodes) != 50 || page.Total < len(fleet) {
			t.Fatalf("%d rows of %d", len(page.Nodes), page.Total)
		}
		if !slices.IsSortedFunc(page.Nodes, func(a, b connexa.Node) int { return byOrder(q.Sort, &a, &b) }) {
			t.Fatal(fmt.Sprint("out of order: ", nodeIDs(page.Nodes)))
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

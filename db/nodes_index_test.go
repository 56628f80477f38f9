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

// fillIndex makes the lists of d use its sheet.
func fillIndex(tb testing.TB, d *DB) {
	tb.Helper()
	if err := d.refillIndex(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// inSheet finds a page in the sheet alone.
func inSheet(ctx context.Context, tb interface{ Fatal(...any) }, d *DB, q connexa.ListQuery) []int64 {
	rows, ok, err := d.indexedPage(ctx, q, parseCursor(q.Cursor, q.Sort))
	if err != nil || !ok {
		tb.Fatal("the sheet is not used: ", err)
	}
	var found []int64
	for _, r := range rows {
		found = append(found, r.node.ID)
	}
	return found
}

// TestSheetFollows changes a fleet in every way that the panel has, and in
// transactions that are rolled back, and compares what the sheet finds with SQL.
func TestSheetFollows(t *testing.T) {
	ctx := t.Context()
	dir, opened := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		opened++
		d, err := Open(ctx, Options{Dir: filepath.Join(dir, fmt.Sprint(opened))})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		seed := uint64(0)
		add := func(n int) []connexa.Node {
			seed++
			var out []connexa.Node
			err := d.inTx(ctx, func(tx *sql.Tx) error {
				ins, err := d.insertNodes(ctx, tx, fleetStart, 0)
				if err != nil {
					return err
				}
				defer ins.close()
				for _, v := range makeFleet(seed, n) {
					if v.ID, err = ins.insertNode(ctx, &v, "x"); err != nil {
						return err
					}
					if v.ID != 0 {
						out = append(out, v)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		fleet := add(60)
		if err := d.refillIndex(ctx); err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(3, 3))
		probe := func(n *connexa.Node, end error) {
			probeNode(rng, n)
			err := d.inStmtTx(ctx, func(tx *stmtTx) error {
				o := n.Last
				if err := tx.exec(`UPDATE nodes SET status = ?, silences = ?, basis_reached = ?, basis_cause = ?, latency = ?, attempts = ?, lost = ?, down = ?, checked_at = ? WHERE id = ?`,
					string(n.Status), int64(n.Failures.NoAnswer), int64(n.Basis.Reached.Index()), string(n.Basis.Cause), toMicros(o.Latency), int64(o.Attempts), int64(o.Lost), positiveOrNil(o.DownBits), toMillis(o.At), n.ID); err != nil {
					return err
				}
				return end
			})
			if !errors.Is(err, end) {
				t.Fatal(err)
			}
		}
		broken := errors.New("broken")
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"probe", "probe", "rollback", "add", "delete", "edit", "flap", "forget", "lag"}).Draw(t, "what") {
			case "probe":
				for range 5 {
					probe(&fleet[rng.IntN(len(fleet))], nil)
				}
			case "rollback":
				probe(&fleet[rng.IntN(len(fleet))], broken)
			case "add":
				fleet = append(fleet, add(7)...)
			case "delete":
				i := rng.IntN(len(fleet) - 5)
				if _, _, err := d.DeleteNodes(ctx, nodeIDs(fleet[i:i+4])); err != nil {
					t.Fatal(err)
				}
				fleet = slices.Delete(fleet, i, i+4)
			case "edit":
				err := d.inTx(ctx, func(tx *sql.Tx) error {
					_, err := tx.ExecContext(ctx, `UPDATE nodes SET country = 'JP', tags = ',old,', login = login || 'x', search = search || 'x' WHERE id % 7 = ?`, rng.IntN(7))
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			case "flap":
				err := d.inTx(ctx, func(tx *sql.Tx) error {
					_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO flaps (node_id, before_at, last_at, until) VALUES (?, 1, 2, ?)`, fleet[rng.IntN(len(fleet))].ID, rng.IntN(2))
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			case "forget":
				d.nodeCache.index.changedMu.Lock()
				d.nodeCache.index.stale = true
				d.nodeCache.index.changedMu.Unlock()
				if err := d.catchUp(ctx); err != nil {
					t.Fatal(err)
				}
			case "lag":
				if err := d.catchUp(ctx); err != nil {
					t.Fatal(err)
				}
			}
			q := connexa.ListQuery{Filter: drawFilter(t), Sort: drawSort(t), Size: 10}
			q.Filter.Flapping = rapid.IntRange(0, 4).Draw(t, "flapping?") == 0
			if q.Sort.Key == connexa.SortAddress && q.Filter.Text == "" {
				q.Filter.Text = "user" // else the index has the order
			}
			for range 4 {
				want, err := d.indexPage(ctx, q, parseCursor(q.Cursor, q.Sort))
				if err != nil {
					t.Fatal(err)
				}
				var wanted []int64
				for _, r := range want {
					wanted = append(wanted, r.node.ID)
				}
				if got := inSheet(ctx, t, d, q); !slices.Equal(got, wanted) {
					t.Fatalf("%+v\n got %v\nwant %v", q, got, wanted)
				}
				n, ok, err := d.indexedCount(ctx, q.Filter)
				if all, _ := countRows(ctx, d.read, q.Filter); err != nil || !ok || n != all {
					t.Fatalf("%+v: %d, %v, %v; want %d", q.Filter, n, ok, err, all)
				}
				page, err := d.ListNodes(ctx, q)
				if err != nil {
					t.Fatal(err)
				}
				if q.Cursor = page.Next; q.Cursor == "" {
					break
				}
			}
		}
	})
}

// A large fleet gets its sheet when its list is asked for, also after more has
// changed than is kept in mind.
func TestSheetIsFilled(t *testing.T) {
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
			t.Fatalf("the sheet is used: %v, want %v; %v", ok, want, err)
		}
	}
	filled(true)
	many := make([]int64, indexResetAt+1)
	for i := range many {
		many[i] = int64(i) + 1
	}
	d.nodeCache.index.markChanged(many)
	if _, ok, err := d.indexedPage(t.Context(), q, nil); ok || err != nil {
		t.Fatal("a sheet that lags far behind is used")
	}
	d.nodeCache.index.background.Wait()
	filled(true)

	// What goes round the panel is found when the sheet is read again.
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
	if got := inSheet(t.Context(), t, d, q); got[0] != fleet[200].ID {
		t.Errorf("the first by login is %d, want %d", got[0], fleet[200].ID)
	}
}

// A small fleet does without.
func TestSmallFleetHasNoSheet(t *testing.T) {
	d := openFleet(t)
	putFleet(t, d, makeFleet(9, 300))
	for range 2 {
		if _, err := d.ListNodes(t.Context(), connexa.ListQuery{Sort: connexa.Sort{Key: connexa.SortLogin}, Size: 10}); err != nil {
			t.Fatal(err)
		}
		d.nodeCache.index.background.Wait()
	}
	if !d.nodeCache.index.filled.IsZero() {
		t.Error("the sheet was filled")
	}
}

// TestSheetBesideWriters asks for pages while nodes come, change and go: a row
// stands where its values say, and a page has as many rows as there are.
func TestSheetBesideWriters(t *testing.T) {
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

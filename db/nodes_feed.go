package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/fleet"
)

const (
	feedChunk   = 5000 // nodes that one query reads
	feedRest    = time.Second
	feedReaders = 2 // that load the fleet at the start
)

// nodeFeed keeps the fleet in memory equal to the table of nodes. All nodes are loaded
// in the background after the database was opened. SQLite reports each row that the
// writer changes. The changed rows are read before each commit and applied after it,
// before the writer's connection is released: whoever begins to read after a commit sees
// it.
type nodeFeed struct {
	fleet   *fleet.Fleet
	changed []int64      // by the open transaction; guarded by the writer's connection
	nodes   []fleet.Node // of changed, without those that were deleted; guarded likewise
	loaded  chan struct{}

	mu      sync.Mutex
	loading bool
	applied map[int64]struct{} // nodes that a commit brought while loading: what the loader read may be older

	cancel context.CancelFunc
	done   sync.WaitGroup
}

func newNodeFeed() nodeFeed {
	return nodeFeed{fleet: fleet.New(), loaded: make(chan struct{}), loading: true, applied: make(map[int64]struct{})}
}

// onRowChange is called by the writer's connection for each row that it inserts,
// updates or deletes.
func (f *nodeFeed) onRowChange(table string, id int64) {
	if table == "nodes" || table == "flaps" || table == "services" { // their rows have the ids of their nodes
		f.changed = append(f.changed, id)
	}
}

// onBegin is called at the start of a transaction, with the writer's connection. It
// forgets the changes of one that was rolled back.
func (f *nodeFeed) onBegin() { f.changed, f.nodes = f.changed[:0], f.nodes[:0] }

// beforeCommit reads the nodes that the open transaction has changed.
func (f *nodeFeed) beforeCommit(t *stmtTx) error {
	if len(f.changed) == 0 {
		return nil
	}
	f.changed = distinctIDs(f.changed)
	if len(f.changed) == 1 { // a result; a list of ids costs more than its node
		return t.readFleet(oneFleetNode, f.addNode, f.changed[0])
	}
	for chunk := range slices.Chunk(f.changed, feedChunk) {
		if err := t.readFleet(someFleetNodes, f.addNode, jsonIDs(chunk)); err != nil {
			return err
		}
	}
	return nil
}

func (f *nodeFeed) addNode(n fleet.Node) { f.nodes = append(f.nodes, n) }

// afterCommit brings the changes of a transaction into the fleet, with the writer's
// connection.
func (f *nodeFeed) afterCommit() {
	if len(f.changed) > 0 {
		f.apply(f.changed, f.nodes)
	}
	if cap(f.nodes) > feedChunk {
		f.nodes = nil
	}
}

func (f *nodeFeed) apply(ids []int64, nodes []fleet.Node) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.loading {
		for _, id := range ids {
			f.applied[id] = struct{}{}
		}
	}
	f.fleet.Apply(ids, nodes)
}

// startFeed loads the fleet in the background.
func (d *DB) startFeed() {
	ctx, cancel := context.WithCancel(context.Background())
	d.feed.cancel = cancel
	d.feed.done.Go(func() {
		for {
			err := d.loadFleet(ctx)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return
			}
			d.log.Error("load the nodes", "err", err)
			select {
			case <-time.After(feedRest):
			case <-ctx.Done():
				return
			}
		}
		d.feed.setLoading(false)
		close(d.feed.loaded)
	})
}

func (f *nodeFeed) setLoading(loading bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loading, f.applied = loading, nil
	if loading {
		f.applied = make(map[int64]struct{})
	}
}

// ReloadNodes reads all nodes again, for a program that wrote to the file itself. Lists
// are incomplete until it returns.
func (d *DB) ReloadNodes(ctx context.Context) error {
	if _, err := d.nodesInMemory(ctx); err != nil {
		return err
	}
	d.feed.setLoading(true)
	defer d.feed.setLoading(false)
	d.feed.fleet.Clear()
	return d.loadFleet(ctx)
}

// close ends the loading and waits for it.
func (f *nodeFeed) close() {
	if f.cancel != nil {
		f.cancel()
	}
	f.done.Wait()
}

// loadFleet reads all nodes, in parts of the range of ids.
func (d *DB) loadFleet(ctx context.Context) error {
	var first, last int64
	if err := d.read.QueryRowContext(ctx, `SELECT ifnull((SELECT min(id) FROM nodes), 0), ifnull((SELECT max(id) FROM nodes), -1)`).Scan(&first, &last); err != nil {
		return err
	}
	var (
		wg   sync.WaitGroup
		errs [feedReaders]error
	)
	size := (last-first)/feedReaders + 1
	for i := range errs {
		from := first + int64(i)*size
		wg.Go(func() { errs[i] = d.loadRange(ctx, from, min(from+size, last+1)) })
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}

// loadRange reads the nodes with ids in [from, until).
func (d *DB) loadRange(ctx context.Context, from, until int64) error {
	c, err := d.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Raw(func(raw any) error {
		conn, ok := raw.(driver.Conn)
		if !ok {
			return fmt.Errorf("the reader's connection is a %T", raw)
		}
		t := &stmtTx{conn: conn, stmts: map[string]driver.Stmt{}}
		defer t.close()
		var nodes []fleet.Node
		for from < until {
			if err := ctx.Err(); err != nil {
				return err
			}
			nodes = nodes[:0]
			if err := t.readFleet(rangeOfFleet, func(n fleet.Node) { nodes = append(nodes, n) }, from, until, feedChunk); err != nil {
				return err
			}
			d.feed.load(nodes)
			if len(nodes) < feedChunk {
				return nil
			}
			from = nodes[len(nodes)-1].ID + 1
		}
		return nil
	})
}

// load adds nodes that the loader read.
func (f *nodeFeed) load(nodes []fleet.Node) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fresh := nodes[:0]
	for _, n := range nodes {
		if _, newer := f.applied[n.ID]; !newer {
			fresh = append(fresh, n)
		}
	}
	f.fleet.Apply(nil, fresh)
}

// nodesInMemory returns the fleet once it is loaded.
func (d *DB) nodesInMemory(ctx context.Context) (*fleet.Fleet, error) {
	select {
	case <-d.feed.loaded:
		return d.feed.fleet, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fleetColumns are the columns that readFleet reads.
var fleetColumns = func() []string {
	list := []string{"id", "address", "login", "zip", "comment", "port", "ifnull(latency, -1)", "iif(attempts > 0, lost * 1000 / attempts, -1)",
		"ifnull(down, -1)", "ifnull(checked_at, 0)", "created_at", "silences + tunnel_failures + refusals > 0",
		"EXISTS (SELECT 1 FROM flaps WHERE node_id = nodes.id AND until > 0)"}
	for _, name := range fleet.ChoiceNames {
		switch name {
		case "step":
			name = "iif(checked_at IS NULL, -1, basis_reached)"
		case "cause":
			name = "basis_cause"
		case "tag":
			name = "tags"
		case "service":
			name = "ifnull((SELECT state FROM services WHERE node_id = nodes.id), 'off')"
		}
		list = append(list, name)
	}
	return list
}()

// Queries for readFleet.
var (
	selectFleet    = `SELECT ` + strings.Join(fleetColumns, ", ") + ` FROM nodes WHERE `
	oneFleetNode   = selectFleet + `id = ?`
	someFleetNodes = selectFleet + `id IN (SELECT value FROM json_each(?))`
	rangeOfFleet   = selectFleet + `id >= ? AND id < ? ORDER BY id LIMIT ?`
)

// readFleet calls add for the nodes of a query.
func (t *stmtTx) readFleet(query string, add func(fleet.Node), args ...any) error {
	err := t.queryEach(query, len(fleetColumns), func(row []driver.Value) {
		n := fleet.Node{
			ID: intValue(row[0]), Address: textValue(row[1]), Login: textValue(row[2]), Zip: textValue(row[3]), Comment: textValue(row[4]),
			Port: int(intValue(row[5])), Latency: intValue(row[6]), Lost: intValue(row[7]), Down: intValue(row[8]),
			Checked: intValue(row[9]), Added: intValue(row[10]), Suspect: intValue(row[11]) == 1, Flapping: intValue(row[12]) == 1,
		}
		for i, v := range row[13:] {
			if fleet.ChoiceNames[i] != "step" {
				n.Choices[i] = textValue(v)
			} else if step := intValue(v); step >= 0 {
				n.Choices[i] = string(connexa.StepAt(int(step)))
			}
		}
		add(n)
	}, args...)
	if err != nil {
		return fmt.Errorf("read nodes for lists: %w", err)
	}
	return nil
}

// nodeSets returns the function that finds the nodes of runs and imports for filters.
func (d *DB) nodeSets(ctx context.Context) fleet.Sets {
	return func(set connexa.NodeSet) ([]int64, error) {
		query := `SELECT id FROM nodes WHERE import_id = ? ORDER BY id`
		if set.Kind == "run" {
			query = `SELECT DISTINCT j.node_id FROM run_jobs r JOIN jobs j ON j.id = r.job_id WHERE r.run_id = ? ORDER BY 1`
		}
		return queryIDs(d.read.QueryContext(ctx, query, set.ID))
	}
}

// rawConn calls fn with the driver's connection of c.
func rawConn(c *sql.Conn, fn func(driver.Conn) error) error {
	return c.Raw(func(raw any) error {
		conn, ok := raw.(driver.Conn)
		if !ok {
			return fmt.Errorf("the writer's connection is a %T", raw)
		}
		return fn(conn)
	})
}

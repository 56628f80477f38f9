package db

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	importBatch = 500 // rows in one transaction
	// maxBadLines is how many bad lines end the reading while there is no good one.
	maxBadLines = 10_000
	// minCrowd is how many logins an address may have before it is named, and
	// maxCrowdAddresses how many addresses of one file are counted at most.
	minCrowd          = 10
	maxCrowdAddresses = 1 << 20
	maxCrowdNamed     = 20
)

// FillImport reads rows into the preview of an import, each in its class, in
// batches. What was read before is removed first, so it may be called again
// after any end. told is called after each batch.
func (d *DB) FillImport(ctx context.Context, id int64, rows iter.Seq2[connexa.ImportRow, error], told func()) error {
	for _, class := range []connexa.LineClass{connexa.LineNew, connexa.LineSame, connexa.LineConflict, connexa.LineBad} {
		if err := d.dropLines(ctx, id, class); err != nil {
			return err
		}
	}
	err := d.changeImport(ctx, id, `state = 'reading'`, `lines = 0, new = 0, same = 0, conflict = 0, bad = 0, noted = 0, resets = 0, crowded = '[]'`)
	if err != nil {
		return err
	}
	f := filler{db: d, id: id, logins: map[string]uint16{}}
	for row, err := range rows {
		if err != nil {
			return fmt.Errorf("read import %d: %w", id, err)
		}
		if f.batch = append(f.batch, row); len(f.batch) == importBatch {
			if err := f.flushBatch(ctx); err != nil {
				return err
			}
			told()
		}
	}
	return f.flushBatch(ctx)
}

// EndReading closes the reading of an import: it waits for a person, or goes on
// when that person has confirmed already.
func (d *DB) EndReading(ctx context.Context, id int64, lines int) error {
	return d.changeImport(ctx, id, `state = 'reading'`, `lines = ?1, todo = CASE WHEN confirmed THEN new + conflict ELSE 0 END,
		state = CASE WHEN confirmed THEN 'importing' ELSE 'ready' END,
		resets = (SELECT count(DISTINCT node_id) FROM import_lines WHERE import_id = imports.id AND class = 'conflict' AND resets)`, lines)
}

// filler sorts the rows of one import into classes.
type filler struct {
	db      *DB
	id      int64
	batch   []connexa.ImportRow
	logins  map[string]uint16 // new ones of an address, and with the first of them those that are known
	crowded []string
	good    bool
	bad     int
}

// filled is one row with its class.
type filled struct {
	row    *connexa.ImportRow
	class  connexa.LineClass
	server sql.NullInt64
	first  server // of the row, when it is not bad
	node   int64
	twin   int64 // id of the first line
	near   int   // index of the first line in the batch, plus one
	both   bool
	resets bool
	// password says whether that of a conflict differs: "", passwordDiffers or
	// passwordOnly.
	password string
}

// How the password of a conflict differs from the node's.
const (
	passwordDiffers = "differs"
	passwordOnly    = "only" // and nothing else does
)

// notesJSON is what is kept of the notes of a row.
func notesJSON(r *connexa.ImportRow) string {
	if len(r.Notes) == 0 || !r.Problem.IsZero() {
		return ""
	}
	return asJSON(r.Notes)
}

func (f *filler) flushBatch(ctx context.Context) error {
	if len(f.batch) == 0 {
		return nil
	}
	rows, err := f.classifyRow(ctx)
	if err != nil {
		return err
	}
	var counts [4]int
	noted := 0
	err = f.db.inTx(ctx, func(tx *sql.Tx) error {
		stmt, err := tx.PrepareContext(ctx, `INSERT INTO import_lines (import_id, line, class, both, password, resets, server, twin, node_id, problem, notes, sealed) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)`)
		if err != nil {
			return err
		}
		defer stmt.Close()
		ids := make([]int64, len(rows))
		for i, r := range rows {
			problem := ""
			switch r.class {
			case connexa.LineNew:
				counts[0]++
			case connexa.LineSame:
				counts[1]++
			case connexa.LineConflict:
				counts[2]++
			default:
				counts[3]++
				problem = asJSON(r.row.Problem)
			}
			if r.near > 0 {
				r.twin = ids[r.near-1]
			}
			notes := notesJSON(r.row)
			if notes != "" {
				noted++
			}
			res, err := stmt.ExecContext(ctx, f.id, r.row.Line, string(r.class), r.both, r.password, r.resets, r.server, nullableID(r.twin), nullableID(r.node), problem, notes, f.db.ring.sealLine(r.row))
			if err != nil {
				return err
			}
			if ids[i], err = res.LastInsertId(); err != nil {
				return err
			}
		}
		return changeImport(ctx, tx, f.id, `state = 'reading'`, `new = new + ?, same = same + ?, conflict = conflict + ?, bad = bad + ?, noted = noted + ?, lines = max(lines, ?), crowded = ?`,
			counts[0], counts[1], counts[2], counts[3], noted, rows[len(rows)-1].row.Line, asJSON(f.crowded))
	})
	if err != nil {
		return fmt.Errorf("read import %d: %w", f.id, err)
	}
	f.batch = f.batch[:0]
	f.good = f.good || counts[3] < len(rows)
	if f.bad += counts[3]; !f.good && f.bad >= maxBadLines {
		return connexa.Errorf(connexa.Invalid, "import.error.hopeless", f.bad)
	}
	return nil
}

// classifyRow compares the batch with the nodes and with the lines before it.
func (f *filler) classifyRow(ctx context.Context) ([]filled, error) {
	d := f.db
	rows := make([]filled, len(f.batch))
	parsed := make([]known, len(f.batch))
	var addresses []string
	var numbers []int64
	for i := range f.batch {
		r := &f.batch[i]
		rows[i] = filled{row: r, class: connexa.LineBad}
		if !r.Problem.IsZero() {
			continue
		}
		k, err := d.wouldBe(r)
		if err != nil {
			r.Problem = connexa.TextOf(err)
			continue
		}
		parsed[i] = k
		rows[i].class, rows[i].first = connexa.LineNew, serverOf(&k.Node)
		rows[i].server = sql.NullInt64{Int64: d.ring.serverNumber(rows[i].first), Valid: true}
		addresses, numbers = append(addresses, k.Address), append(numbers, rows[i].server.Int64)
	}
	nodes, perAddress, err := f.nodesAt(ctx, addresses)
	if err != nil {
		return nil, err
	}
	firsts, err := f.linesOf(ctx, numbers)
	if err != nil {
		return nil, err
	}
	near := map[server]int{}
	for i := range rows {
		r := &rows[i]
		if r.class == connexa.LineBad {
			continue
		}
		theirs := &parsed[i]
		var mine *known
		if at, ok := near[r.first]; ok {
			mine, r.near, r.server.Valid = &parsed[at], at+1, false
		} else if first, ok := firsts[r.first]; ok {
			mine, r.twin, r.server.Valid = &first.known, first.line, false
		} else if mine = pickNode(nodes[r.first], theirs.Login); mine != nil {
			r.node = mine.ID
		}
		if r.server.Valid && (mine != nil || !r.row.NoPassword) {
			near[r.first] = i
		}
		switch {
		case mine == nil && r.row.NoPassword:
			r.class, r.server.Valid = connexa.LineBad, false
			r.row.Problem = connexa.T("import.bad.unknown_node")
			continue
		case mine == nil:
			f.countLine(theirs.Address, perAddress)
			continue
		}
		// A file without passwords says nothing about them, be its first line
		// that one or this.
		noPassword := r.row.NoPassword
		differs := compareLine(mine, theirs, noPassword)
		if len(differs) == 0 {
			r.class = connexa.LineSame
			continue
		}
		r.class = connexa.LineConflict
		r.both = mine.Login != theirs.Login && !noPassword
		r.password = passwordOf(differs, r.node != 0)
		r.resets = r.node != 0 && mine.Status.Validated() && resetsStatus(differs)
	}
	return rows, nil
}

// passwordOf says how the password is among the differences. A line that meets
// another of the same file is never preferred to it.
func passwordOf(differs []connexa.Difference, meetsNode bool) string {
	for _, x := range differs {
		switch {
		case x.Field != "password":
		case len(differs) == 1 && meetsNode:
			return passwordOnly
		default:
			return passwordDiffers
		}
	}
	return ""
}

// resetsStatus says whether taking the differences makes a node untested.
func resetsStatus(differs []connexa.Difference) bool {
	for _, x := range differs {
		if wasProbed(x.Field) {
			return true
		}
	}
	return false
}

// pickNode prefers the node with the very login to one that differs in case.
func pickNode(nodes []known, login string) *known {
	for i := range nodes {
		if nodes[i].Login == login {
			return &nodes[i]
		}
	}
	if len(nodes) > 0 {
		return &nodes[0]
	}
	return nil
}

// nodesAt finds what is known of the addresses, and how many logins each has.
func (f *filler) nodesAt(ctx context.Context, addresses []string) (map[server][]known, map[string]int, error) {
	nodes, perAddress := map[server][]known{}, map[string]int{}
	if len(addresses) == 0 {
		return nodes, perAddress, nil
	}
	err := f.db.eachKnown(ctx, f.db.read, `address IN (SELECT value FROM json_each(?))`, func(k known) {
		s := serverOf(&k.Node)
		nodes[s] = append(nodes[s], k)
		perAddress[k.Address]++
	}, asJSON(addresses))
	return nodes, perAddress, err
}

// firstLine is a line that named its server first.
type firstLine struct {
	known
	line int64
}

func (f *filler) linesOf(ctx context.Context, numbers []int64) (map[server]firstLine, error) {
	found := map[server]firstLine{}
	if len(numbers) == 0 {
		return found, nil
	}
	rows, err := f.db.read.QueryContext(ctx, `SELECT id, sealed FROM import_lines INDEXED BY import_lines_server
		WHERE server IN (SELECT value FROM json_each(?)) AND server IS NOT NULL AND import_id = ? ORDER BY id`, jsonIDs(numbers), f.id)
	if err != nil {
		return nil, fmt.Errorf("find lines before: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var (
			id     int64
			sealed []byte
		)
		if err := rows.Scan(&id, &sealed); err != nil {
			return nil, fmt.Errorf("find lines before: %w", err)
		}
		r, err := f.db.ring.openLine(sealed)
		if err != nil {
			return nil, err
		}
		k, err := f.db.wouldBe(&r)
		if err != nil {
			return nil, err
		}
		found[serverOf(&k.Node)] = firstLine{k, id}
	}
	return found, rows.Err()
}

// countLine keeps the books of an address and names it when it gets crowded.
func (f *filler) countLine(address string, known map[string]int) {
	n, ok := f.logins[address]
	if !ok {
		if len(f.logins) >= maxCrowdAddresses {
			return
		}
		n = uint16(min(known[address], minCrowd+1))
		address = strings.Clone(address)
		if n > minCrowd {
			f.serverName(address)
		}
	}
	if n > minCrowd {
		f.logins[address] = n
		return
	}
	n++
	f.logins[address] = n
	if n == minCrowd+1 {
		f.serverName(address)
	}
}

func (f *filler) serverName(address string) {
	if len(f.crowded) < maxCrowdNamed {
		f.crowded = append(f.crowded, address)
	}
}

package db

import (
	"context"
	"database/sql"
	"fmt"
	"hash/maphash"
	"iter"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	importBatch = 500 // rows in one transaction
	// maxBadLines is the number of bad lines that end the reading if there is no good one.
	maxBadLines = 10_000
	// minCrowd is the number of logins above which an address is reported, and
	// maxCrowdAddresses the maximum number of counted addresses of a file.
	minCrowd          = 10
	maxCrowdAddresses = 1 << 20
	maxCrowdNamed     = 20
)

// FillImport reads rows into the preview of an import, in batches, and classifies
// each. It first deletes the lines of an earlier call, so it may be called again after
// any failure. onProgress is called after each batch.
func (d *DB) FillImport(ctx context.Context, id int64, rows iter.Seq2[connexa.ImportRow, error], onProgress func()) error {
	for _, class := range []connexa.LineClass{connexa.LineNew, connexa.LineSame, connexa.LineConflict, connexa.LineBad} {
		if err := d.dropLines(ctx, id, class); err != nil {
			return err
		}
	}
	if err := d.dropGroups(ctx, id); err != nil {
		return err
	}
	err := d.changeImport(ctx, id, `state = 'reading'`, `lines = 0, new = 0, same = 0, conflict = 0, bad = 0, noted = 0, resets = 0, crowded = '[]'`)
	if err != nil {
		return err
	}
	f := newFiller(d, id)
	for row, err := range rows {
		if err != nil {
			return fmt.Errorf("read import %d: %w", id, err)
		}
		if f.batch = append(f.batch, row); len(f.batch) == importBatch {
			if err := f.flushBatch(ctx); err != nil {
				return err
			}
			onProgress()
		}
	}
	return f.flushBatch(ctx)
}

// EndReading ends the reading of an import. The import then waits for the user, or is
// written if the user has already confirmed it.
func (d *DB) EndReading(ctx context.Context, id int64, lines int) error {
	return d.changeImport(ctx, id, `state = 'reading'`, `lines = ?1, todo = CASE WHEN confirmed THEN new + conflict ELSE 0 END,
		state = CASE WHEN confirmed THEN 'importing' ELSE 'ready' END,
		resets = (SELECT count(DISTINCT node_id) FROM import_lines WHERE import_id = imports.id AND class = 'conflict' AND resets)`, lines)
}

// filler classifies the rows of one import.
type filler struct {
	db      *DB
	id      int64
	batch   []connexa.ImportRow
	logins  map[uint64]uint8 // number of logins by digest of the address: the known ones and the new ones so far
	seed    maphash.Seed     // of these digests
	crowded []string
	// firsts contains the id of the first line of each server, by the number of the
	// server. An index would be written all over by each batch, as the numbers are in no order.
	firsts map[int64]int64
	good   bool
	bad    int
}

func newFiller(d *DB, id int64) *filler {
	return &filler{db: d, id: id, logins: map[uint64]uint8{}, seed: maphash.MakeSeed(), firsts: map[int64]int64{}}
}

// filled is one row with its class.
type filled struct {
	row    *connexa.ImportRow
	class  connexa.LineClass
	server sql.NullInt64
	first  server // of the row, unless it is bad
	node   int64
	twin   int64 // id of the first line
	near   int   // index of the first line in the batch, plus one
	both   bool
	resets bool
	// password reports whether the password of a conflict differs: "", passwordDiffers or
	// passwordOnly.
	password string
	fields   string // of a conflict: those that differ
}

// How the password of a conflict differs from the node's.
const (
	passwordDiffers = "differs"
	passwordOnly    = "only" // and nothing else does
)

// notesJSON returns the stored form of the notes of a row.
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
	ids := make([]int64, len(rows))
	err = f.db.inTx(ctx, func(tx *sql.Tx) error {
		groups, err := addToGroups(ctx, tx, f.id, rows)
		if err != nil {
			return err
		}
		stmt, err := tx.PrepareContext(ctx, `INSERT INTO import_lines (import_id, line, class, group_id, both, password, resets, server, twin, node_id, problem, notes, sealed) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)`)
		if err != nil {
			return err
		}
		defer stmt.Close()
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
			// A context that can end costs a goroutine for each row.
			res, err := stmt.ExecContext(context.WithoutCancel(ctx), f.id, r.row.Line, string(r.class), nullableID(groups[r.groupKey()]), r.both, r.password, r.resets, r.server, nullableID(r.twin), nullableID(r.node), problem, notes, f.db.ring.sealLine(r.row))
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
	for i, r := range rows {
		if r.server.Valid {
			f.firsts[r.server.Int64] = ids[i]
		}
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
		// A file without passwords does not change them, whichever of the two lines it is.
		noPassword := r.row.NoPassword
		differs := compareLine(mine, theirs, noPassword)
		if len(differs) == 0 {
			r.class = connexa.LineSame
			continue
		}
		r.class, r.fields = connexa.LineConflict, fieldList(differs)
		r.both = mine.Login != theirs.Login && !noPassword
		r.password = passwordOf(differs, r.node != 0)
		r.resets = r.node != 0 && mine.Status.Validated() && resetsStatus(differs)
	}
	return rows, nil
}

// passwordOf returns how the password differs. A line that conflicts with another line
// of the file is never passwordOnly.
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

// resetsStatus reports whether applying the differences resets the status of a node.
func resetsStatus(differs []connexa.Difference) bool {
	for _, x := range differs {
		if wasProbed(x.Field) {
			return true
		}
	}
	return false
}

// pickNode returns the node with exactly this login, or else the first one.
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

// nodesAt returns the nodes at the addresses and the number of logins of each address.
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

// firstLine is the first line of a server.
type firstLine struct {
	known
	line int64
}

// linesOf returns the first lines of the servers with these numbers.
func (f *filler) linesOf(ctx context.Context, numbers []int64) (map[server]firstLine, error) {
	var ids []int64
	for _, n := range numbers {
		if id, ok := f.firsts[n]; ok {
			ids = append(ids, id)
		}
	}
	found := map[server]firstLine{}
	if len(ids) == 0 {
		return found, nil
	}
	for scan := range eachRow(f.db.read.QueryContext(ctx, `SELECT id, sealed FROM import_lines WHERE id IN (SELECT value FROM json_each(?))`, jsonIDs(ids))) {
		var (
			id     int64
			sealed []byte
		)
		if err := scan(&id, &sealed); err != nil {
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
	return found, nil
}

// countLine counts the logins of an address and reports the address if there are too
// many.
func (f *filler) countLine(address string, known map[string]int) {
	key := maphash.String(f.seed, address)
	n, ok := f.logins[key]
	if !ok {
		if len(f.logins) >= maxCrowdAddresses {
			return
		}
		n = uint8(min(known[address], minCrowd+1))
		if n > minCrowd {
			f.addCrowded(address)
		}
	}
	if n <= minCrowd {
		if n++; n > minCrowd {
			f.addCrowded(address)
		}
	}
	f.logins[key] = n
}

func (f *filler) addCrowded(address string) {
	if len(f.crowded) < maxCrowdNamed {
		f.crowded = append(f.crowded, strings.Clone(address))
	}
}

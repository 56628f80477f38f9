package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// readChanged reads the nodes of ids again and passes them to replace.
func (d *DB) readChanged(ctx context.Context, ids []int64, replace func(ids []int64, rows []indexRow)) error {
	if len(ids) == 0 {
		return nil
	}
	rows, err := d.readIndexRows(ctx, `id IN (SELECT value FROM json_each(?))`, jsonIDs(ids))
	if err != nil {
		d.nodeCache.index.markChanged(ids)
		return err
	}
	replace(ids, rows)
	return nil
}

// readIndex reads the changed nodes, or all of them, in the background, unless a
// goroutine already does.
func (d *DB) readIndex() {
	s := &d.nodeCache.index
	select {
	case s.filling <- struct{}{}:
	default:
		return
	}
	s.background.Go(func() {
		defer func() { <-s.filling }()
		ctx, cancel := s.beginRead()
		defer cancel()
		if err := d.catchUp(ctx); err != nil && !errors.Is(ctx.Err(), context.Canceled) {
			d.log.Warn("read what lists are ordered by", "err", err)
		}
	})
}

// catchUp reads changed nodes until few are left.
func (d *DB) catchUp(ctx context.Context) error {
	s := &d.nodeCache.index
	s.mu.Lock()
	s.catchingUp, s.caughtUp = true, make(chan struct{})
	again := time.Since(s.filled) > indexMaxAge
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.catchingUp, s.refilling = false, false
		close(s.caughtUp)
		s.mu.Unlock()
	}()
	for {
		n, forgotten := s.countChanged()
		switch {
		case forgotten || again:
			s.mu.Lock()
			s.refilling = true
			s.mu.Unlock()
			if err := d.refillIndex(ctx); err != nil {
				return err
			}
			s.mu.Lock()
			s.refilling = false
			s.mu.Unlock()
			again = false
		case n > indexCatchUp/4:
			err := d.readChanged(ctx, s.takeChanged(indexCatchUp), func(ids []int64, rows []indexRow) {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.replaceRows(ids, rows)
			})
			if err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// refillIndex reads all nodes, in parts. Nodes that are written meanwhile are recorded
// as changed, so the parts need not be from one snapshot.
func (d *DB) refillIndex(ctx context.Context) (err error) {
	s := &d.nodeCache.index
	s.changedMu.Lock()
	clear(s.changed)
	s.stale = false
	s.changedMu.Unlock()
	defer func() {
		if err != nil {
			s.changedMu.Lock()
			defer s.changedMu.Unlock()
			s.stale = true
		}
	}()
	var all []indexRow
	for last := int64(0); ; {
		rows, err := d.readIndexRows(ctx, `id > ? ORDER BY id LIMIT ?`, last, indexChunk)
		if err != nil {
			return err
		}
		all = append(all, rows...)
		if len(rows) < indexChunk {
			break
		}
		last = rows[len(rows)-1].id
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows, s.deletedRows, s.filled = all, 0, time.Now()
	return nil
}

// replaceRows replaces the rows of ids with rows; a node without a row was deleted. mu
// is held.
func (s *nodeIndex) replaceRows(ids []int64, rows []indexRow) {
	place := func(id int64) (int, bool) {
		return slices.BinarySearchFunc(s.rows, id, func(r indexRow, id int64) int { return cmp.Compare(r.id, id) })
	}
	for _, id := range ids {
		if i, ok := place(id); ok && !s.rows[i].deleted {
			s.rows[i] = indexRow{id: id, deleted: true}
			s.deletedRows++
		}
	}
	slices.SortFunc(rows, func(a, b indexRow) int { return cmp.Compare(a.id, b.id) })
	for _, r := range rows {
		if i, ok := place(r.id); ok {
			s.rows[i] = r
			s.deletedRows--
		} else {
			s.rows = slices.Insert(s.rows, i, r) // at the end: ids grow
		}
	}
	if s.deletedRows > len(s.rows)/4 {
		s.rows = slices.DeleteFunc(s.rows, func(r indexRow) bool { return r.deleted })
		s.deletedRows = 0
	}
}

// readIndexRows reads the rows of the nodes that match a condition.
func (d *DB) readIndexRows(ctx context.Context, cond string, args ...any) ([]indexRow, error) {
	filters := connexa.FilterColumns()
	names := make([]string, len(filters))
	for i, c := range filters {
		names[i] = c.Name
	}
	rows, err := d.read.QueryContext(ctx, `SELECT `+strings.Join(names, ", ")+`, id, address_key, login, country, state, city, tags, basis_cause, search, port, created_at,
		`+statusRank+`, iif(checked_at IS NULL, -1, basis_reached), coalesce(latency, -1), iif(attempts > 0, lost * 1000 / attempts, -1),
		coalesce(down, -1), coalesce(checked_at, -1), silences > 0 OR tunnel_failures > 0 OR refusals > 0
		FROM nodes WHERE `+cond, args...)
	if err != nil {
		return nil, fmt.Errorf("read what lists are ordered by: %w", err)
	}
	defer rows.Close()
	var (
		out                               []indexRow
		r                                 indexRow
		country, state, city, tags, cause sql.RawBytes
		values                            = make([]sql.RawBytes, len(filters))
		into                              []any
	)
	for i := range values {
		into = append(into, &values[i])
	}
	into = append(into, &r.id, &r.address, &r.login, &country, &state, &city, &tags, &cause, &r.search, &r.port, &r.created,
		&r.status, &r.reached, &r.latency, &r.permille, &r.down, &r.checkedAt, &r.suspect)
	words, lists := interner{}, listInterner{}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("read what lists are ordered by: %w", err)
		}
		r.country, r.state, r.city = words.intern(country), words.intern(state), words.intern(city)
		r.tags, r.cause, r.filters = words.intern(tags), words.intern(cause), lists.intern(values)
		out = append(out, r)
	}
	return out, rows.Err()
}

// interner returns one string for equal texts.
type interner map[string]string

func (w interner) intern(b []byte) string {
	if s, ok := w[string(b)]; ok {
		return s
	}
	s := string(b)
	w[s] = s
	return s
}

// listInterner returns one list for equal lists of texts.
type listInterner map[string][]string

func (l listInterner) intern(values []sql.RawBytes) []string {
	var buf [128]byte
	key := buf[:0]
	for _, v := range values {
		key = append(append(key, v...), '\n') // no column has line breaks
	}
	if list, ok := l[string(key)]; ok {
		return list
	}
	list := strings.Split(strings.TrimSuffix(string(key), "\n"), "\n")
	l[string(key)] = list
	return list
}

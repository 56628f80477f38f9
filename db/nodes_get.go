package db

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// nodeRow is the list of columns that scanNode reads.
var nodeRow = `id, address, port, login, ` + strings.Join(columnNames(), ", ") + `, tags, encryption, allow_pap, revision,
	status, silences, tunnel_failures, refusals, basis_kind, basis_reached, basis_cause, basis_at, kind, reached, cause, latency, control, attempts, lost, down, up, checked_at,
	vendor, peer_host, firmware, plain, created_at, changed_at, EXISTS (SELECT 1 FROM flaps WHERE node_id = nodes.id AND until > 0)`

// nodeRowWidth is the number of the columns of nodeRow.
var nodeRowWidth = strings.Count(nodeRow, ",") + 1

// querier is a pool, a connection or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Node returns one node.
func (d *DB) Node(ctx context.Context, id int64) (connexa.Node, error) {
	n, err := scanNode(d.read.QueryRowContext(ctx, `SELECT `+nodeRow+` FROM nodes WHERE id = ?`, id).Scan)
	if err != nil {
		return connexa.Node{}, fmt.Errorf("read node %d: %w", id, translateError(err))
	}
	return n, nil
}

// NodesByID returns the nodes of ids in that order, without deleted ones.
func (d *DB) NodesByID(ctx context.Context, ids []int64) ([]connexa.Node, error) {
	return nodesByID(ctx, d.read, ids)
}

func nodesByID(ctx context.Context, q querier, ids []int64) ([]connexa.Node, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found := make(map[int64]connexa.Node, len(ids))
	for scan := range eachRow(q.QueryContext(ctx, `SELECT `+nodeRow+` FROM nodes WHERE id IN (SELECT value FROM json_each(?))`, jsonIDs(ids))) {
		n, err := scanNode(scan)
		if err != nil {
			return nil, fmt.Errorf("read nodes: %w", err)
		}
		found[n.ID] = n
	}
	nodes := make([]connexa.Node, 0, len(found))
	for _, id := range ids {
		if n, ok := found[id]; ok {
			nodes = append(nodes, n)
			delete(found, id) // a repeated id is one row
		}
	}
	return nodes, nil
}

// NodePassword opens the password of one node.
func (d *DB) NodePassword(ctx context.Context, id int64) (connexa.Secret, error) {
	var sealed []byte
	if err := d.read.QueryRowContext(ctx, `SELECT password FROM nodes WHERE id = ?`, id).Scan(&sealed); err != nil {
		return "", fmt.Errorf("read the password of node %d: %w", id, translateError(err))
	}
	return d.ring.openPassword(sealed)
}

// scanNode reads the columns of nodeRow, then those of more.
func scanNode(scan func(...any) error, more ...any) (connexa.Node, error) {
	var (
		n                                     connexa.Node
		tags                                  string
		reached, basis                        int
		latency, control, down, up, checkedAt sql.NullInt64
		basisAt                               sql.NullInt64
		created, changed                      int64
	)
	into := append(make([]any, 0, 64), &n.ID, &n.Address, &n.Port, &n.Login)
	for _, c := range connexa.Columns() {
		into = append(into, c.Value(&n))
	}
	into = append(into, &tags,
		&n.Encryption, &n.AllowPAP, &n.Revision,
		&n.Status, &n.Failures.NoAnswer, &n.Failures.NoTunnel, &n.Failures.LoginRefused,
		&n.Basis.Kind, &basis, &n.Basis.Cause, &basisAt,
		&n.Last.Kind, &reached, &n.Last.Cause, &latency, &control, &n.Last.Attempts, &n.Last.Lost, &down, &up, &checkedAt,
		&n.Peer.Vendor, &n.Peer.Host, &n.Peer.Firmware, &n.Plain, &created, &changed, &n.Flapping,
	)
	if err := scan(append(into, more...)...); err != nil {
		return connexa.Node{}, err
	}
	n.Tags = splitTags(tags)
	n.Basis.Reached, n.Basis.At = connexa.StepAt(basis), fromMillis(basisAt.Int64)
	n.Last.Reached = connexa.StepAt(reached)
	n.Last.Latency, n.Last.Control = fromMicros(latency.Int64), fromMicros(control.Int64)
	n.Last.DownBits, n.Last.UpBits = down.Int64, up.Int64
	n.Last.At = fromMillis(checkedAt.Int64)
	n.CreatedAt, n.ChangedAt = fromMillis(created), fromMillis(changed)
	return n, nil
}

func fromMicros(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

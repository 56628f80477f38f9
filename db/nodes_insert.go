package db

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// passwordPurpose binds sealed passwords and their digests to their column.
const passwordPurpose = "node.password"

// nodeColumns are the columns that come from a form or a file, in the order of nodeValues.
var nodeColumns = slices.Concat([]string{"address", "address_key", "port", "login", "password", "password_mac"},
	columnNames(), []string{"tags", "encryption", "allow_pap"})

// columnNames returns the names of connexa.Columns.
func columnNames() []string {
	var names []string
	for _, c := range connexa.Columns() {
		names = append(names, c.Name)
	}
	return names
}

// nodeValues returns the columns of n as the table stores them, with the sealed password.
func (k *keyring) nodeValues(n *connexa.Node, password connexa.Secret) []any {
	values := make([]any, 0, len(nodeColumns)+3) // room for more values of a statement
	values = append(values, n.Address, addressKey(n.Address), n.Port, n.Login, k.sealPassword(password), k.passwordMAC(password))
	for _, c := range connexa.Columns() {
		values = append(values, *c.Value(n))
	}
	return append(values, joinTags(n.Tags), string(n.Encryption), n.AllowPAP)
}

// insertNodesSQL returns a statement that inserts n nodes. Its arguments per node are
// nodeValues, the import, and the times of the addition and the last change. It skips
// nodes whose address, port and login are taken.
func insertNodesSQL(n int) string {
	columns := append(slices.Clip(nodeColumns), "import_id", "created_at", "changed_at")
	rows := slices.Repeat([]string{placeholders(len(columns))}, n)
	return `INSERT INTO nodes (` + strings.Join(columns, ", ") + `) VALUES ` + strings.Join(rows, ",") + ` ON CONFLICT (address, port, login) DO NOTHING`
}

// updateNodeSQL returns a statement that changes one node. Its arguments are
// nodeValues, those of more, and the id.
func updateNodeSQL(more ...string) string {
	columns := append(slices.Clip(nodeColumns), more...)
	return `UPDATE nodes SET (` + strings.Join(columns, ", ") + `) = ` + placeholders(len(columns)) + ` WHERE id = ?`
}

// placeholders returns a row of n placeholders.
func placeholders(n int) string { return "(" + strings.TrimSuffix(strings.Repeat("?,", n), ",") + ")" }

func (k *keyring) sealPassword(p connexa.Secret) []byte {
	return k.seal(passwordPurpose, []byte(p.Reveal()))
}

func (k *keyring) openPassword(sealed []byte) (connexa.Secret, error) {
	plain, err := k.unseal(passwordPurpose, sealed)
	return connexa.Secret(plain), err
}

// passwordMAC returns a keyed digest of p, equal for equal passwords.
func (k *keyring) passwordMAC(p connexa.Secret) []byte {
	return k.keyedDigest(passwordPurpose, p.Reveal())
}

// nodeInserter adds nodes in one transaction with one prepared statement.
type nodeInserter struct {
	stmt     *sql.Stmt
	ring     *keyring
	now      int64
	importID sql.NullInt64
}

// insertNodes returns an inserter for tx; importID is zero if the nodes do not come
// from an import. The caller closes the inserter.
func (d *DB) insertNodes(ctx context.Context, tx *sql.Tx, now time.Time, importID int64) (*nodeInserter, error) {
	stmt, err := tx.PrepareContext(ctx, insertNodesSQL(1))
	if err != nil {
		return nil, fmt.Errorf("prepare nodes: %w", err)
	}
	return &nodeInserter{stmt, d.ring, toMillis(now), sql.NullInt64{Int64: importID, Valid: importID != 0}}, nil
}

// insertNode inserts n as an untested node and returns its id. It returns zero and
// writes nothing if the address, port and login are taken.
func (i *nodeInserter) insertNode(ctx context.Context, n *connexa.Node, password connexa.Secret) (int64, error) {
	values := append(i.ring.nodeValues(n, password), i.importID, i.now, i.now)
	res, err := i.stmt.ExecContext(ctx, values...)
	if err != nil {
		return 0, fmt.Errorf("insert node: %w", err)
	}
	added, err := res.RowsAffected()
	if err != nil || added == 0 {
		return 0, err
	}
	return res.LastInsertId()
}

func (i *nodeInserter) close() error { return i.stmt.Close() }

// addressKey returns a sort key: IPv4 addresses by number, before the host names,
// which cannot begin with '!'. Two addresses never share a key.
func addressKey(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || !a.Is4() {
		return address
	}
	b := a.As4()
	return "!" + hex.EncodeToString(b[:])
}

// joinTags puts a comma on both sides of each tag, so that a search can find whole tags. No
// tag contains a comma.
func joinTags(tags []string) string {
	if len(tags) == 0 {
		return ""
	}
	return "," + strings.Join(tags, ",") + ","
}

// splitTags is the inverse of joinTags.
func splitTags(s string) []string {
	if s = strings.Trim(s, ","); s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

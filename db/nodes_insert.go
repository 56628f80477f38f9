package db

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// passwordPurpose binds what is sealed and digested to the column it is for.
const passwordPurpose = "node.password"

// nodeColumns are those that a person or a file fills, in the order of nodeValues.
const nodeColumns = `address, address_key, port, login, password, password_mac, provider, country, state, city, zip, comment,
	tags, encryption, allow_pap, search`

// nodeValues are the columns of n as the table keeps them, the password sealed.
func (k *keyring) nodeValues(n *connexa.Node, password connexa.Secret) []any {
	return []any{
		n.Address, addressKey(n.Address), n.Port, n.Login, k.sealPassword(password), k.passwordMAC(password),
		n.Provider, n.Country, n.State, n.City, n.Zip, n.Comment,
		joinTags(n.Tags), string(n.Encryption), n.AllowPAP, searchText(n),
	}
}

func (k *keyring) sealPassword(p connexa.Secret) []byte {
	return k.seal(passwordPurpose, []byte(p.Reveal()))
}

func (k *keyring) openPassword(sealed []byte) (connexa.Secret, error) {
	plain, err := k.unseal(passwordPurpose, sealed)
	return connexa.Secret(plain), err
}

// passwordMAC is equal for equal passwords.
func (k *keyring) passwordMAC(p connexa.Secret) []byte {
	return k.keyedDigest(passwordPurpose, p.Reveal())
}

// nodeInserter adds nodes inside one transaction with one prepared statement.
type nodeInserter struct {
	stmt     *sql.Stmt
	ring     *keyring
	now      int64
	importID sql.NullInt64
}

// insertNodes prepares to add nodes inside tx; importID is zero when they do not
// come from an import. The caller closes the inserter.
func (d *DB) insertNodes(ctx context.Context, tx *sql.Tx, now time.Time, importID int64) (*nodeInserter, error) {
	stmt, err := tx.PrepareContext(ctx, `INSERT INTO nodes (`+nodeColumns+`, import_id, created_at, changed_at)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (address, port, login) DO NOTHING`)
	if err != nil {
		return nil, fmt.Errorf("prepare nodes: %w", err)
	}
	return &nodeInserter{stmt, d.ring, toMillis(now), sql.NullInt64{Int64: importID, Valid: importID != 0}}, nil
}

// insertNode inserts n as a node that was never tested and returns its id; zero when
// the address, port and login are taken, and then nothing is written.
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

// addressKey orders addresses: IPv4 by number and before the host names, which
// cannot begin with '!'. Two addresses never share a key.
func addressKey(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || !a.Is4() {
		return address
	}
	b := a.As4()
	return "!" + hex.EncodeToString(b[:])
}

// joinTags puts a comma on both sides of each tag, so that a whole tag can be
// found; no tag holds a comma.
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

// searchText is what the text filter looks through. Lower case is Go's, because
// SQLite knows that of ASCII only. No field holds a line break, so a match never
// spans two.
func searchText(n *connexa.Node) string {
	parts := append([]string{n.Address, n.Login, n.Provider, n.Country, n.State, n.City, n.Zip, n.Comment}, n.Tags...)
	return strings.ToLower(strings.Join(parts, "\n"))
}

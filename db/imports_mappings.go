package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

const headerPurpose = "import.header"

// maxMappings is the number of remembered mappings. The least recently used ones are
// forgotten.
const maxMappings = 500

// headerDigest returns a keyed digest of the names of columns, ignoring case and blanks
// around them.
func (k *keyring) headerDigest(names []string) []byte {
	parts := make([]string, len(names))
	for i, s := range names {
		parts[i] = strings.ToLower(strings.TrimSpace(s))
	}
	return k.keyedDigest(headerPurpose, parts...)
}

// MappingFor returns the remembered mapping of files with these names of columns, or
// nil.
func (d *DB) MappingFor(ctx context.Context, names []string) (mapping []string, err error) {
	var text []byte
	err = d.read.QueryRowContext(ctx, `SELECT mapping FROM import_mappings WHERE header = ?`, d.ring.headerDigest(names)).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &mapping)
	}
	if err != nil {
		return nil, fmt.Errorf("read a remembered mapping: %w", err)
	}
	return mapping, nil
}

// SetMappingFor remembers a mapping, or forgets it if it is empty.
func (d *DB) SetMappingFor(ctx context.Context, names, mapping []string) error {
	header := d.ring.headerDigest(names)
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		if len(mapping) == 0 {
			_, err := tx.ExecContext(ctx, `DELETE FROM import_mappings WHERE header = ?`, header)
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO import_mappings (header, mapping, used_at) VALUES (?1, ?2, ?3)
			ON CONFLICT DO UPDATE SET mapping = ?2, used_at = ?3`, header, asJSON(mapping), toMillis(d.now())); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM import_mappings WHERE header NOT IN (SELECT header FROM import_mappings ORDER BY used_at DESC LIMIT ?)`, maxMappings)
		return err
	})
	if err != nil {
		return fmt.Errorf("remember a mapping: %w", err)
	}
	return nil
}

package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mattn/go-sqlite3"
)

// SnapshotDir is the folder, in the data folder, of the copies that are made before each
// migration.
const SnapshotDir = "snapshots"

const snapshotsKept = 5

// copyBeforeMigration copies the database with the schema version with SQLite's online
// backup, and removes the oldest copies.
func (d *DB) copyBeforeMigration(ctx context.Context, dir string, version int64) (path string, err error) {
	folder := filepath.Join(dir, SnapshotDir)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("make the snapshot folder: %w", err)
	}
	path = filepath.Join(folder, fmt.Sprintf("connexa-v%05d-%s.db", version, d.now().UTC().Format("20060102T150405.000Z")))
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", fmt.Errorf("make a snapshot: %w", err)
	}
	defer os.Remove(part) // does nothing after the rename
	if err := copyDatabase(ctx, d.write, part); err != nil {
		return "", errors.Join(fmt.Errorf("make a snapshot: %w", err), f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close(), os.Rename(part, path)); err != nil {
		return "", fmt.Errorf("make a snapshot: %w", err)
	}
	list, err := listSnapshots(dir)
	if err != nil {
		return "", err
	}
	for _, old := range list[:max(0, len(list)-snapshotsKept)] {
		if err := os.Remove(old.path); err != nil {
			return "", fmt.Errorf("remove an old snapshot: %w", err)
		}
	}
	return path, nil
}

// copyDatabase copies the database of a pool to the file at path.
func copyDatabase(ctx context.Context, from *sql.DB, path string) error {
	opened, err := (&sqlite3.SQLiteDriver{}).Open(fileURI(path))
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	to := opened.(*sqlite3.SQLiteConn)
	conn, err := from.Conn(ctx)
	if err != nil {
		return errors.Join(err, to.Close())
	}
	err = conn.Raw(func(c any) error {
		b, err := to.Backup("main", c.(*sqlite3.SQLiteConn), "main")
		if err != nil {
			return err
		}
		_, err = b.Step(-1)
		return errors.Join(err, b.Finish())
	})
	return errors.Join(err, conn.Close(), to.Close())
}

type savedCopy struct {
	path    string
	version int64
	when    string // sortable
}

// listSnapshots lists the copies in dir, the oldest first.
func listSnapshots(dir string) ([]savedCopy, error) {
	paths, err := filepath.Glob(filepath.Join(dir, SnapshotDir, "connexa-v*-*.db"))
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	var list []savedCopy
	for _, p := range paths {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(p), "connexa-v"), ".db")
		v, when, _ := strings.Cut(name, "-")
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			list = append(list, savedCopy{p, n, when})
		}
	}
	slices.SortFunc(list, func(a, b savedCopy) int { return strings.Compare(a.when, b.when) })
	return list, nil
}

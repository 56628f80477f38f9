package db

import (
	"context"
	"database/sql"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/migrations"
)

// openDir opens the database in dir and closes it with the test.
func openDir(t *testing.T, dir string) *DB {
	t.Helper()
	d, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func closeNow(t *testing.T, d *DB) {
	t.Helper()
	forking.Lock()
	defer forking.Unlock()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func wantText(t *testing.T, err error, code connexa.Code, key string, args ...string) {
	t.Helper()
	text := connexa.TextOf(err)
	if err == nil || connexa.CodeOf(err) != code || text.Key != key {
		t.Fatalf("error %v, want %s", err, key)
	}
	for _, a := range args {
		if !strings.Contains(text.String(), a) {
			t.Errorf("%s does not name %q", text, a)
		}
	}
}

func TestOneProcessOwnsTheFolder(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	_, err := Open(t.Context(), Options{Dir: dir})
	wantText(t, err, connexa.Conflict, "start.locked", dir, strconv.Itoa(os.Getpid()))
	closeNow(t, d)
	closeNow(t, openDir(t, dir))
}

// TestAnotherProcessNamesTheFirst runs this test binary a second time.
func TestAnotherProcessNamesTheFirst(t *testing.T) {
	if dir := os.Getenv("CONNEXA_TEST_DIR"); dir != "" {
		_, err := Open(t.Context(), Options{Dir: dir})
		wantText(t, err, connexa.Conflict, "start.locked", dir, os.Getenv("CONNEXA_TEST_PID"))
		return
	}
	dir := t.TempDir()
	openDir(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestAnotherProcessNamesTheFirst$", "-test.v")
	cmd.Env = append(os.Environ(), "CONNEXA_TEST_DIR="+dir, "CONNEXA_TEST_PID="+strconv.Itoa(os.Getpid()))
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestNobodyElseReadsTheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	d := openDir(t, dir)
	if _, err := d.AddFirstAccount(t.Context(), "ann", "x", false); err != nil { // now the WAL and its index exist
		t.Fatal(err)
	}
	if _, err := d.copyBeforeMigration(t.Context(), dir, 1); err != nil {
		t.Fatal(err)
	}
	seen := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
		seen++
		return nil
	})
	if err != nil || seen < 7 { // folder, database, WAL, index, key, lock, snapshots
		t.Errorf("%d entries, %v", seen, err)
	}
}

func TestTheKeyIsChecked(t *testing.T) {
	dir := t.TempDir()
	closeNow(t, openDir(t, dir))
	path := filepath.Join(dir, KeyFile)
	right, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := connexa.Secret(strings.Repeat("ab", 32))
	_, err = Open(t.Context(), Options{Dir: dir, Key: other})
	wantText(t, err, connexa.Invalid, "start.key.wrong", "CONNEXA_KEY")
	_, err = Open(t.Context(), Options{Dir: dir, Key: "short"})
	wantText(t, err, connexa.Invalid, "start.key.form", "CONNEXA_KEY")

	if err := os.WriteFile(path, []byte(other.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Options{Dir: dir})
	wantText(t, err, connexa.Invalid, "start.key.wrong", path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Options{Dir: dir})
	wantText(t, err, connexa.Invalid, "start.key.missing", path)

	d, err := Open(t.Context(), Options{Dir: dir, Key: connexa.Secret(right)})
	if err != nil {
		t.Fatal(err)
	}
	closeNow(t, d)
}

func TestCookieKeys(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	sign, encrypt := d.CookieKeys()
	if len(sign) != 32 || len(encrypt) != 32 || string(sign) == string(encrypt) {
		t.Error("the keys are not two of 32 bytes")
	}
	closeNow(t, d)
	if again, _ := openDir(t, dir).CookieKeys(); string(again) != string(sign) {
		t.Error("a restart changed the keys")
	}
	if other, _ := openDir(t, t.TempDir()).CookieKeys(); string(other) == string(sign) {
		t.Error("another folder has the same keys")
	}
}

// twoVersions returns the schema with one more version.
func twoVersions(t *testing.T) fs.FS {
	t.Helper()
	first, err := fs.ReadFile(migrations.FS, "00001_start.sql")
	if err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{
		"00001_start.sql": {Data: first},
		"90000_later.sql": {Data: []byte("-- +goose Up\nCREATE TABLE later (x INTEGER) STRICT;\n-- +goose Down\nDROP TABLE later;\n")},
	}
}

func TestACopyIsMadeBeforeAMigration(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	if _, err := d.AddFirstAccount(t.Context(), "ann", "kept", false); err != nil {
		t.Fatal(err)
	}
	closeNow(t, d)
	if list, err := listSnapshots(dir); err != nil || len(list) != 0 {
		t.Fatalf("a fresh database was copied: %v, %v", list, err)
	}

	d, err := openWithSchema(t.Context(), Options{Dir: dir}, twoVersions(t))
	if err != nil {
		t.Fatal(err)
	}
	closeNow(t, d)
	list, err := listSnapshots(dir)
	if err != nil || len(list) != 1 {
		t.Fatalf("copies %v, %v", list, err)
	}
	saved, err := sql.Open("sqlite3", fileURI(list[0].path)+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer saved.Close()
	var name string
	if err := saved.QueryRowContext(t.Context(), `SELECT password_hash FROM accounts WHERE name = 'ann'`).Scan(&name); err != nil || name != "kept" {
		t.Errorf("the copy has %q, %v", name, err)
	}
	var later int
	if err := saved.QueryRowContext(t.Context(), `SELECT count(*) FROM sqlite_master WHERE name = 'later'`).Scan(&later); err != nil || later != 0 {
		t.Errorf("the copy was made after the migration: %d, %v", later, err)
	}

	// The older program refuses the newer database, names the copy and changes nothing.
	_, err = Open(t.Context(), Options{Dir: dir})
	wantText(t, err, connexa.Conflict, "start.schema.newer", "90000", list[0].path)
	// The copy can be restored as the message says.
	if err := os.Rename(list[0].path, filepath.Join(dir, File)); err != nil {
		t.Fatal(err)
	}
	d = openDir(t, dir)
	if u, err := d.AccountByName(t.Context(), "ann"); err != nil || u.PasswordHash != "kept" {
		t.Errorf("after going back: %+v, %v", u, err)
	}
}

func TestANewerSchemaWithoutACopy(t *testing.T) {
	dir := t.TempDir()
	d, err := openWithSchema(t.Context(), Options{Dir: dir}, twoVersions(t))
	if err != nil {
		t.Fatal(err)
	}
	closeNow(t, d)
	_, err = Open(t.Context(), Options{Dir: dir})
	wantText(t, err, connexa.Conflict, "start.schema.newer.alone", "90000")
}

func TestOldCopiesGo(t *testing.T) {
	dir := t.TempDir()
	at := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	d, err := Open(t.Context(), Options{Dir: dir, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { at = at.Add(time.Hour); return at }})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var last string
	for range snapshotsKept + 3 {
		if last, err = d.copyBeforeMigration(t.Context(), dir, 1); err != nil {
			t.Fatal(err)
		}
	}
	list, err := listSnapshots(dir)
	if err != nil || len(list) != snapshotsKept || list[len(list)-1].path != last {
		t.Errorf("%d copies, %v; the last is %v", len(list), err, list)
	}
	left, err := filepath.Glob(filepath.Join(dir, SnapshotDir, "*.part"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestTwoPools(t *testing.T) {
	d := openDir(t, t.TempDir())
	if _, err := d.read.ExecContext(t.Context(), `DELETE FROM settings`); err == nil {
		t.Error("the read pool wrote")
	}
	pragma := func(c *sql.Conn, name string) (value string) {
		t.Helper()
		if err := c.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&value); err != nil {
			t.Fatal(err)
		}
		return value
	}
	for range 4 { // kept open, so that each has its own connection
		c, err := d.read.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if pragma(c, "foreign_keys") != "1" || pragma(c, "busy_timeout") != "5000" {
			t.Error("a pragma did not reach a connection of the read pool")
		}
	}
	c, err := d.write.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, want := range map[string]string{"foreign_keys": "1", "journal_mode": "wal", "secure_delete": "1", "synchronous": "1"} {
		if got := pragma(c, name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

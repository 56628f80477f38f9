package db

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// TestLooseFilesAreRefused gives rights to others, starts, runs the command from the
// refusal, and starts again.
func TestLooseFilesAreRefused(t *testing.T) {
	for _, name := range []string{KeyFile, File, File + "-wal", File + "-shm", "snapshots/connexa-v00001-20260101T000000.000Z.db", "acme/panel.example.net", "acme/acme_account+key"} {
		for _, mode := range []fs.FileMode{0o644, 0o640, 0o660, 0o604, 0o620, 0o602, 0o755, 0o610} {
			t.Run(name+" "+mode.String(), func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "it's a folder")
				closeNow(t, openDir(t, dir))
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o600)
				if err != nil {
					t.Fatal(err)
				}
				f.Close()
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
				_, err = Open(t.Context(), Options{Dir: dir})
				var e *connexa.Error
				if !errors.As(err, &e) || e.Text.Key != "start.loose" || e.Text.Args[0] != path {
					t.Fatalf("got %v, want start.loose with the path", err)
				}
				line, ok := e.Text.Args[1].(string)
				if out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", line).CombinedOutput(); !ok || err != nil {
					t.Fatalf("%s: %v %s", line, err, out)
				}
				if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("after %s: %v, %v", line, info.Mode(), err)
				}
				closeNow(t, openDir(t, dir))
			})
		}
	}
}

func TestAllLooseFilesAreNamedAtOnce(t *testing.T) {
	dir := t.TempDir()
	closeNow(t, openDir(t, dir))
	for _, name := range []string{KeyFile, File} {
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Open(t.Context(), Options{Dir: dir, Key: connexa.Secret(strings.Repeat("ab", 32))}) // the file counts even if the key is given
	if text := connexa.TextOf(err); text.Key != "start.loose" || !strings.Contains(text.String(), KeyFile) || !strings.Contains(text.String(), File) {
		t.Errorf("got %v, want start.loose with the key and the database", err)
	}
	// For a link, its target counts.
	other := filepath.Join(t.TempDir(), "key")
	if err := os.Rename(filepath.Join(dir, KeyFile), other); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, filepath.Join(dir, KeyFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, File), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Dir: dir}); connexa.TextOf(err).Key != "start.loose" {
		t.Errorf("a link to a loose key: %v", err)
	}
	if err := os.Chmod(other, 0o400); err != nil {
		t.Fatal(err)
	}
	closeNow(t, openDir(t, dir))
}

// TestTheFolderIsClosed starts in folders that others may enter.
func TestTheFolderIsClosed(t *testing.T) {
	for name, tt := range map[string]struct {
		mode    fs.FileMode
		foreign bool
		refused bool
		after   fs.FileMode
	}{
		"readable, ours":         {0o755, false, false, 0o700},
		"writable, ours":         {0o777, false, false, 0o700},
		"of a group, ours":       {0o770, false, false, 0o700},
		"readable, with others'": {0o755, true, false, 0o755},
		"writable, with others'": {0o775, true, true, 0o775},
		"open, with others'":     {0o707, true, true, 0o707},
		"private":                {0o700, true, false, 0o700},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			closeNow(t, openDir(t, dir))
			if tt.foreign {
				if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(dir, tt.mode); err != nil {
				t.Fatal(err)
			}
			d, err := Open(t.Context(), Options{Dir: dir})
			if err == nil {
				closeNow(t, d)
			}
			if refused := connexa.TextOf(err).Key == "start.loose.folder"; refused != tt.refused || !refused && err != nil {
				t.Errorf("%v", err)
			}
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != tt.after {
				t.Errorf("%v, %v; want %v", info.Mode(), err, tt.after)
			}
		})
	}
}

func TestATLSKeyForEverybodyIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, fine := range map[fs.FileMode]bool{0o600: true, 0o640: true, 0o400: true, 0o644: false, 0o604: false, 0o602: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := CheckTLSKey(path); (err == nil) != fine {
			t.Errorf("%v: %v", mode, err)
		}
	}
	if err := CheckTLSKey(path + "x"); err != nil {
		t.Errorf("one that is not there: %v", err)
	}
}

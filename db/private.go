package db

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// The rights of other users of the machine.
const (
	forOthers   fs.FileMode = 0o077 // and of the group
	writeOthers fs.FileMode = 0o022
)

// acmeDir is the folder, in the data folder, of the certificates that the panel obtains by
// ACME, with their private keys.
const acmeDir = "acme"

// CheckPrivate refuses files that other users of this machine may read, write or execute.
// The error has the command that fixes it. Missing files are not an error.
func CheckPrivate(paths ...string) error {
	if runtime.GOOS == "windows" { // file modes mean nothing there
		return nil
	}
	var loose []string
	for _, path := range paths {
		info, err := os.Stat(path) // follows links
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("read the permissions of %s: %w", path, err)
		case info.Mode().IsRegular() && info.Mode().Perm()&forOthers != 0:
			loose = append(loose, path)
		}
	}
	if len(loose) == 0 {
		return nil
	}
	return connexa.Errorf(connexa.Invalid, "start.loose", strings.Join(loose, ", "), chmodLine("600", loose...))
}

// CheckTLSKey refuses the private key of a certificate that every user of this machine may
// read. A group may read it, because several servers can share a key like that.
func CheckTLSKey(path string) error {
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o007 == 0 {
		return nil // the next reader of the file reports it
	}
	return connexa.Errorf(connexa.Invalid, "start.loose.tls", path, chmodLine("o-rwx", path))
}

// checkFolder refuses a data folder with files that others may read. It closes the folder
// to others if everything in it belongs to the panel.
func checkFolder(dir string, log *slog.Logger) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	paths := []string{filepath.Join(dir, KeyFile), filepath.Join(dir, File), filepath.Join(dir, File+"-wal"), filepath.Join(dir, File+"-shm")}
	for _, folder := range []string{SnapshotDir, acmeDir} {
		more, err := filepath.Glob(filepath.Join(globQuote(dir), folder, "*"))
		if err != nil {
			return fmt.Errorf("list %s: %w", folder, err)
		}
		paths = append(paths, more...)
	}
	if err := CheckPrivate(paths...); err != nil {
		return err
	}
	for _, folder := range []string{dir, filepath.Join(dir, SnapshotDir), filepath.Join(dir, acmeDir)} {
		if err := closeFolder(folder, log); err != nil {
			return err
		}
	}
	return nil
}

// closeFolder removes the rights of others from a folder with only the panel's files. It
// does not change any other folder, and refuses it if others may replace files in it.
func closeFolder(dir string, log *slog.Logger) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the permissions of %s: %w", dir, err)
	}
	mode := info.Mode().Perm()
	if mode&forOthers == 0 {
		return nil
	}
	ours, err := holdsOurs(dir)
	if err != nil {
		return err
	}
	if ours && os.Chmod(dir, mode&^forOthers) == nil {
		log.Info("closed a folder to other users of this machine", "path", dir, "mode", mode.String())
		return nil
	}
	if mode&writeOthers != 0 {
		return connexa.Errorf(connexa.Invalid, "start.loose.folder", dir, chmodLine("700", dir))
	}
	log.Warn("other users of this machine can read the data folder", "path", dir, "mode", mode.String())
	return nil
}

// holdsOurs reports whether a folder contains only files of the panel.
func holdsOurs(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, fmt.Errorf("list %s: %w", dir, err)
	}
	if name := filepath.Base(dir); name == SnapshotDir || name == acmeDir {
		return true, nil
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == KeyFile, name == LockFile, name == SnapshotDir, name == acmeDir, strings.HasPrefix(name, File):
		default:
			return false, nil
		}
	}
	return true, nil
}

// globQuote quotes a path for use in a pattern.
func globQuote(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// chmodLine returns a chmod command to copy.
func chmodLine(mode string, paths ...string) string {
	words := []string{"chmod", mode}
	for _, p := range paths {
		if strings.ContainsFunc(p, func(r rune) bool {
			return !strings.ContainsRune("/._-+,:@", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		}) {
			p = "'" + strings.ReplaceAll(p, "'", `'\''`) + "'"
		}
		words = append(words, p)
	}
	return strings.Join(words, " ")
}

package db

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// LockFile is the name of the file that keeps a second process out of the data folder. It
// contains the pid of the first.
const LockFile = "connexa.lock"

// lockFolder locks the data folder for this process until the file is closed. The kernel
// unlocks it at the end of the process, however it ends.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, LockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		pid, _ := io.ReadAll(io.LimitReader(f, 20))
		f.Close()
		return nil, connexa.Errorf(connexa.Conflict, "start.locked", dir, cmp.Or(strings.TrimSpace(string(pid)), "?"))
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	pid := fmt.Appendln(nil, os.Getpid())
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, fmt.Errorf("write the lock: %w", err)
	}
	if _, err := f.WriteAt(pid, 0); err != nil {
		f.Close()
		return nil, fmt.Errorf("write the lock: %w", err)
	}
	return f, nil
}

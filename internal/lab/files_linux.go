package lab

import (
	"fmt"
	"syscall"
)

// reservedFiles is how many descriptors are reserved for everything except the listeners.
const reservedFiles = 128

// needFiles makes sure that the process may open n listeners, some connections
// and its other files. It returns the limit of open files.
func needFiles(n int) (limit int, err error) {
	want := uint64(n + 2*reservedFiles)
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	if r.Cur < want {
		r.Cur = want
		r.Max = max(r.Max, want) // only the superuser may raise it
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r)
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
			return 0, fmt.Errorf("read the limit of open files: %w", err)
		}
	}
	if r.Cur < want {
		return 0, fmt.Errorf("%d servers need %d open files and the limit is %d; raise it with ulimit -n", n, want, r.Cur)
	}
	return int(min(r.Cur, 1<<30)), nil
}

//go:build faketime

package speed_test

import (
	"fmt"
	"syscall"
	"testing"
	"unsafe"
)

// With the build tag faketime, the one of the Go playground, time stands still
// while anything runs and leaps when nothing does. Both ends, the line between
// them and the measurement are in this process, so a machine that is busy makes a
// test longer and its figures no other:
//
//	CGO_ENABLED=0 GOMAXPROCS=1 go test -tags faketime -timeout 9h ./internal/speed

// virtual says whether time passes only while nothing runs.
const virtual = true

// say prints a line of a table, past the frames that this runtime puts around what
// is printed.
func say(format string, args ...any) {
	line := fmt.Appendf(nil, format, args...)
	_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, 1, uintptr(unsafe.Pointer(&line[0])), uintptr(len(line)))
}

func TestAccuracy(t *testing.T) { accuracy(t, "1") }

func TestTwoAtOnce(t *testing.T) { twoAtOnce(t) }

//go:build faketime

package speed_test

import (
	"fmt"
	"syscall"
	"testing"
	"unsafe"
)

// With the build tag faketime, which is that of the Go playground, time stands still
// while anything runs and jumps when nothing does. Both ends, the line between them
// and the measurement are in this process, so the load of the machine makes a test
// longer but does not change its result:
//
//	CGO_ENABLED=0 GOMAXPROCS=1 go test -tags faketime -timeout 9h ./internal/speed

// virtual reports whether time passes only while nothing runs.
const virtual = true

// printRow prints a line of a table, without the framing that this runtime adds to output.
func printRow(format string, args ...any) {
	line := fmt.Appendf(nil, format, args...)
	_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, 1, uintptr(unsafe.Pointer(&line[0])), uintptr(len(line)))
}

func TestAccuracy(t *testing.T) { accuracy(t, "1") }

func TestTwoAtOnce(t *testing.T) { twoAtOnce(t) }

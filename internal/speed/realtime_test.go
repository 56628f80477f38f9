//go:build !faketime

package speed_test

import (
	"fmt"
	"os"
)

// virtual reports whether time passes only while nothing runs.
const virtual = false

// say prints a line of a table.
func say(format string, args ...any) { fmt.Fprintf(os.Stdout, format, args...) }

//go:build !faketime

package speed_test

import (
	"fmt"
	"os"
)

// virtual reports whether time passes only while nothing runs.
const virtual = false

// printRow prints a line of a table.
func printRow(format string, args ...any) { fmt.Fprintf(os.Stdout, format, args...) }

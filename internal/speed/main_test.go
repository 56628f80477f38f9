package speed

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets more tests go on at once than there are processors: they wait for
// the time.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

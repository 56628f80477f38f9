package speed

import (
	"flag"
	"os"
	"testing"
)

// TestMain allows more parallel tests than there are processors, because the tests
// mostly wait.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

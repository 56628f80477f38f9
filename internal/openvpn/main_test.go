package openvpn

import (
	"os"
	"testing"
)

// TestMain acts as openvpn's helper where a test's openvpn starts this program.
func TestMain(m *testing.M) {
	if IsHelper() {
		os.Exit(RunHelper(os.Stderr))
	}
	os.Exit(m.Run())
}

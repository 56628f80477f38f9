// Package labtest starts fleets of package lab for the duration of a test.
package labtest

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/connexa-panel/connexa/internal/lab"
)

// Start runs a fleet until the test ends. Without a Base in cfg it finds
// addresses that no other test uses, in this process or another.
func Start(t testing.TB, cfg lab.Config) *lab.Fleet {
	t.Helper()
	f, stop := Open(t, cfg)
	t.Cleanup(stop)
	return f
}

// Open is Start for a test with many fleets one after the other: the caller must call
// stop.
func Open(t testing.TB, cfg lab.Config) (f *lab.Fleet, stop func()) {
	t.Helper()
	f, err := listenFleet(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	return f, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Faults parses a spec such as "good=3,silent=1".
func Faults(t testing.TB, spec string) lab.Faults {
	t.Helper()
	f, err := lab.ParseFaults(spec)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func listenFleet(cfg lab.Config) (*lab.Fleet, error) {
	search := cfg.Base == netip.Prefix{}
	for try := 1; ; try++ {
		if search {
			// Leave the product's default, 127.20 to 127.23, to the demo.
			second := byte(32 + rand.IntN(222))
			cfg.Base = netip.PrefixFrom(netip.AddrFrom4([4]byte{127, second}), 16)
		}
		f, err := lab.New(cfg)
		if err != nil {
			return nil, err
		}
		err = f.Listen()
		if err == nil || !search || try == 20 || !errors.Is(err, lab.ErrInUse) {
			return f, err
		}
	}
}

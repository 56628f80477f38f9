package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/speed"
)

// Lab runs a simulated fleet until ctx is done.
func Lab(ctx context.Context, cfg config.Lab, out io.Writer) error {
	var faults lab.Faults // the zero value: all servers work
	if cfg.Faults != "" {
		var err error
		if faults, err = lab.ParseFaults(cfg.Faults); err != nil {
			return err
		}
	}
	fleet, err := openFleet(lab.Config{Nodes: cfg.Nodes, Seed: cfg.Seed, Faults: faults})
	if err != nil {
		return err
	}
	if err := writeFleet(fleet, cfg.CSV); err != nil {
		return err
	}
	nodes := fleet.Nodes()
	fmt.Fprintf(out, "%d servers listen, from %s to %s; %s is ready to import\n", len(nodes), nodes[0].Addr, nodes[len(nodes)-1].Addr, cfg.CSV)
	return fleet.Run(ctx)
}

// labEndpoint is the host of a speed server that exists only inside the tunnels of a
// simulated fleet.
const labEndpoint = "speed.lab.test"

// openFleet creates the fleet of cfg and opens its listeners on the first part of 127/8
// that no other program, such as another fleet, uses.
func openFleet(cfg lab.Config) (*lab.Fleet, error) {
	var taken error
	cfg.Sites = map[string]http.Handler{labEndpoint: speed.NewServer(speed.ServerOptions{})}
	for second := byte(20); second < 84; second += 4 {
		cfg.Base = netip.PrefixFrom(netip.AddrFrom4([4]byte{127, second, 0, 0}), 14)
		fleet, err := lab.New(cfg)
		if err != nil {
			return nil, err
		}
		if err = fleet.Listen(); err == nil {
			return fleet, nil
		}
		if !errors.Is(err, lab.ErrInUse) {
			return nil, err
		}
		taken = err
	}
	return nil, taken
}

// writeFleet writes the import file of the fleet. Only its owner may read it, as it
// contains passwords, though invented ones.
func writeFleet(fleet *lab.Fleet, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write the fleet: %w", err)
	}
	if err := errors.Join(fleet.WriteCSV(f), f.Close()); err != nil {
		return fmt.Errorf("write the fleet to %s: %w", path, err)
	}
	return nil
}

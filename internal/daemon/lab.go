package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/lab"
)

// Lab runs a simulated fleet until ctx is done.
func Lab(ctx context.Context, cfg config.Lab, out io.Writer) error {
	faults, err := lab.ParseFaults(cfg.Faults)
	if err != nil {
		return err
	}
	fleet, err := lab.New(lab.Config{Nodes: cfg.Nodes, Seed: cfg.Seed, Faults: faults})
	if err != nil {
		return err
	}
	if err := fleet.Listen(); err != nil {
		return err
	}
	if err := writeFleet(fleet, cfg.CSV); err != nil {
		return err
	}
	nodes := fleet.Nodes()
	fmt.Fprintf(out, "%d servers listen, from %s to %s; %s is ready to import\n", len(nodes), nodes[0].Addr, nodes[len(nodes)-1].Addr, cfg.CSV)
	return fleet.Run(ctx)
}

// writeFleet writes the file that the panel imports. It holds passwords, if only
// invented ones.
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

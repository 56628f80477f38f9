package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/daemon"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// Demo runs the panel on a new data folder with a simulated fleet until ctx is done, and
// then deletes the folder.
func Demo(ctx context.Context, cfg config.Demo, version string, out io.Writer, log *slog.Logger) error {
	dir, err := os.MkdirTemp("", "connexa-demo-")
	if err != nil {
		return fmt.Errorf("make the demo's folder: %w", err)
	}
	defer os.RemoveAll(dir)
	faults, err := lab.ParseFaults(lab.DefaultFaults)
	if err != nil {
		return err
	}
	wires, how := demoGRE(ctx)
	fleet, err := openFleet(lab.Config{Nodes: cfg.Nodes, Seed: cfg.Seed, Faults: faults, GRE: wires})
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "demo.csv")
	if err := writeFleet(fleet, path); err != nil {
		return err
	}
	panel, err := daemon.New(ctx, config.Serve{Demo: true, Listen: cfg.Listen, InsecureHTTP: cfg.InsecureHTTP, AllowLocal: true, Data: filepath.Join(dir, "data"), AdminPassword: cfg.AdminPassword}, wires, version, log)
	if err != nil {
		return err
	}
	// The fleet's own speed server, so that speed tests need no internet.
	if err := panel.SetFirstEndpoint(ctx, connexa.Endpoint{Kind: connexa.EndpointOwn, URL: "http://" + labEndpoint}); err != nil {
		return err
	}
	password := panel.FirstPassword.Reveal()
	if password == "" {
		password = "(the one in CONNEXA_ADMIN_PASSWORD)"
	}
	fmt.Fprintf(out, `
  Connexa demo: %d simulated PPTP servers on 127.x.y.z, some of them faulty.

    open      %s
    login     admin
    password  %s
    import    %s   (page Import, test "Login test" or "Ping + speed")
%s
  Everything is gone when you stop it with Ctrl-C.

`, cfg.Nodes, panel.URL(), password, path, how)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return fleet.Run(ctx) })
	g.Go(func() error { return panel.Run(ctx) })
	return g.Wait()
}

// demoGRE returns raw sockets if this user may open them, otherwise a switch inside this
// process, so that sessions work for every user.
func demoGRE(ctx context.Context) (wires gre.Opener, how string) {
	if gre.Diagnose(ctx, gre.Raw) == nil {
		return gre.Raw, ""
	}
	return gre.NewSwitch().Open, `
  Without CAP_NET_RAW the demo carries GRE inside this process instead of through
  raw sockets. Tunnels to real servers need that right; pings do not.
`
}

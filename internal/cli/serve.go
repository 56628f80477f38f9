package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/daemon"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// Serve runs the panel until ctx is done.
func Serve(ctx context.Context, cfg config.Serve, version string, out io.Writer, log *slog.Logger) error {
	p, err := daemon.New(ctx, cfg, gre.Raw, version, log)
	if err != nil {
		return err
	}
	if p.FirstPassword != "" {
		fmt.Fprintf(out, "\n  First start. Log in at %s as admin with the password %s\n  It is shown this once, and the panel asks for one of your own at once.\n  Lost it? connexa passwd sets another one.\n\n", p.URL(), p.FirstPassword.Reveal())
	}
	if cfg.InClear() {
		log.Warn("clear HTTP on an address that other machines reach: whoever is on the way reads passwords and sessions", "listen", cfg.Listen)
	}
	if os.Geteuid() == 0 {
		log.Warn("the panel runs as root: whoever takes it over has the machine; give it a user of its own and CAP_NET_RAW, as deploy/connexa.service does")
	}
	if cfg.MetricsListen != "" && !config.OnLoopback(cfg.MetricsListen) {
		log.Warn("the metrics are open to everybody who reaches their port, in clear", "listen", cfg.MetricsListen)
	}
	log.Info("the panel answers", "url", p.URL(), "data", cfg.Data, "version", version)
	return p.Run(ctx)
}

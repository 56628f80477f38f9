package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// Serve runs the panel until ctx is done.
func Serve(ctx context.Context, cfg config.Serve, version string, out io.Writer, log *slog.Logger) error {
	p, err := New(ctx, cfg, gre.Raw, version, log)
	if err != nil {
		return err
	}
	if p.FirstPassword != "" {
		fmt.Fprintf(out, "\n  First start. Log in as admin with the password %s\n  It is shown this once; change it on the page Account.\n\n", p.FirstPassword.Reveal())
	}
	log.Info("the panel answers", "url", p.URL(), "data", cfg.Data, "version", version)
	return p.Run(ctx)
}

package daemon

import (
	"log/slog"
	"net/url"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/guard"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/notify"
)

// newNotifier returns the sender of notifications. Messages contain links only if the
// panel's public URL is known.
func newNotifier(store notify.Store, public *url.URL, out *guard.Guard, log *slog.Logger) *notify.Notifier {
	printers := map[string]*i18n.Printer{}
	for _, l := range i18n.Langs() {
		printers[string(l)] = i18n.New(l, nil)
	}
	return notify.New(notify.Config{
		Store: store, Panel: public, Log: log, Guard: out,
		Words: func(lang string, t connexa.Text) string {
			p, ok := printers[lang]
			if !ok {
				p = printers[string(i18n.English)]
			}
			return p.Text(t)
		},
	})
}

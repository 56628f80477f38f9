package handlers

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// notFound answers for all unknown paths.
func (h *Handlers) notFound(w http.ResponseWriter, r *http.Request) error {
	return connexa.Errorf(connexa.NotFound, "error.no_page")
}

// healthz answers while the process runs.
func (h *Handlers) healthz(w http.ResponseWriter, r *http.Request) {
	plainText(w, http.StatusOK, "ok\n")
}

// readyz reports whether the panel can serve. It reads the database.
func (h *Handlers) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := h.accounts.Ready(ctx); err != nil {
		h.log.Warn("not ready", "err", err)
		plainText(w, http.StatusServiceUnavailable, "not ready\n")
		return
	}
	plainText(w, http.StatusOK, "ready\n")
}

func plainText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the client may be gone
}

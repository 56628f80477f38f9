package handlers

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// nowhere answers for every address that the panel does not have.
func (h *Handlers) nowhere(w http.ResponseWriter, r *http.Request) {
	h.refuse(w, r, connexa.NotFound, connexa.T("error.no_page"))
}

// healthz says that the process answers.
func (h *Handlers) healthz(w http.ResponseWriter, r *http.Request) { plain(w, http.StatusOK, "ok\n") }

// readyz says whether the panel can do its work: it reads the database.
func (h *Handlers) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := h.app.Ready(ctx); err != nil {
		h.log.Warn("not ready", "err", err)
		plain(w, http.StatusServiceUnavailable, "not ready\n")
		return
	}
	plain(w, http.StatusOK, "ready\n")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the reader may have left
}

package handlers

import (
	"crypto/sha256"
	"net/http"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// serveMetrics answers Prometheus, when it brings the token.
func (h *Handlers) serveMetrics(w http.ResponseWriter, r *http.Request) {
	if h.figures == nil || h.figuresFor == "" {
		plainText(w, http.StatusNotFound, "metrics are off: see --metrics-listen and --metrics-token\n")
		return
	}
	// Of one length, so that the time says nothing of the token's.
	digest := func(s string) connexa.Secret {
		sum := sha256.Sum256([]byte(s))
		return connexa.Secret(sum[:])
	}
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer || !digest(token).Equal(digest(h.figuresFor.Reveal())) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		plainText(w, http.StatusUnauthorized, "the metrics are for who has the token\n")
		return
	}
	h.figures.ServeHTTP(w, r)
}

// Readers is how many event streams are open.
func (h *Handlers) Readers() int { return h.streams.countStreams() }

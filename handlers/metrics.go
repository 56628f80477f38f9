package handlers

import (
	"crypto/sha256"
	"net/http"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// serveMetrics answers GET /metrics for requests with the token.
func (h *Handlers) serveMetrics(w http.ResponseWriter, r *http.Request) {
	if h.metrics == nil || h.metricsToken == "" {
		plainText(w, http.StatusNotFound, "metrics are off: see --metrics-listen and --metrics-token\n")
		return
	}
	// Digests have one length, so that the comparison does not reveal the length of the
	// token.
	digest := func(s string) connexa.Secret {
		sum := sha256.Sum256([]byte(s))
		return connexa.Secret(sum[:])
	}
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer || !digest(token).Equal(digest(h.metricsToken.Reveal())) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		plainText(w, http.StatusUnauthorized, "the metrics need the bearer token\n")
		return
	}
	h.metrics.ServeHTTP(w, r)
}

// Readers returns the number of open event streams.
func (h *Handlers) Readers() int { return h.streams.countStreams() }

package handlers

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/conns"
)

// requestInfo holds facts about a request. The guard adds the account for the log.
type requestInfo struct {
	address string // of the client, not of a proxy
	account string
}

type requestInfoKey struct{}

func requestInfoOf(ctx context.Context) *requestInfo {
	if v, ok := ctx.Value(requestInfoKey{}).(*requestInfo); ok {
		return v
	}
	return &requestInfo{}
}

func (h *Handlers) withRequestInfo(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &requestInfo{address: clientAddress(r, h.trusted)}
		ctx := context.WithValue(r.Context(), requestInfoKey{}, v)
		next.ServeHTTP(w, r.WithContext(app.WithActor(ctx, "", v.address)))
	})
}

// clientAddress returns the address of the client. If the peer is a trusted proxy, it
// is the last address in X-Forwarded-For that is not a trusted proxy; earlier ones can
// be forged.
func clientAddress(r *http.Request, trusted []netip.Prefix) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	at, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	at = at.Unmap().WithZone("")
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(at) }) {
			break
		}
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		at = next.Unmap().WithZone("")
	}
	return at.String()
}

// clientNetwork returns the network that counts as one client; see conns.Network.
func clientNetwork(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	return conns.Network(a).String()
}

package handlers

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// The Host of a request is the name in the browser's address bar. A foreign name that
// resolves to the panel is an attack (DNS rebinding): a page of that name would have
// the same origin as the panel.

// hostName returns the name or address of a Host without the port.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// withHost answers 421 to foreign names. IP addresses are accepted, because they
// involve no name lookup, and so is a missing Host, which HTTP/1.0 allows.
func (h *Handlers) withHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := hostName(r.Host)
		_, notIP := netip.ParseAddr(name)
		if name == "" || notIP == nil || h.ownName(name) || r.URL.Path == "/healthz" {
			next.ServeHTTP(w, r)
			return
		}
		h.log.Warn("request for another name refused", "host", r.Host, "peer", requestInfoOf(r.Context()).address)
		plainText(w, http.StatusMisdirectedRequest, i18n.From(r.Context()).Text(connexa.T("error.host", name))+"\n")
	})
}

func (h *Handlers) ownName(name string) bool {
	return name == "localhost" || slices.Contains(h.hosts, name)
}

// trustedHost returns the Host of a request if links and files may contain it: it is
// configured, or it is the local address of the connection. Any other value may come
// from an attacker.
func (h *Handlers) trustedHost(r *http.Request) (host string, ok bool) {
	name := hostName(r.Host)
	if h.ownName(name) {
		return r.Host, true
	}
	at, err := netip.ParseAddr(name)
	if local := localAddress(r); err == nil && local.IsValid() && at.Unmap().WithZone("") == local {
		return r.Host, true
	}
	return "", false
}

// localAddress returns the local address of the connection.
func localAddress(r *http.Request) netip.Addr {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return netip.Addr{}
	}
	at, err := netip.ParseAddrPort(local.String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// baseURL returns the base URL of the panel for browsers. ok is false if it is
// unknown.
func (h *Handlers) baseURL(r *http.Request) (base string, ok bool) {
	if h.public != nil {
		return h.public.Scheme + "://" + h.public.Host, true
	}
	host, ok := h.trustedHost(r)
	if h.secure {
		return "https://" + host, ok
	}
	return "http://" + host, ok
}

// asReached returns host, or, if host is the unspecified address, the address that this
// browser used to reach the panel.
func (h *Handlers) asReached(r *http.Request, host string) string {
	a, err := netip.ParseAddr(host)
	if err != nil || !a.IsUnspecified() {
		return host
	}
	if reached, ok := h.trustedHost(r); ok {
		return hostName(reached)
	}
	if h.public != nil {
		return h.public.Hostname()
	}
	if local := localAddress(r); local.IsValid() && !local.IsLoopback() {
		return local.String()
	}
	return host
}

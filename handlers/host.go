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

// The Host of a request is what the browser had in its address line. A name that
// leads here although we do not know it is a trick: a page of that name, whose
// address was changed to ours, would be of one origin with the panel.

// hostName is the name or address in a Host, without the port.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// withHost answers 421 to a name that is not ours. Addresses are ours, as no name was
// looked up; so is no Host at all, which HTTP/1.0 may have.
func (h *Handlers) withHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := hostName(r.Host)
		_, notIP := netip.ParseAddr(name)
		if name == "" || notIP == nil || h.ownName(name) || r.URL.Path == "/healthz" {
			next.ServeHTTP(w, r)
			return
		}
		h.log.Warn("request for another name refused", "host", r.Host, "peer", visitOf(r.Context()).address)
		plainText(w, http.StatusMisdirectedRequest, i18n.From(r.Context()).Text(connexa.T("error.host", name))+"\n")
	})
}

func (h *Handlers) ownName(name string) bool {
	return name == "localhost" || slices.Contains(h.hosts, name)
}

// isTrustedProxy returns the Host of a request where it may stand in links and files: it was
// configured, or is the address of this machine that the browser is connected to. Any
// other address may have been written by somebody between.
func (h *Handlers) isTrustedProxy(r *http.Request) (host string, ok bool) {
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

// localAddress is our end of the connection.
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

// isOutsideHost is how browsers reach the panel; not ok when nothing says so.
func (h *Handlers) isOutsideHost(r *http.Request) (base string, ok bool) {
	if h.public != nil {
		return h.public.Scheme + "://" + h.public.Host, true
	}
	host, ok := h.isTrustedProxy(r)
	if h.secure {
		return "https://" + host, ok
	}
	return "http://" + host, ok
}

// asReached is host, and where that is every address of this machine, the one by
// which this browser reached the panel.
func (h *Handlers) asReached(r *http.Request, host string) string {
	a, err := netip.ParseAddr(host)
	if err != nil || !a.IsUnspecified() {
		return host
	}
	if reached, ok := h.isTrustedProxy(r); ok {
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

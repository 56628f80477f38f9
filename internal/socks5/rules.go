package socks5

import "net/netip"

// Rules say which destinations a proxy may connect to. The zero value is the strictest.
// Loopback, link-local (the metadata service of clouds) and multicast addresses are
// always refused, because services there belong to the machine at the far end.
type Rules struct {
	Private bool // allow private networks behind the tunnel
	Mail    bool // allow TCP port 25
}

// privateNets are the networks that Rules.Private allows: RFC 1918, and RFC 6598 for
// providers.
var privateNets = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"),
}

// reservedNets are never valid destinations: "this" network (RFC 1122 section 3.2.1.3),
// where 0.0.0.0 is loopback on many systems, and the reserved network that holds the
// limited broadcast address.
var reservedNets = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("240.0.0.0/4"),
}

// Allows reports whether a connection or datagram may go to an address. network is tcp
// or udp.
func (r Rules) Allows(network string, to netip.AddrPort) bool {
	a := to.Addr().Unmap()
	switch {
	case !a.IsValid(), a.IsUnspecified(), a.IsLoopback(), a.IsLinkLocalUnicast(), a.IsMulticast(), containsAny(reservedNets, a):
		return false
	case network == "tcp" && to.Port() == portMail:
		return r.Mail && (r.Private || !containsAny(privateNets, a))
	}
	return r.Private || !containsAny(privateNets, a)
}

// portMail is the SMTP port between mail servers.
const portMail = 25

func containsAny(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

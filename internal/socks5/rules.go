package socks5

import "net/netip"

// Rules say which destinations a proxy leads to. The zero value is the strict
// one. Loopback, link-local (where clouds keep their metadata) and multicast
// addresses are refused whatever the rules say: what answers there belongs to
// the machine at the far end and to nobody who uses it as a way out.
type Rules struct {
	Private bool // private networks behind the tunnel may be reached
	Mail    bool // TCP port 25 may be reached
}

// privateNets are the networks that Rules.Private opens: those of RFC 1918, and of
// RFC 6598 for providers.
var privateNets = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"),
}

// reservedNets are the networks that lead nowhere good: "this" network (RFC 1122
// section 3.2.1.3), where 0.0.0.0 is loopback on many systems, and the reserved
// one with the limited broadcast address.
var reservedNets = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("240.0.0.0/4"),
}

// Allows says whether a connection or datagram of a network, tcp or udp, may go
// to an address.
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

// portMail is where mail servers take mail from one another.
const portMail = 25

func containsAny(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

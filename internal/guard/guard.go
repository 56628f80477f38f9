// Package guard keeps connections to addresses that a user typed away from this host
// and its link: the panel itself, services on loopback, the metadata of a cloud. It
// checks the address that is dialed, after the name was resolved, so that neither a
// spelling nor a name server can evade it.
package guard

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Guard dials only allowed addresses. The zero value denies local ones. Its methods
// are safe for concurrent use.
type Guard struct {
	// AllowLocal allows all addresses. Defaults to false.
	AllowLocal bool
	// Resolver resolves names. Defaults to net.DefaultResolver.
	Resolver *net.Resolver
}

// Denied is the error for a local address without AllowLocal.
type Denied struct{ Addr netip.Addr }

// Error implements error.
func (e *Denied) Error() string {
	return fmt.Sprintf("%s is an address of this machine or of its link: --allow-local-destinations allows such", e.Addr)
}

// DialContext connects to an address if it is allowed. The error wraps *Denied otherwise.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d := g.Dialer()
	return d.DialContext(ctx, network, address)
}

const dialTimeout = 10 * time.Second

// Dialer returns a dialer that checks each address.
func (g *Guard) Dialer() net.Dialer {
	return net.Dialer{Timeout: dialTimeout, Resolver: g.Resolver, Control: g.Control}
}

// Control checks an address before a net.Dialer connects to it.
func (g *Guard) Control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("judge %s: %w", address, err)
	}
	return g.Check(at.Addr())
}

// Check returns a *Denied for an address that is not allowed.
func (g *Guard) Check(a netip.Addr) error {
	if g.AllowLocal || !isLocal(a) {
		return nil
	}
	return &Denied{a}
}

// CheckHost resolves a host and checks all its addresses. It is for clients that dial
// by themselves; the name may resolve differently a moment later.
func (g *Guard) CheckHost(ctx context.Context, host string) error {
	if g.AllowLocal {
		return nil
	}
	r := g.Resolver
	r = cmp.Or(r, net.DefaultResolver)
	addrs, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		if err := g.Check(a); err != nil {
			return err
		}
	}
	return nil
}

// embeddedIPv4 are the IPv6 networks whose addresses contain an IPv4 address, and its
// offset in bytes: NAT64 (RFC 6052), 6to4 (RFC 3056), IPv4-compatible and
// IPv4-translated addresses (RFC 7915).
var embeddedIPv4 = []struct {
	net netip.Prefix
	at  int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
	{netip.MustParsePrefix("::/96"), 12},
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12},
}

// metadataAddrs are the addresses outside of link-local networks at which clouds serve
// secrets of the host.
var metadataAddrs = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("fd20:ce::254"),    // Google
	netip.MustParseAddr("100.100.100.200"), // Alibaba
	netip.MustParseAddr("168.63.129.16"),   // Azure
	netip.MustParseAddr("192.0.0.192"),     // Oracle
}

// thisNetwork are the IPv4 networks that mean this host or all hosts: "this" network
// (RFC 1122 section 3.2.1.3) and the limited broadcast address.
var thisNetwork = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("255.255.255.255/32")}

// isLocal reports whether an address, in any of its forms, means this host, its link,
// a multicast group or a cloud's metadata. Private networks are not local, because
// owners run servers there.
func isLocal(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() || a.IsUnspecified() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() {
		return true
	}
	if slices.Contains(metadataAddrs, a) {
		return true
	}
	for _, n := range thisNetwork {
		if n.Contains(a) {
			return true
		}
	}
	for _, c := range embeddedIPv4 {
		if c.net.Contains(a) {
			b := a.As16()
			return isLocal(netip.AddrFrom4([4]byte(b[c.at : c.at+4])))
		}
	}
	return false
}

// HostOf returns the host of a redirect, or the empty string if it names none. It
// leaves out the rest of the address, which may contain a secret.
func HostOf(resp *http.Response) string {
	to, err := resp.Location()
	if err != nil || len(to.Host) > maxHost || strings.ContainsFunc(to.Host, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return ""
	}
	return to.Host
}

// maxHost is the longest host and port that is shown, in bytes.
const maxHost = 253 + len(":65535")

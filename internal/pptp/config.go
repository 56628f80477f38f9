package pptp

import (
	"cmp"
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/control"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// Encryption is the policy for MPPE.
type Encryption string

// The policies.
const (
	EncryptionPreferred Encryption = "preferred" // the strongest key that both sides support, or none
	EncryptionRequired  Encryption = "required"  // no session without keys
	EncryptionOff       Encryption = "off"
)

// DefaultMTU is the size of the largest IP packet of a session, in bytes, unless the
// server wants less.
const DefaultMTU = 1400

// Config says which server to dial and how. Address, Login and Password are required.
// It contains a password: do not print it.
type Config struct {
	Address  string // host name or IPv4 address
	Port     uint16 // default 1723
	Login    string // sent unchanged, a domain included
	Password string

	Local      netip.Addr    // local address to dial from; by default the routing table decides
	Encryption Encryption    // default EncryptionPreferred
	MinBits    int           // the shortest MPPE key that is accepted; default 40
	AllowPAP   bool          // accept PAP, which sends the password in clear
	EchoEvery  time.Duration // interval of LCP Echo-Requests on an idle session; default 15 s
	EchoMisses int           // this many unanswered Echo-Requests end the session; default 4
	Timeouts   Timeouts

	// OnStep is called for each step that is reached, and once more at the end of a failed
	// Dial for the step that failed. It is called by the goroutine of Dial or of the
	// session, never by both at once. It must not block. Optional.
	OnStep func(StepResult)
	// OnSecondCall is called before Dial calls a second time; OnStep then starts again
	// from the first step. It must not block. Optional.
	OnSecondCall func(SecondCall)

	// GRE carries the packets. Defaults to one Mux for the whole process, with a
	// raw socket for each local address.
	GRE *gre.Mux
	// DialTCP opens the control connection. Defaults to net.Dialer.DialContext.
	DialTCP func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolve returns the addresses of a host name; only IPv4 addresses are used.
	// Defaults to net.DefaultResolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// OnAddress is called with each address of the server before anything is sent to it.
	// An error ends the dial, and Dial returns it. It must not block. Optional.
	OnAddress func(at netip.Addr) error
	// Random is the source of magic numbers and challenges. It must not fail. Defaults
	// to crypto/rand.
	Random io.Reader
	// Control configures the control connection; its OnMessage is replaced.
	Control control.Config
}

// Timeouts bound the steps of Dial. A zero field has its default. Over a slow path the
// steps that follow the Outgoing-Call-Reply, and the whole Dial, get more time (see
// extendForRTT).
type Timeouts struct {
	Resolve    time.Duration // default 5 s
	TCP        time.Duration // default 5 s
	Control    time.Duration // default 5 s
	Call       time.Duration // default 10 s
	GRE        time.Duration // from the call to its first packet; 2/3 longer while the control connection answers; default 6 s
	LCP        time.Duration // default 12 s
	Auth       time.Duration // default 10 s
	Encryption time.Duration // default 8 s
	IP         time.Duration // default 10 s
	All        time.Duration // of the whole Dial; default 25 s
	Close      time.Duration // of Close; default and maximum 2 s
}

func (t *Timeouts) setDefaults() {
	for d, v := range map[*time.Duration]time.Duration{
		&t.Resolve: 5 * time.Second, &t.TCP: 5 * time.Second, &t.Control: 5 * time.Second,
		&t.Call: 10 * time.Second, &t.GRE: 6 * time.Second, &t.LCP: 12 * time.Second,
		&t.Auth: 10 * time.Second, &t.Encryption: 8 * time.Second, &t.IP: 10 * time.Second,
		&t.All: 25 * time.Second, &t.Close: 2 * time.Second,
	} {
		if *d <= 0 {
			*d = v
		}
	}
	t.Close = min(t.Close, 2*time.Second)
}

// defaultRTT is the round-trip time that the default timeouts assume.
const defaultRTT = 200 * time.Millisecond

// extendForRTT adds the round trips that each step of a negotiation takes: two, and two
// more for retransmissions.
func (t *Timeouts) extendForRTT(rtt time.Duration) {
	rtt = min(rtt, maxRTT)
	if rtt <= defaultRTT {
		return
	}
	for _, d := range []*time.Duration{&t.GRE, &t.LCP, &t.Auth, &t.Encryption, &t.IP} {
		*d += 4 * rtt
	}
	t.All += 8 * rtt
}

// sharedMux is the Mux of every session whose Config has none: one process must use only
// one raw socket per local address.
var sharedMux = sync.OnceValue(func() *gre.Mux { return gre.NewMux(gre.Raw) })

func (c Config) withDefaults() Config {
	c.Port = cmp.Or(c.Port, control.Port)
	c.Encryption = cmp.Or(c.Encryption, EncryptionPreferred)
	if c.EchoEvery <= 0 {
		c.EchoEvery = 15 * time.Second
	}
	if c.EchoMisses <= 0 {
		c.EchoMisses = 4
	}
	c.Timeouts.setDefaults()
	if c.GRE == nil {
		c.GRE = sharedMux()
	}
	if c.DialTCP == nil {
		d := net.Dialer{}
		if c.Local.IsValid() {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.Local, 0))
		}
		c.DialTCP = d.DialContext
	}
	if c.Resolve == nil {
		c.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
		}
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	return c
}

// allowedStrengths returns the MPPE strengths that the policy allows.
func (c *Config) allowedStrengths() ppp.MPPEBits {
	if c.Encryption == EncryptionOff {
		return 0
	}
	bits := ppp.MPPE128
	if c.MinBits <= 56 {
		bits |= ppp.MPPE56
	}
	if c.MinBits <= 40 {
		bits |= ppp.MPPE40
	}
	return bits
}

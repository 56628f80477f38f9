package pptp

import (
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

// Encryption is how much MPPE matters.
type Encryption string

// The policies.
const (
	EncryptionPreferred Encryption = "preferred" // the strongest that both sides have, or none
	EncryptionRequired  Encryption = "required"  // no keys, no session
	EncryptionOff       Encryption = "off"
)

// DefaultMTU is the largest IP packet of a session whose server does not want
// less, in bytes.
const DefaultMTU = 1400

// Config says whom to dial and how. Address, Login and Password are needed, the
// rest has defaults. It holds a password: do not print it.
type Config struct {
	Address  string // host name or IPv4 address
	Port     uint16 // default 1723
	Login    string // sent as it is, a domain included
	Password string

	Local      netip.Addr    // where to dial from; the default leaves it to the routes
	Encryption Encryption    // default EncryptionPreferred
	MinBits    int           // MPPE keys shorter than this are not taken; default 40
	AllowPAP   bool          // PAP sends the password in clear
	EchoEvery  time.Duration // LCP Echo-Requests on an idle session; default 15 s
	EchoMisses int           // so many without an answer end the session; default 4
	Timeouts   Timeouts

	// OnStep is called with each rung as it is climbed, and at the end of a Dial that
	// failed with the rung that was not, by Dial's goroutine and the session's, never
	// by both at once. It must not wait.
	OnStep func(StepResult)
	// OnSecondCall is called before Dial calls a second time; OnStep then begins with
	// the first step again. It must not wait. Optional.
	OnSecondCall func(SecondCall)

	// GRE carries the packets. The default is one for the whole process, with a
	// raw socket for each local address.
	GRE *gre.Mux
	// DialTCP opens the control connection. The default is net.Dialer's.
	DialTCP func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolve finds the addresses of a host name; IPv4 ones are used. The
	// default is net.Resolver's.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// OnAddress is told each address of the server before anything is sent there; an error
	// of it ends the dial, and is what Dial returns. It must not wait.
	OnAddress func(at netip.Addr) error
	// Random is where magic numbers and challenges come from; default
	// crypto/rand. It must not fail.
	Random io.Reader
	// Control is passed on to the control connection; its Trace is not.
	Control control.Config
}

// Timeouts bound the steps of Dial. The zero value has the defaults. On a way whose
// packets take long, the steps that follow the Outgoing-Call-Reply and the whole Dial
// get more (see stretch).
type Timeouts struct {
	Resolve    time.Duration // default 5 s
	TCP        time.Duration // default 5 s
	Control    time.Duration // default 5 s
	Call       time.Duration // default 10 s
	GRE        time.Duration // from the call to its first packet, and 2/3 more while the control connection answers; default 6 s
	LCP        time.Duration // default 12 s
	Auth       time.Duration // default 10 s
	Encryption time.Duration // default 8 s
	IP         time.Duration // default 10 s
	All        time.Duration // of the whole Dial; default 25 s
	Close      time.Duration // of Close; default and most 2 s
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

// defaultRTT is the round-trip time for which the defaults are made.
const defaultRTT = 200 * time.Millisecond

// extendForRTT gives the steps of a negotiation the round trips that they take: two each,
// and as many again for what is repeated.
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

// sharedMux is the Mux of every session that names none: the raw sockets of one
// local address must be one in the whole process.
var sharedMux = sync.OnceValue(func() *gre.Mux { return gre.NewMux(gre.Raw) })

func (c Config) withDefaults() Config {
	if c.Port == 0 {
		c.Port = control.Port
	}
	if c.Encryption == "" {
		c.Encryption = EncryptionPreferred
	}
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

// allowedStrengths are the MPPE strengths that the policy allows.
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

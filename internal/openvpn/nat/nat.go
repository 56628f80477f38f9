// Package nat translates the IPv4 packets of VPN clients to the one address of a
// tunnel, and back. It moves no packets itself: it is given them in memory, and
// rewrites them there.
//
// It is written for clients that may be hostile, and a far end that may be too:
// nothing is believed but what a client began, every table has a bound, and a
// packet that is not understood is dropped.
package nat

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"time"
)

// The bounds of the issue of addresses: ports below are the stack's own that
// shares the address (its ephemeral ports begin at 16000), and those of services.
const (
	firstPort = 1024
	lastPort  = 15999
)

// Defaults of Config.
const (
	DefaultPerClient = 4096
	DefaultTotal     = 16384
)

// Config says whom to translate, and where to. Network is needed.
type Config struct {
	// Network holds the clients. Its first address is the gateway, which answers
	// pings; it and the next one answer DNS, by the tunnel's name servers.
	Network netip.Prefix
	// Allows says whether clients may begin a flow of a network, tcp, udp or icmp,
	// to an address; the port is 0 for icmp. Nil refuses everything. It is called
	// with a lock held and must be quick.
	Allows func(network string, to netip.AddrPort) bool
	// ClientToClient lets clients reach each other.
	ClientToClient bool
	// PerClient and Total bound the flows; 0: DefaultPerClient and DefaultTotal.
	PerClient, Total int
}

// Verdict says what to do with a packet.
type Verdict uint8

// Verdicts.
const (
	Drop    Verdict = iota // nothing
	Forward                // send it into the tunnel
	Deliver                // send it to the clients' device
	NotOurs                // it came for someone else who shares the tunnel's address
)

// Counts are the bytes and packets of IP that were moved, and what was not.
type Counts struct {
	Up, Down               uint64 // bytes, from and to clients
	UpPackets, DownPackets uint64
	Flows                  int    // as they stand
	Refused                uint64 // flows to where clients may not go
	Full                   uint64 // flows that found no room
	Dropped                uint64 // packets that were not understood, or had nowhere to go
}

// NAT is a translator. Its methods are safe for concurrent use.
type NAT struct {
	cfg     Config
	gateway uint32
	net     uint32
	mask    uint32
	now     func() time.Time
	began   time.Time

	mu      sync.Mutex
	self    uint32 // the tunnel's address; 0: it is down
	last    uint32 // the tunnel's address when it was last up
	mtu     int
	dns     [2]uint32
	out     map[outKey]*flow
	in      map[inKey]*flow
	clients map[uint32]*client
	pieces  map[fragmentKey]piece
	clock   int64 // seconds since began, of the batch in hand
	swept   int64
	answers int   // replies of our own in this second
	second  int64 // that answers counts
	counts  Counts
}

// New makes a translator without clients and without a tunnel.
func New(cfg Config) *NAT {
	if cfg.PerClient <= 0 {
		cfg.PerClient = DefaultPerClient
	}
	if cfg.Total <= 0 {
		cfg.Total = DefaultTotal
	}
	base := num(cfg.Network.Masked().Addr())
	n := &NAT{
		cfg: cfg, net: base, gateway: base + 1, mask: ^uint32(0) << (32 - cfg.Network.Bits()), now: time.Now,
		out: map[outKey]*flow{}, in: map[inKey]*flow{}, clients: map[uint32]*client{}, pieces: map[fragmentKey]piece{},
	}
	n.began = n.now()
	return n
}

// Gateway is the address that clients know the far end by.
func (n *NAT) Gateway() netip.Addr { return addr(n.gateway) }

// DNS are the addresses of the gateway that answer DNS.
func (n *NAT) DNS() []netip.Addr { return []netip.Addr{addr(n.gateway), addr(n.gateway + 1)} }

// Up tells of a tunnel with our address in it, the largest packet that it takes,
// and its name servers, the best first. Flows go on when the address is that of
// the tunnel before, and end otherwise: the far end knows them by it.
func (n *NAT) Up(self netip.Addr, mtu int, dns []netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.self, n.mtu = num(self), mtu
	n.dns = [2]uint32{}
	i := 0
	for _, d := range dns {
		if d.Is4() && i < len(n.dns) {
			n.dns[i] = num(d)
			i++
		}
	}
	if n.dns[1] == 0 {
		n.dns[1] = n.dns[0]
	}
	if n.self != n.last {
		n.forgetAll()
	} else {
		// Other name servers than before answer at the gateway's address.
		for _, f := range n.out {
			if f.remote != f.to {
				n.removeFlow(f)
			}
		}
	}
	n.last = n.self
}

// Down tells that there is no tunnel: until Up, packets of clients are dropped.
func (n *NAT) Down() {
	n.mu.Lock()
	n.self = 0
	n.mu.Unlock()
}

// Admit lets packets of a client through. One that is admitted keeps its flows
// and its counts.
func (n *NAT) Admit(a netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ip := num(a); n.clients[ip] == nil {
		n.clients[ip] = &client{}
	}
}

// Expel ends a client's flows, and lets no more packets of it through. It returns
// the client's last counts.
func (n *NAT) Expel(a netip.Addr) Counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.removeClient(num(a))
}

func (n *NAT) removeClient(ip uint32) Counts {
	c := n.clients[ip]
	if c == nil {
		return Counts{}
	}
	for _, f := range n.out {
		if f.client == c {
			n.removeFlow(f)
		}
	}
	delete(n.clients, ip)
	return c.counts
}

// Client returns the counts of one client; false: it is not admitted.
func (n *NAT) Client(a netip.Addr) (Counts, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.clients[num(a)]
	if c == nil {
		return Counts{}, false
	}
	s := c.counts
	s.Flows = c.flows
	return s, true
}

// Counts returns the counts of all clients there were.
func (n *NAT) Counts() Counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.counts
	s.Flows = len(n.out)
	return s
}

// Out judges packets that came from clients. A packet may have become another,
// and be of another length, when it is to be delivered. Each needs room for 576
// bytes in its capacity. verdicts is as long as pkts.
func (n *NAT) Out(pkts [][]byte, verdicts []Verdict) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.readClock()
	for i := range pkts {
		size := len(pkts[i])
		verdicts[i] = n.translateOut(&pkts[i])
		if verdicts[i] == Drop {
			n.counts.Dropped++
		} else if verdicts[i] == Forward {
			n.counts.Up += uint64(size)
			n.counts.UpPackets++
		}
	}
}

// In judges packets that came from the tunnel.
func (n *NAT) In(pkts [][]byte, verdicts []Verdict) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.readClock()
	for i := range pkts {
		size := len(pkts[i])
		verdicts[i] = n.translateIn(&pkts[i])
		if verdicts[i] == Deliver {
			n.counts.Down += uint64(size)
			n.counts.DownPackets++
		}
	}
}

// readClock reads the clock, once for a batch.
func (n *NAT) readClock() {
	n.clock = int64(n.now().Sub(n.began) / time.Second)
	if n.clock-n.swept >= sweepEvery {
		n.sweepFlows()
	}
}

func num(a netip.Addr) uint32 {
	if !a.Is4() {
		return 0
	}
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func addr(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

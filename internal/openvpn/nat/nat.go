// Package nat translates the IPv4 packets of VPN clients to the address of a tunnel and
// back. It rewrites packets in memory and does no I/O.
//
// Clients and the far end may be hostile: only clients open flows, all tables are bounded,
// and invalid packets are dropped.
package nat

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"time"
)

// The range of ports. The network stack that shares the address uses ports from 16000 as
// ephemeral ports; services use the lowest ones.
const (
	firstPort = 1024
	lastPort  = 15999
)

// Defaults of Config.
const (
	DefaultPerClient = 4096
	DefaultTotal     = 16384
)

// Config holds the settings of a NAT. Network is required.
type Config struct {
	// Network is the network of the clients. Its first address is the gateway, which answers
	// pings. The gateway and the next address answer DNS through the tunnel's name servers.
	Network netip.Prefix
	// Allows reports whether clients may open a flow to an address. network is tcp, udp or
	// icmp; the port is 0 for icmp. It is called with a lock held and must be quick. Defaults
	// to refusing everything.
	Allows func(network string, to netip.AddrPort) bool
	// ClientToClient allows traffic between clients.
	ClientToClient bool
	// PerClient and Total limit the number of flows. They default to DefaultPerClient and
	// DefaultTotal.
	PerClient, Total int
}

// Verdict says what to do with a packet.
type Verdict uint8

// The verdicts.
const (
	Drop    Verdict = iota // drop it
	Forward                // send it into the tunnel
	Deliver                // send it to openvpn
	NotOurs                // not for clients, but for the stack that shares the address
)

// Counts holds traffic counters.
type Counts struct {
	Up, Down               uint64 // bytes from and to clients
	UpPackets, DownPackets uint64
	Flows                  int    // current number
	Refused                uint64 // flows to refused destinations
	Full                   uint64 // flows without room
	Dropped                uint64 // invalid packets, and those without a destination
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
	self    uint32 // address in the tunnel; 0 while it is down
	last    uint32 // last address in the tunnel
	mtu     int
	dns     [2]uint32
	out     map[outKey]*flow
	in      map[inKey]*flow
	clients map[uint32]*client
	pieces  map[fragmentKey]piece
	clock   int64 // seconds since start, for the current batch
	swept   int64
	answers int   // own packets in the current second
	second  int64 // the second that answers counts
	counts  Counts
}

// New returns a translator without clients or a tunnel.
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

// Gateway returns the gateway address of the clients.
func (n *NAT) Gateway() netip.Addr { return addr(n.gateway) }

// DNS returns the gateway addresses that answer DNS.
func (n *NAT) DNS() []netip.Addr { return []netip.Addr{addr(n.gateway), addr(n.gateway + 1)} }

// Up sets the tunnel: the address in it, its MTU, and its name servers in order of
// preference. Flows continue if the address is the same as before, and end otherwise.
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
		// The name servers behind the gateway may have changed.
		for _, f := range n.out {
			if f.remote != f.to {
				n.removeFlow(f)
			}
		}
	}
	n.last = n.self
}

// Down removes the tunnel. Packets of clients are dropped until Up.
func (n *NAT) Down() {
	n.mu.Lock()
	n.self = 0
	n.mu.Unlock()
}

// Admit admits a client. A client that is admitted already keeps its flows and counts.
func (n *NAT) Admit(a netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ip := num(a); n.clients[ip] == nil {
		n.clients[ip] = &client{}
	}
}

// Expel removes a client with its flows and returns its last counts.
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

// Client returns the counts of a client. It returns false if it is not admitted.
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

// Counts returns the counts of all clients so far.
func (n *NAT) Counts() Counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.counts
	s.Flows = len(n.out)
	return s
}

// Out translates packets of clients in place. A packet may be replaced by another one
// of a different length, up to 576 bytes, so each needs that capacity. verdicts must be
// as long as pkts.
func (n *NAT) Out(pkts [][]byte, verdicts []Verdict) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.readClock()
	for i := range pkts {
		size := len(pkts[i])
		verdicts[i] = n.translateOut(&pkts[i])
		switch verdicts[i] {
		case Drop:
			n.counts.Dropped++
		case Forward:
			n.counts.Up += uint64(size)
			n.counts.UpPackets++
		}
	}
}

// In translates packets of the tunnel.
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

// readClock reads the clock once per batch.
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

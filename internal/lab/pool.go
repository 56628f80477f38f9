package lab

import (
	"net/netip"
	"sync"
)

// addrPool hands out the addresses inside the tunnels. Each server has a network of
// its own, 10.a.b.0/24 with its number in a and b: it is .1 there, and its
// clients are what follows.
type addrPool struct {
	mu    sync.Mutex
	taken map[int]*[256]bool // by server; only those with clients
}

const firstClient, lastClient = 2, 254

func networkAddr(server int, host byte) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(server >> 8), byte(server), host})
}

// leaseAddr takes the first free address of a server. A client of a server that has
// none left gets 0.0.0.0.
func (p *addrPool) leaseAddr(server int) netip.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.taken[server]
	if t == nil {
		if p.taken == nil {
			p.taken = make(map[int]*[256]bool)
		}
		t = new([256]bool)
		p.taken[server] = t
	}
	for host := firstClient; host <= lastClient; host++ {
		if !t[host] {
			t[host] = true
			return networkAddr(server, byte(host))
		}
	}
	return netip.IPv4Unspecified()
}

func (p *addrPool) releaseAddr(server int, a netip.Addr) {
	if a.IsUnspecified() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.taken[server]
	t[a.As4()[3]] = false
	if *t == [256]bool{} {
		delete(p.taken, server)
	}
}

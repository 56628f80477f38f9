package lab

import (
	"net/netip"
	"sync"
)

// addrPool assigns the addresses inside the tunnels. Each server has its own network,
// 10.a.b.0/24 with its number in a and b: the server is .1, and its
// clients are .2 to .254.
type addrPool struct {
	mu    sync.Mutex
	taken map[int]*[256]bool // by server; only servers with clients
}

const firstClient, lastClient = 2, 254

func networkAddr(server int, host byte) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(server >> 8), byte(server), host})
}

// leaseAddr returns the first free address of a server, or 0.0.0.0 if all are in
// use.
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

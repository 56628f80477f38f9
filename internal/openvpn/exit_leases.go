package openvpn

import (
	"net/netip"
	"time"
)

// lease is the address of a client name.
type lease struct {
	name    string
	cid     string    // empty if the client is disconnected
	freedAt time.Time // when the client disconnected
}

// releaseAddress ends the lease of an address. mu is held.
func (e *Exit) releaseAddress(a netip.Addr) {
	e.bridge.nat.Expel(a)
	delete(e.names, e.leases[a].name)
	delete(e.leases, a)
}

// innerIPv6 returns a unique local address (RFC 4193) that ends with the client's IPv4
// address.
func innerIPv6(a netip.Addr) netip.Addr {
	b := [16]byte{0xfd, 0x63, 0x78, 0x6f, 0x76, 0x70, 0x6e}
	four := a.As4()
	copy(b[12:], four[:])
	return netip.AddrFrom16(b)
}

// leaseFirst is the offset of the first address for clients. The gateway uses the ones
// before.
const leaseFirst = 10

// leaseAddress leases an address for a client name. A name keeps its address as long as no
// other name takes it, also after a restart: with another address a client would recreate
// its device, and traffic in that moment would leave outside the tunnel.
func (e *Exit) leaseAddress(name, cid string) (netip.Addr, bool) {
	if a, has := e.names[name]; has {
		e.leases[a].cid = cid
		return a, true
	}
	room := uint32(1)<<(32-e.cfg.Network.Bits()) - leaseFirst - 1
	h := uint32(2166136261) // FNV-1a
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	var free netip.Addr
	for i := range room {
		if a := offsetAddr(e.cfg.Network.Addr(), leaseFirst+(h%room+i)%room); e.leases[a] == nil {
			free = a
			break
		}
	}
	if !free.IsValid() {
		free = e.reclaimOldest()
	}
	if !free.IsValid() {
		return free, false
	}
	e.leases[free], e.names[name] = &lease{name: name, cid: cid}, free
	return free, true
}

// reclaimOldest releases and returns the address of the client that has been disconnected
// longest.
func (e *Exit) reclaimOldest() netip.Addr {
	var at netip.Addr
	for a, l := range e.leases {
		if l.cid == "" && (!at.IsValid() || l.freedAt.Before(e.leases[at].freedAt)) {
			at = a
		}
	}
	if at.IsValid() {
		e.releaseAddress(at)
	}
	return at
}

func offsetAddr(a netip.Addr, n uint32) netip.Addr {
	b := a.As4()
	v := (uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])) + n
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

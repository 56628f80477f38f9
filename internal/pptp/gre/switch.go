package gre

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// switchQueue is the maximum number of packets queued at one address of a Switch; more
// are dropped, as by a socket buffer.
const switchQueue = 1024

// Switch carries GRE packets inside this process, for a client and a server
// in one process without CAP_NET_RAW.
type Switch struct {
	mu    sync.RWMutex
	ports map[netip.Addr]*switchPort
}

// NewSwitch returns a Switch without open addresses.
func NewSwitch() *Switch { return &Switch{ports: make(map[netip.Addr]*switchPort)} }

// Open is an Opener. Each address can be open only once.
func (s *Switch) Open(local netip.Addr, _ func(Unreachable)) (Wire, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ports[local] != nil {
		return nil, fmt.Errorf("gre: %s is open on this switch", local)
	}
	p := &switchPort{on: s, local: local, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	s.ports[local] = p
	return p, nil
}

type queuedPacket struct {
	from netip.Addr
	buf  *Buffer
}

type switchPort struct {
	on     *Switch
	local  netip.Addr
	wake   chan struct{} // holds one token while the queue may have packets
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	queue []queuedPacket
}

func (p *switchPort) ReadBatch(ps []Packet) (int, error) {
	for {
		if n := p.takePackets(ps); n > 0 {
			return n, nil
		}
		select {
		case <-p.wake:
		case <-p.closed:
			return 0, net.ErrClosed
		}
	}
}

func (p *switchPort) takePackets(ps []Packet) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(len(ps), len(p.queue))
	for i, q := range p.queue[:n] {
		ps[i] = Packet{Peer: q.from, Data: ps[i].Data[:copy(ps[i].Data, q.buf.Data)]}
		q.buf.Release()
	}
	rest := copy(p.queue, p.queue[n:])
	clear(p.queue[rest:])
	p.queue = p.queue[:rest]
	return n
}

func (p *switchPort) WriteBatch(ps []Packet) error {
	for _, packet := range ps {
		p.on.mu.RLock()
		to := p.on.ports[packet.Peer]
		p.on.mu.RUnlock()
		if to != nil {
			to.putPacket(p.local, packet.Data)
		}
	}
	return nil
}

func (p *switchPort) putPacket(from netip.Addr, data []byte) {
	if len(data) > bufferSize {
		return
	}
	b := buffers.Get().(*Buffer)
	b.Data = b.mem[:copy(b.mem[:], data)]
	p.mu.Lock()
	full := len(p.queue) >= switchQueue
	if !full {
		p.queue = append(p.queue, queuedPacket{from, b})
	}
	p.mu.Unlock()
	if full {
		b.Release()
		return
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *switchPort) Close() error {
	p.once.Do(func() {
		p.on.mu.Lock()
		delete(p.on.ports, p.local)
		p.on.mu.Unlock()
		close(p.closed)
	})
	return nil
}

package openvpn

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/connexa-panel/connexa/internal/openvpn/nat"
)

// Link carries the IP packets of a tunnel, such as a PPTP session. WritePackets may be
// called by several goroutines.
type Link interface {
	// ReadPackets waits for packets. Each of pkts provides 2048 bytes and is cut to its
	// packet, which may start a few bytes into it. An error is final.
	ReadPackets(pkts [][]byte) (int, error)
	// WritePackets sends packets. Each starts with Headroom bytes; the link may overwrite
	// these and the packet. An error is final.
	WritePackets(bufs [][]byte) error
	// Headroom and MTU return constant values in bytes.
	Headroom() int
	MTU() int
	// Close makes a waiting ReadPackets return.
	Close() error
}

// PacketConn carries the packets between openvpn and the panel: a packet socket on a
// device, or a socket that openvpn passed. WritePackets may be called by several
// goroutines.
type PacketConn interface {
	// ReadPackets waits for packets. Each of pkts provides room for one packet and is cut to
	// it. An error is final.
	ReadPackets(pkts [][]byte) (int, error)
	// WritePackets sends packets. It drops packets that do not fit into the queue.
	WritePackets(pkts [][]byte) error
	// Close makes a waiting ReadPackets return.
	Close() error
}

// PacketMux shares a tunnel between an exit and the network stack that owns the tunnel.
// It is a Link itself: it passes on all packets that are not for clients of the exit.
type PacketMux struct {
	Link
	address netip.Addr
	dns     []netip.Addr
	bridge  atomic.Pointer[bridge]

	closeOnce sync.Once
	buffers   [batchSize][]byte // as passed by the reader
}

// batchSize is the number of packets per batch.
const batchSize = 64

// NewPacketMux returns a mux for a tunnel. self is the panel's address in the tunnel, dns
// are its name servers in order of preference. Exit.Attach attaches an exit.
func NewPacketMux(link Link, self netip.Addr, dns []netip.Addr) *PacketMux {
	return &PacketMux{Link: link, address: self, dns: dns}
}

// ReadPackets returns the packets that are not for clients. It must not be called
// concurrently.
func (j *PacketMux) ReadPackets(pkts [][]byte) (int, error) {
	pkts = pkts[:min(len(pkts), batchSize)]
	copy(j.buffers[:], pkts)
	defer clear(j.buffers[:])
	for {
		n, err := j.Link.ReadPackets(pkts)
		if err != nil {
			return 0, err
		}
		b := j.bridge.Load()
		if b == nil {
			return n, nil
		}
		if n = b.takeInbound(pkts[:n], j.buffers[:]); n > 0 {
			return n, nil
		}
		copy(pkts, j.buffers[:])
	}
}

// Close detaches the exit and closes the tunnel.
func (j *PacketMux) Close() error {
	j.closeOnce.Do(func() {
		if b := j.bridge.Load(); b != nil {
			b.detach(j)
		}
	})
	return j.Link.Close()
}

// bridge moves packets between openvpn and a tunnel, through a NAT.
type bridge struct {
	nat *nat.NAT

	mu   sync.Mutex // guards attach and detach
	mux  atomic.Pointer[PacketMux]
	conn atomic.Pointer[PacketConn]
}

// attach connects clients to a tunnel and detaches them from the last one.
func (b *bridge) attach(j *PacketMux) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if old := b.mux.Load(); old != nil {
		old.bridge.Store(nil)
	}
	b.nat.Up(j.address, j.MTU(), j.dns)
	j.bridge.Store(b)
	b.mux.Store(j)
}

// detach disconnects clients from j if they are attached to it.
func (b *bridge) detach(j *PacketMux) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mux.Load() == j {
		b.mux.Store(nil)
		b.nat.Down()
	}
	j.bridge.CompareAndSwap(b, nil)
}

func (b *bridge) detachAny() {
	if j := b.mux.Load(); j != nil {
		b.detach(j)
	}
}

// takeInbound delivers the packets of the tunnel that are for clients and returns the
// number of the others. It moves those to the front, each in the memory of its place.
func (b *bridge) takeInbound(pkts, mem [][]byte) int {
	var verdicts [batchSize]nat.Verdict
	b.nat.In(pkts, verdicts[:len(pkts)])
	var out [batchSize][]byte
	n, left := 0, 0
	for i, p := range pkts {
		switch verdicts[i] {
		case nat.Deliver:
			out[n] = p
			n++
		case nat.NotOurs:
			if left != i {
				// The reader identifies the memory by its place.
				continue
			}
			left++
		}
	}
	if n > 0 {
		b.deliverPackets(out[:n])
	}
	// Delivered packets are not needed any more: their memory can be reused.
	for i := left; i < len(pkts); i++ {
		if verdicts[i] == nat.NotOurs {
			p := pkts[i]
			pkts[left] = mem[left][:copy(mem[left], p)]
			left++
		}
	}
	return left
}

// deliverPackets sends packets to clients. The reader of the connection handles its end.
func (b *bridge) deliverPackets(pkts [][]byte) {
	if p := b.conn.Load(); p != nil {
		_ = (*p).WritePackets(pkts)
	}
}

const (
	maxHeadroom   = 64
	outBufferSize = maxHeadroom + 2048
	smallBatch    = 4
)

// relayOutbound forwards packets of clients until the connection ends or ctx is done, and
// closes the connection.
func (b *bridge) relayOutbound(ctx context.Context, port PacketConn) error {
	b.conn.Store(&port)
	stop := context.AfterFunc(ctx, func() { _ = port.Close() })
	defer func() {
		b.conn.CompareAndSwap(&port, nil)
		stop()
		_ = port.Close()
	}()
	var (
		mem      [batchSize]*[outBufferSize]byte
		pkts     [batchSize][]byte
		verdicts [batchSize]nat.Verdict
		up, down [batchSize][]byte
		size     = smallBatch // an idle exit should not hold the memory of a busy one
	)
	for {
		for i := range size {
			if mem[i] == nil {
				mem[i] = outMemory.Get().(*[outBufferSize]byte)
			}
			pkts[i] = mem[i][maxHeadroom:]
		}
		n, err := port.ReadPackets(pkts[:size])
		if err != nil {
			for _, m := range mem {
				if m != nil {
					outMemory.Put(m)
				}
			}
			return err
		}
		j := b.mux.Load()
		b.nat.Out(pkts[:n], verdicts[:n])
		ups, downs := 0, 0
		for i := range n {
			switch {
			case verdicts[i] == nat.Deliver:
				down[downs] = pkts[i]
				downs++
			case verdicts[i] == nat.Forward && j != nil:
				up[ups] = mem[i][maxHeadroom-j.Headroom() : maxHeadroom+len(pkts[i])]
				ups++
			}
		}
		if downs > 0 {
			b.deliverPackets(down[:downs])
		}
		if ups > 0 {
			_ = j.WritePackets(up[:ups]) // the tunnel's reader notices its end
		}
		switch {
		case n == size && size < batchSize:
			size *= 2
		case n <= size/8 && size > smallBatch:
			size /= 2
			for i := size; i < 2*size; i++ {
				outMemory.Put(mem[i])
				mem[i] = nil
			}
		}
	}
}

var outMemory = sync.Pool{New: func() any { return new([outBufferSize]byte) }}

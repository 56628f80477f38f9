package openvpn

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/connexa-panel/connexa/internal/openvpn/nat"
)

// Link carries the IP packets of a tunnel, a PPTP session for one. WritePackets
// is called by several goroutines.
type Link interface {
	// ReadPackets waits for packets. Each of pkts gives 2048 bytes of memory on
	// entry and is cut to its packet, which may begin a few bytes into it. An
	// error is final.
	ReadPackets(pkts [][]byte) (int, error)
	// WritePackets sends packets. Each begins with Headroom bytes that the link
	// may overwrite, and the packet too. An error is final.
	WritePackets(bufs [][]byte) error
	// Headroom and MTU are in bytes and do not change.
	Headroom() int
	MTU() int
	// Close ends a ReadPackets that waits.
	Close() error
}

// PacketConn is where openvpn's packets of clients are: a tapped device, or whatever
// else carries them. WritePackets is called by several goroutines.
type PacketConn interface {
	// ReadPackets waits for packets. Each of pkts gives room for one and is cut to
	// it. An error is final.
	ReadPackets(pkts [][]byte) (int, error)
	// WritePackets sends packets; what finds no room is lost.
	WritePackets(pkts [][]byte) error
	// Close ends a ReadPackets that waits.
	Close() error
}

// PacketMux is a tunnel that an exit shares with the network stack that owns it.
// It is a link itself: what is not for clients of the exit goes through it.
type PacketMux struct {
	Link
	address netip.Addr
	dns     []netip.Addr
	bridge  atomic.Pointer[bridge]

	closeOnce sync.Once
	buffers   [batchSize][]byte // as the reader gave it
}

// batchSize is the number of packets that are moved at once.
const batchSize = 64

// NewPacketMux makes a junction of a tunnel, of our address in it and of the name
// servers behind it, the best first. An exit is joined to it by Exit.Join.
func NewPacketMux(link Link, self netip.Addr, dns []netip.Addr) *PacketMux {
	return &PacketMux{Link: link, address: self, dns: dns}
}

// ReadPackets reads what is not for clients. It is for one goroutine at a time.
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

// Close parts the exit from the tunnel and closes the tunnel.
func (j *PacketMux) Close() error {
	j.closeOnce.Do(func() {
		if b := j.bridge.Load(); b != nil {
			b.detach(j)
		}
	})
	return j.Link.Close()
}

// bridge moves packets between a port and a tunnel, through a translator.
type bridge struct {
	nat *nat.NAT

	mu   sync.Mutex // of join and part
	mux  atomic.Pointer[PacketMux]
	conn atomic.Pointer[PacketConn]
}

// attach leads clients to a tunnel, and to no other from then on.
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

// detach leads clients nowhere, if j is where they were led.
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

// takeInbound takes those packets of the tunnel that are for clients, and returns how many
// are left. They are moved to the front, each into the memory of its place.
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
				// Its memory is another's: the reader knows each packet by its place.
				continue
			}
			left++
		}
	}
	if n > 0 {
		b.deliverPackets(out[:n])
	}
	// What was delivered is no longer needed, so its memory is free to be used.
	for i := left; i < len(pkts); i++ {
		if verdicts[i] == nat.NotOurs {
			p := pkts[i]
			pkts[left] = mem[left][:copy(mem[left], p)]
			left++
		}
	}
	return left
}

// deliverPackets sends packets to clients. A port that has ended is the business of
// whoever reads it.
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

// relayOutbound moves packets of clients until the port ends or ctx is done, and closes the
// port.
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
		size     = smallBatch // an idle exit should not hold what a busy one needs
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
			_ = j.WritePackets(up[:ups]) // its owner learns of the end where it reads
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

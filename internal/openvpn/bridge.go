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

// Port is where openvpn's packets of clients are: a tapped device, or whatever
// else carries them. WritePackets is called by several goroutines.
type Port interface {
	// ReadPackets waits for packets. Each of pkts gives room for one and is cut to
	// it. An error is final.
	ReadPackets(pkts [][]byte) (int, error)
	// WritePackets sends packets; what finds no room is lost.
	WritePackets(pkts [][]byte) error
	// Close ends a ReadPackets that waits.
	Close() error
}

// Junction is a tunnel that an exit shares with the network stack that owns it.
// It is a link itself: what is not for clients of the exit goes through it.
type Junction struct {
	Link
	self  netip.Addr
	dns   []netip.Addr
	exits atomic.Pointer[bridge]

	over sync.Once
	mem  [batch][]byte // as the reader gave it
}

// batch is the number of packets that are moved at once.
const batch = 64

// NewJunction makes a junction of a tunnel, of our address in it and of the name
// servers behind it, the best first. An exit is joined to it by Exit.Join.
func NewJunction(link Link, self netip.Addr, dns []netip.Addr) *Junction {
	return &Junction{Link: link, self: self, dns: dns}
}

// ReadPackets reads what is not for clients. It is for one goroutine at a time.
func (j *Junction) ReadPackets(pkts [][]byte) (int, error) {
	pkts = pkts[:min(len(pkts), batch)]
	copy(j.mem[:], pkts)
	defer clear(j.mem[:])
	for {
		n, err := j.Link.ReadPackets(pkts)
		if err != nil {
			return 0, err
		}
		b := j.exits.Load()
		if b == nil {
			return n, nil
		}
		if n = b.in(pkts[:n], j.mem[:]); n > 0 {
			return n, nil
		}
		copy(pkts, j.mem[:])
	}
}

// Close parts the exit from the tunnel and closes the tunnel.
func (j *Junction) Close() error {
	j.over.Do(func() {
		if b := j.exits.Load(); b != nil {
			b.part(j)
		}
	})
	return j.Link.Close()
}

// bridge moves packets between a port and a tunnel, through a translator.
type bridge struct {
	nat *nat.NAT

	mu   sync.Mutex // of join and part
	to   atomic.Pointer[Junction]
	port atomic.Pointer[Port]
}

// join leads clients to a tunnel, and to no other from then on.
func (b *bridge) join(j *Junction) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if old := b.to.Load(); old != nil {
		old.exits.Store(nil)
	}
	b.nat.Up(j.self, j.MTU(), j.dns)
	j.exits.Store(b)
	b.to.Store(j)
}

// part leads clients nowhere, if j is where they were led.
func (b *bridge) part(j *Junction) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.to.Load() == j {
		b.to.Store(nil)
		b.nat.Down()
	}
	j.exits.CompareAndSwap(b, nil)
}

func (b *bridge) partAny() {
	if j := b.to.Load(); j != nil {
		b.part(j)
	}
}

// in takes those packets of the tunnel that are for clients, and returns how many
// are left. They are moved to the front, each into the memory of its place.
func (b *bridge) in(pkts, mem [][]byte) int {
	var verdicts [batch]nat.Verdict
	b.nat.In(pkts, verdicts[:len(pkts)])
	var out [batch][]byte
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
		b.deliver(out[:n])
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

// deliver sends packets to clients. A port that has ended is the business of
// whoever reads it.
func (b *bridge) deliver(pkts [][]byte) {
	if p := b.port.Load(); p != nil {
		_ = (*p).WritePackets(pkts)
	}
}

const (
	headroomMost = 64
	roomOut      = headroomMost + 2048
	smallBatch   = 4
)

// run moves packets of clients until the port ends or ctx is done, and closes the
// port.
func (b *bridge) run(ctx context.Context, port Port) error {
	b.port.Store(&port)
	stop := context.AfterFunc(ctx, func() { _ = port.Close() })
	defer func() {
		b.port.CompareAndSwap(&port, nil)
		stop()
		_ = port.Close()
	}()
	var (
		mem      [batch]*[roomOut]byte
		pkts     [batch][]byte
		verdicts [batch]nat.Verdict
		up, down [batch][]byte
		size     = smallBatch // an idle exit should not hold what a busy one needs
	)
	for {
		for i := range size {
			if mem[i] == nil {
				mem[i] = outMemory.Get().(*[roomOut]byte)
			}
			pkts[i] = mem[i][headroomMost:]
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
		j := b.to.Load()
		b.nat.Out(pkts[:n], verdicts[:n])
		ups, downs := 0, 0
		for i := range n {
			switch {
			case verdicts[i] == nat.Deliver:
				down[downs] = pkts[i]
				downs++
			case verdicts[i] == nat.Forward && j != nil:
				up[ups] = mem[i][headroomMost-j.Headroom() : headroomMost+len(pkts[i])]
				ups++
			}
		}
		if downs > 0 {
			b.deliver(down[:downs])
		}
		if ups > 0 {
			_ = j.WritePackets(up[:ups]) // its owner learns of the end where it reads
		}
		switch {
		case n == size && size < batch:
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

var outMemory = sync.Pool{New: func() any { return new([roomOut]byte) }}

package netstack

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/stack/gro"
)

const (
	roomIn     = 2048 // bytes for a received packet
	smallBatch = 4
	fullBatch  = 64
	// queueOut is the number of packets that wait for the link. Senders block when it is full,
	// because dropped packets would look like losses of the network.
	queueOut = 256
	// gsoMax is the maximum TCP data in bytes that the stack passes at once. This package cuts
	// it into packets.
	gsoMax = 60 << 10
)

// endpoint is the link layer of a stack. One goroutine reads from the link, one writes.
type endpoint struct {
	link     Link
	addr     [4]byte
	mtu      uint32
	headroom int
	single   bool
	dead     chan struct{}
	deadOnce sync.Once
	running  sync.WaitGroup

	in, out, notForUs, damaged atomic.Uint64

	flows flows

	mu         sync.RWMutex
	dispatcher stack.NetworkDispatcher
	onClose    func()

	qmu    sync.Mutex
	filled *sync.Cond // packets are queued, or the queue is closed
	room   *sync.Cond // the queue has room, or is closed
	queue  [][]byte
	free   [][]byte
	ended  bool
}

func newEndpoint(l Link, addr netip.Addr, single bool) *endpoint {
	e := &endpoint{link: l, single: single, addr: addr.As4(), mtu: uint32(l.MTU()), headroom: l.Headroom(), dead: make(chan struct{})}
	e.filled = sync.NewCond(&e.qmu)
	e.room = sync.NewCond(&e.qmu)
	return e
}

func (e *endpoint) start() {
	e.running.Add(2)
	go e.readLoop()
	go e.writeLoop()
}

// stop closes the link and waits for both goroutines.
func (e *endpoint) stop() {
	e.link.Close()
	e.closeQueue()
	e.running.Wait()
}

// closeQueue wakes everybody who waits for the queue.
func (e *endpoint) closeQueue() {
	e.qmu.Lock()
	e.ended = true
	e.filled.Broadcast()
	e.room.Broadcast()
	e.qmu.Unlock()
	e.deadOnce.Do(func() { close(e.dead) })
}

// readLoop delivers packets until the link ends. It merges consecutive segments of one
// connection.
func (e *endpoint) readLoop() {
	defer e.running.Done()
	defer e.closeQueue()
	var (
		views [fullBatch]*buffer.View
		pkts  [fullBatch][]byte
		merge gro.GRO
		size  = smallBatch
	)
	defer func() {
		for _, v := range views {
			if v != nil {
				v.Release()
			}
		}
	}()
	merge.Dispatcher = deliverer{e}
	merge.Init(true)
	for {
		for i := range size {
			if views[i] == nil {
				views[i] = buffer.NewViewSize(roomIn)
			}
			pkts[i] = views[i].AsSlice()
		}
		n, err := e.link.ReadPackets(pkts[:size])
		if err != nil {
			return
		}
		for i, p := range pkts[:n] {
			p, ok := checkPacket(p)
			if !ok {
				e.damaged.Add(1)
				continue
			}
			if [4]byte(p[16:20]) != e.addr {
				// Anybody can write into the far end of a tunnel, so nothing else may come out here.
				e.notForUs.Add(1)
				continue
			}
			e.flows.noteIn(p)
			v := views[i]
			views[i] = nil
			v.TrimFront(cap(v.AsSlice()) - cap(p))
			v.CapLength(len(p))
			e.in.Add(1)
			pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(v)})
			pkt.NetworkProtocolNumber = header.IPv4ProtocolNumber
			pkt.RXChecksumValidated = true
			merge.Enqueue(pkt)
			pkt.DecRef()
		}
		merge.Flush()
		switch {
		case n == size && size < fullBatch:
			size *= 2
		case n <= size/8 && size > smallBatch:
			size /= 2
			for i := size; i < 2*size; i++ {
				if views[i] != nil {
					views[i].Release()
					views[i] = nil
				}
			}
		}
	}
}

// deliverer passes merged packets to the attached dispatcher.
type deliverer struct{ e *endpoint }

func (d deliverer) DeliverNetworkPacket(p tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	d.e.mu.RLock()
	up := d.e.dispatcher
	d.e.mu.RUnlock()
	if up != nil {
		up.DeliverNetworkPacket(p, pkt)
	}
}

func (deliverer) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}

// writeLoop sends queued packets until the queue is closed.
func (e *endpoint) writeLoop() {
	defer e.running.Done()
	var batch [fullBatch][]byte
	for {
		n := e.takeBatch(batch[:])
		if n == 0 {
			return
		}
		err := e.link.WritePackets(batch[:n])
		e.giveBack(batch[:n])
		if err != nil {
			e.closeQueue()
			return
		}
		e.out.Add(uint64(n))
	}
}

// takeBatch waits for packets. It returns 0 when the queue is closed.
func (e *endpoint) takeBatch(dst [][]byte) int {
	e.qmu.Lock()
	defer e.qmu.Unlock()
	for len(e.queue) == 0 && !e.ended {
		e.filled.Wait()
	}
	n := copy(dst, e.queue)
	rest := copy(e.queue, e.queue[n:])
	clear(e.queue[rest:])
	e.queue = e.queue[:rest]
	if n > 0 {
		e.room.Broadcast()
	}
	return n
}

// giveBack keeps some buffers for the next packets. An idle stack should not hold the
// memory of a busy one.
func (e *endpoint) giveBack(bufs [][]byte) {
	e.qmu.Lock()
	defer e.qmu.Unlock()
	for i, b := range bufs {
		if len(e.free) < fullBatch && len(e.queue) > 0 || len(e.free) < smallBatch {
			e.free = append(e.free, b)
		} else {
			outBuffers.Put((*[outSize]byte)(b[:outSize]))
		}
		bufs[i] = nil
	}
}

// outSize is the buffer size of an Ethernet packet with headroom.
const outSize = 2048

var outBuffers = sync.Pool{New: func() any { return new([outSize]byte) }}

// takeBuffer returns a buffer for size bytes after the headroom.
func (e *endpoint) takeBuffer(size int) []byte {
	e.qmu.Lock()
	var b []byte
	if n := len(e.free); n > 0 {
		b = e.free[n-1]
		e.free[n-1] = nil
		e.free = e.free[:n-1]
	}
	e.qmu.Unlock()
	if b == nil {
		b = outBuffers.Get().(*[outSize]byte)[:]
	}
	return b[:e.headroom+size]
}

// enqueue queues packets. It waits for room.
func (e *endpoint) enqueue(bufs ...[]byte) error {
	e.qmu.Lock()
	defer e.qmu.Unlock()
	for len(bufs) > 0 {
		for len(e.queue) >= queueOut && !e.ended {
			e.room.Wait()
		}
		if e.ended {
			return errClosed
		}
		n := min(len(bufs), queueOut-len(e.queue))
		e.queue = append(e.queue, bufs[:n]...)
		bufs = bufs[n:]
		e.filled.Signal()
	}
	return nil
}

// --- stack.LinkEndpoint

// WritePackets implements stack.LinkWriter.
func (e *endpoint) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	n := 0
	for _, pkt := range list.AsSlice() {
		if err := e.sendBatch(pkt); err != nil {
			return n, &tcpip.ErrClosedForSend{}
		}
		n++
	}
	return n, nil
}

// sendBatch queues a packet of the stack, or cuts it into several.
func (e *endpoint) sendBatch(pkt *stack.PacketBuffer) error {
	e.flows.noteOut(pkt)
	if pkt.GSOOptions.Type == stack.GSOTCPv4 {
		return e.sendTCP(pkt)
	}
	size := pkt.Size()
	if e.headroom+size > outSize {
		return nil // longer than any announced MTU
	}
	b := e.takeBuffer(size)
	at := e.headroom
	for _, s := range pkt.AsSlices() {
		at += copy(b[at:], s)
	}
	return e.enqueue(b)
}

// GSOMaxSize implements stack.GSOEndpoint.
func (e *endpoint) GSOMaxSize() uint32 { return gsoMax }

// SupportedGSO implements stack.GSOEndpoint.
func (e *endpoint) SupportedGSO() stack.SupportedGSO {
	if e.single {
		return stack.GSONotSupported
	}
	return stack.HostGSOSupported
}

// MTU implements stack.NetworkLinkEndpoint.
func (e *endpoint) MTU() uint32 { return e.mtu }

// SetMTU implements stack.NetworkLinkEndpoint. The MTU of the link is constant.
func (e *endpoint) SetMTU(uint32) {}

// MaxHeaderLength implements stack.NetworkLinkEndpoint.
func (e *endpoint) MaxHeaderLength() uint16 { return 0 }

// LinkAddress implements stack.NetworkLinkEndpoint.
func (e *endpoint) LinkAddress() tcpip.LinkAddress { return "" }

// SetLinkAddress implements stack.NetworkLinkEndpoint.
func (e *endpoint) SetLinkAddress(tcpip.LinkAddress) {}

// Capabilities implements stack.NetworkLinkEndpoint. checkPacket has verified the
// checksums of received packets.
func (e *endpoint) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityRXChecksumOffload
}

// Attach implements stack.NetworkLinkEndpoint.
func (e *endpoint) Attach(d stack.NetworkDispatcher) {
	e.mu.Lock()
	e.dispatcher = d
	e.mu.Unlock()
}

// IsAttached implements stack.NetworkLinkEndpoint.
func (e *endpoint) IsAttached() bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.dispatcher != nil
}

// Wait implements stack.NetworkLinkEndpoint.
func (e *endpoint) Wait() { e.running.Wait() }

// ARPHardwareType implements stack.NetworkLinkEndpoint.
func (e *endpoint) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }

// AddHeader implements stack.NetworkLinkEndpoint.
func (e *endpoint) AddHeader(*stack.PacketBuffer) {}

// ParseHeader implements stack.NetworkLinkEndpoint.
func (e *endpoint) ParseHeader(*stack.PacketBuffer) bool { return true }

// Close implements stack.NetworkLinkEndpoint.
func (e *endpoint) Close() {
	e.mu.RLock()
	f := e.onClose
	e.mu.RUnlock()
	if f != nil {
		f()
	}
}

// SetOnCloseAction implements stack.NetworkLinkEndpoint.
func (e *endpoint) SetOnCloseAction(f func()) {
	e.mu.Lock()
	e.onClose = f
	e.mu.Unlock()
}

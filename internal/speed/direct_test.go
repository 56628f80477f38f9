package speed

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"net/http/httptest"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
)

func TestDirectCountsWhatArrived(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := new(Direct).Dial(t.Context(), netip.MustParseAddrPort(l.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if _, ok := c.(io.ReaderFrom); ok {
		t.Fatal("io.Copy would go past what counts")
	}
	const size = 32 << 20 // more than the buffers hold
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, size))
		written <- err
	}()
	buf := make([]byte, 64<<10)
	for got := 0; got < size; {
		n, err := far.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got += n
		if a := arrivedThere(c); a > size {
			t.Fatalf("%d of %d bytes have arrived", a, size)
		}
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	// All data was read by the peer. Only the last acknowledgment may be missing.
	for deadline := time.Now().Add(10 * time.Second); arrivedThere(c) != size; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d bytes have arrived", arrivedThere(c), size)
		}
	}
}

func arrivedThere(c Conn) int64 {
	_, there := c.Arrived()
	return there
}

func TestDirectDoesNotCountWhatWaits(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := new(Direct).Dial(t.Context(), netip.MustParseAddrPort(l.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for n == 0 { // on a slow machine the deadline may pass before the write starts
		if err := c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err = c.Write(make([]byte, 256<<20)) // the peer does not read
	}
	if err == nil {
		t.Skip("256 MB fit into this machine's buffers")
	}
	before := arrivedThere(c)
	if before >= int64(n) {
		t.Errorf("%d bytes written, %d arrived at who does not read", n, before)
	}
	c.Abort()
	if after := arrivedThere(c); after < before || after >= int64(n) {
		t.Errorf("%d bytes arrived, and %d at the end", before, after)
	}
}

// hoard is a tunnel whose connections accept large writes at once and send them at a
// limited rate. A measurement of written bytes would measure the memory.
type hoard struct {
	*Direct
	perSecond int64
}

func (h hoard) Dial(ctx context.Context, to netip.AddrPort) (Conn, error) {
	c, err := h.Direct.Dial(ctx, to)
	if err != nil {
		return nil, err
	}
	w := &hoardConn{Conn: c, perSecond: h.perSecond, more: make(chan struct{}, 1), over: make(chan struct{})}
	w.work.Go(w.run)
	return w, nil
}

type hoardConn struct {
	Conn
	perSecond int64
	more      chan struct{}
	over      chan struct{}
	once      sync.Once
	work      sync.WaitGroup

	mu      sync.Mutex
	waiting []byte
}

const hoardRoom = 64 << 20

func (c *hoardConn) Write(b []byte) (int, error) {
	for {
		c.mu.Lock()
		if len(c.waiting) < hoardRoom {
			c.waiting = append(c.waiting, b...)
			c.mu.Unlock()
			break
		}
		c.mu.Unlock()
		select {
		case <-c.over:
			return 0, net.ErrClosed
		case <-time.After(10 * time.Millisecond):
		}
	}
	select {
	case c.more <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (c *hoardConn) run() {
	for next := time.Now(); ; {
		c.mu.Lock()
		n := min(len(c.waiting), int(c.perSecond/100))
		part := c.waiting[:n]
		c.waiting = c.waiting[n:]
		c.mu.Unlock()
		if n == 0 {
			select {
			case <-c.more:
				next = time.Now()
				continue
			case <-c.over:
				return
			}
		}
		if _, err := c.Conn.Write(part); err != nil {
			return
		}
		next = next.Add(time.Duration(int64(n)) * time.Second / time.Duration(c.perSecond))
		select {
		case <-time.After(time.Until(next)):
		case <-c.over:
			return
		}
	}
}

func (c *hoardConn) Abort() {
	c.once.Do(func() { close(c.over) })
	c.Conn.Abort()
	c.work.Wait()
}

func (c *hoardConn) Close() error {
	c.Abort()
	return nil
}

func TestWriteBufferIsNoSpeed(t *testing.T) {
	if testing.Short() {
		t.Skip("measures for ten seconds")
	}
	t.Parallel()
	s := httptest.NewServer(NewServer(ServerOptions{}))
	defer s.Close()
	const each = 250_000 // bytes per second of each of the four streams
	// The download is not limited, and its result is not used.
	labtest.Within(t, 0.8, 1.15, func() (down, up float64) {
		m, err := Measure(t.Context(), hoard{&Direct{}, each}, []connexa.Endpoint{{Kind: connexa.EndpointOwn, URL: s.URL}}, Options{DownBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return 1, float64(m.Up) / (streams * each * 8)
	})
}

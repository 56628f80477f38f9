package gateway_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
)

// TestBadClientsDisturbNobody runs misbehaving clients at one proxy: wrong passwords,
// garbage, thousands of connections and a download that is not read. Meanwhile others
// download through the same proxy and through another one.
func TestBadClientsDisturbNobody(t *testing.T) {
	s := newSite(t, lab.Config{Nodes: 2})
	s.awaitState(t, 1, connexa.ServiceOnline)
	s.awaitState(t, 2, connexa.ServiceOnline)
	const size = 1 << 18 // small, because the bad clients take most of the processor
	want := getPage(t, s.webClient(t, 2, "socks5"), fmt.Sprintf("http://198.51.100.7/sha256/%d", size))
	bad := badClients{at: s.wanted[0].Listen.String(), enough: make(chan struct{})}

	// This client does not read the data that it has requested.
	stalls, err := s.dialProxy(t, 1, farWeb)
	if err != nil {
		t.Fatal(err)
	}
	defer stalls.Close()
	if _, err := fmt.Fprintf(stalls, "GET /bytes/%d HTTP/1.1\r\nHost: x\r\n\r\n", int64(1)<<38); err != nil {
		t.Fatal(err)
	}
	bad.sendRepeatedly(t, "\x05\x01\x02\x01\x04exit\x05wrong")
	bad.sendRepeatedly(t, "\x16\x03\x01\x02\x00\x01\xfc\x03\x03")
	bad.sendRepeatedly(t, "\x05\x01\x02\x07\x07")
	crowd := make(chan struct{})
	go func() {
		defer close(crowd)
		bad.openSilent(t, 10_000, 300)
	}()

	var good sync.WaitGroup
	for _, node := range []int64{1, 2} {
		for _, scheme := range []string{"socks5", "http"} {
			good.Go(func() {
				c := s.webClient(t, node, scheme)
				for more := true; more; {
					select {
					case <-crowd:
						more = false // one more round
					default:
					}
					if err := downloadedBytes(c, size, want); err != nil {
						t.Errorf("node %d by %s: got %v, want nil", node, scheme, err)
						return
					}
				}
			})
		}
	}
	good.Wait()
	<-crowd
	close(bad.enough)
	bad.Wait()
	if g, counts, ok := s.manager.Live(1); !ok || g.State != connexa.ServiceOnline || counts.Open > 10 {
		t.Errorf("got %s with %+v afterwards, want %s with at most 10 connections", g.State, counts, connexa.ServiceOnline)
	}
}

// badClients are clients of the proxy at an address. They run until enough is closed
// and use the same source address as the other clients.
type badClients struct {
	sync.WaitGroup
	at     string
	enough chan struct{}
}

func (b *badClients) open(t *testing.T) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	return d.DialContext(t.Context(), "tcp", b.at)
}

// sendRepeatedly starts a client that sends text in one connection after the other.
func (b *badClients) sendRepeatedly(t *testing.T, text string) {
	b.Go(func() {
		for {
			select {
			case <-b.enough:
				return
			default:
				b.send(t, text)
			}
		}
	})
}

func (b *badClients) send(t *testing.T, text string) {
	c, err := b.open(t)
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(3 * time.Second)) // an error would also fail the write
	_, _ = io.WriteString(c, text)
	_, _ = io.Copy(io.Discard, c) // until the proxy closes the connection or the deadline
}

// openSilent opens n silent connections, at most limit at a time.
func (b *badClients) openSilent(t *testing.T, n, limit int) {
	var held []net.Conn
	for range n {
		if c, err := b.open(t); err == nil {
			held = append(held, c)
		}
		if len(held) >= limit {
			held[0].Close()
			held = held[1:]
		}
	}
	for _, c := range held {
		c.Close()
	}
}

// downloadedBytes fetches size bytes and compares their hash.
func downloadedBytes(c *http.Client, size int64, want string) error {
	res, err := c.Get(fmt.Sprintf("http://198.51.100.7/bytes/%d", size))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, res.Body)
	if got := hex.EncodeToString(sum.Sum(nil)); err != nil || n != size || got != want {
		return fmt.Errorf("%d bytes with sum %s, %w; want %s", n, got, err, want)
	}
	return nil
}

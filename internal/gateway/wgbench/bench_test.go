package wgbench

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/curve25519"
	"golang.org/x/net/proxy"
	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun/netstack"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/gateway"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/socks5"
)

const (
	user     = "exit"
	password = "Blue-Kite-7"
	// endless is more bytes than a measurement can transfer.
	endless = int64(1) << 38
)

// startProxy starts a proxy whose clients use dialer, and returns its address.
func startProxy(b *testing.B, dialer socks5.Dialer) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := socks5.New(socks5.Config{
		Login: func(u, p string, _ netip.Addr) (socks5.Client, bool) {
			return socks5.Client{Name: u}, u == user && p == password
		},
		Dialer: func(context.Context) (socks5.Dialer, error) { return dialer, nil },
		Rules:  func() socks5.Rules { return socks5.Rules{Private: true} },
	})
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Serve(ctx, l) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			b.Error(err)
		}
	})
	return l.Addr().String()
}

// pptpProxy starts a proxy behind our session with MPPE-128 to a simulated server.
func pptpProxy(b *testing.B) string {
	b.Helper()
	if err := gre.SelfTest(b.Context(), gre.Raw); err != nil {
		b.Skip("GRE needs CAP_NET_RAW: ", err)
	}
	n := labtest.Start(b, lab.Config{Nodes: 1}).Nodes()[0]
	t, err := gateway.Dial(b.Context(), pptp.Config{GRE: gre.NewMux(gre.Raw)}, connexa.Service{
		Address: n.Addr.Addr().String(), Port: int(n.Addr.Port()), Login: n.Login, Password: connexa.Secret(n.Password),
		Encryption: connexa.EncryptionRequired,
	}, netip.Addr{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { t.Close() })
	if got := t.Info().Encryption; got != "MPPE-128 stateless" {
		b.Fatal("the tunnel has ", got)
	}
	return startProxy(b, t)
}

var (
	near = netip.MustParseAddr("10.64.0.2")
	far  = netip.MustParseAddr("10.64.0.1")
)

// wireguardProxy starts a proxy behind WireGuard. Both ends are in this process.
func wireguardProxy(b *testing.B) string {
	b.Helper()
	end := func(at netip.Addr) (*device.Device, *netstack.Net) {
		tun, n, err := netstack.CreateNetTUN([]netip.Addr{at}, nil, device.DefaultMTU)
		if err != nil {
			b.Fatal(err)
		}
		d := device.NewDevice(tun, conn.NewDefaultBind(), device.NewLogger(device.LogLevelSilent, ""))
		b.Cleanup(d.Close)
		return d, n
	}
	nearDev, nearNet := end(near)
	farDev, farNet := end(far)
	nearKey, farKey := key(1), key(2)
	set := func(d *device.Device, conf string) {
		if err := d.IpcSet(conf); err != nil {
			b.Fatal(err)
		}
	}
	port := freeUDP(b)
	set(farDev, fmt.Sprintf("private_key=%s\nlisten_port=%d\npublic_key=%s\nallowed_ip=%s/32\n", farKey.private, port, nearKey.public, near))
	set(nearDev, fmt.Sprintf("private_key=%s\npublic_key=%s\nendpoint=127.0.0.1:%d\nallowed_ip=0.0.0.0/0\n", nearKey.private, farKey.public, port))
	for _, d := range []*device.Device{farDev, nearDev} {
		if err := d.Up(); err != nil {
			b.Fatal(err)
		}
	}
	l, err := farNet.ListenTCPAddrPort(netip.AddrPortFrom(far, 80))
	if err != nil {
		b.Fatal(err)
	}
	web := &http.Server{Handler: http.HandlerFunc(noise)}
	done := make(chan struct{})
	go func() { defer close(done); _ = web.Serve(l) }()
	b.Cleanup(func() { web.Close(); <-done })
	return startProxy(b, wireguardDialer{nearNet})
}

// noise answers like the web server of the lab.
func noise(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", strconv.FormatInt(endless, 10))
	_ = lab.Bytes(r.Context(), w, endless) // ends when the client disconnects
}

type wireguardKey struct{ private, public string }

func key(seed byte) wireguardKey {
	var k [32]byte
	k[0], k[31] = seed<<3, 64
	public, err := curve25519.X25519(k[:], curve25519.Basepoint)
	if err != nil {
		panic(err) // not expected: the base point is not a low-order point
	}
	return wireguardKey{hex.EncodeToString(k[:]), hex.EncodeToString(public)}
}

func freeUDP(b *testing.B) int {
	b.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// wireguardDialer connects the clients of a proxy through a WireGuard tunnel.
type wireguardDialer struct{ net *netstack.Net }

func (w wireguardDialer) Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Name: host, IsNotFound: true}
}

func (w wireguardDialer) DialAddr(ctx context.Context, _ string, to netip.AddrPort) (net.Conn, error) {
	return w.net.DialContextTCPAddrPort(ctx, to)
}

func (w wireguardDialer) ListenUDP(uint16) (net.PacketConn, error) { return w.net.ListenUDP(nil) }
func (w wireguardDialer) Dead() <-chan struct{}                    { return nil }

// rate downloads n streams through a proxy and returns their total rate in Mbit/s,
// during a period in which all of them are active.
func rate(b *testing.B, at, site string, n int) float64 {
	b.Helper()
	d, err := proxy.SOCKS5("tcp", at, &proxy.Auth{User: user, Password: password}, nil)
	if err != nil {
		b.Fatal(err)
	}
	var (
		got    atomic.Int64
		enough atomic.Bool
		all    sync.WaitGroup
		conns  []net.Conn
	)
	for range n {
		c, err := d.Dial("tcp", site)
		if err != nil {
			b.Fatal(err)
		}
		conns = append(conns, c)
		if _, err := fmt.Fprintf(c, "GET /bytes/%d HTTP/1.1\r\nHost: x\r\n\r\n", endless); err != nil {
			b.Fatal(err)
		}
		all.Go(func() {
			buf := make([]byte, 256<<10)
			for {
				k, err := c.Read(buf)
				got.Add(int64(k))
				if err != nil {
					if !enough.Load() {
						b.Errorf("a stream ended: %v", err)
					}
					return
				}
			}
		})
	}
	<-time.After(500 * time.Millisecond)
	from, began := got.Load(), time.Now()
	<-time.After(2 * time.Second)
	mbps := float64(got.Load()-from) * 8 / 1e6 / time.Since(began).Seconds()
	enough.Store(true)
	for _, c := range conns {
		c.Close()
	}
	all.Wait()
	return mbps
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// BenchmarkWireGuard compares both proxies alternately, with 1 and with 50 streams,
// and reports the medians of the rates and of the ratios of adjacent measurements.
func BenchmarkWireGuard(b *testing.B) {
	ours, theirs := pptpProxy(b), wireguardProxy(b)
	var p1, w1, one, p50, w50, fifty []float64
	for range b.N {
		p, w := rate(b, ours, "198.51.100.7:80", 1), rate(b, theirs, "10.64.0.1:80", 1)
		p1, w1, one = append(p1, p), append(w1, w), append(one, p/w)
		p, w = rate(b, ours, "198.51.100.7:80", 50), rate(b, theirs, "10.64.0.1:80", 50)
		p50, w50, fifty = append(p50, p), append(w50, w), append(fifty, p/w)
	}
	b.ReportMetric(median(p1), "Mbps-PPTP")
	b.ReportMetric(median(w1), "Mbps-WireGuard")
	b.ReportMetric(median(one), "PPTP÷WireGuard(≥1)")
	b.ReportMetric(median(p50), "Mbps-PPTP-50")
	b.ReportMetric(median(w50), "Mbps-WireGuard-50")
	b.ReportMetric(median(fifty), "PPTP÷WireGuard-50")
	b.ReportMetric(0, "ns/op")
}

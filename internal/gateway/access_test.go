package gateway_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/proxy"

	"github.com/connexa-panel/connexa/internal/access"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/gateway"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/socks5"
)

// fakeClients is a client store in memory.
type fakeClients struct {
	mu    sync.Mutex
	users map[string]connexa.ClientLogin
	moved uint64
}

func (p *fakeClients) ClientLogins(context.Context) ([]connexa.ClientLogin, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []connexa.ClientLogin
	for _, u := range p.users {
		list = append(list, u)
	}
	return list, nil
}

func (p *fakeClients) ServiceTags(context.Context) (map[int64][]string, error) {
	return map[int64][]string{1: {"fast"}}, nil
}

func (p *fakeClients) AddClientTraffic(_ context.Context, counts []connexa.ClientCount) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range counts {
		p.moved += c.Up + c.Down
	}
	return nil
}

func (p *fakeClients) ResetClientUsage(context.Context, []int64, time.Time) error { return nil }

func (p *fakeClients) putClient(u connexa.ClientLogin) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users[u.Name] = u
}

func (p *fakeClients) removeClient(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.users, name)
}

// TestRevokedClientIsDisconnected revokes the access of connected clients, one after
// the other, in every possible way. Each must be disconnected within five seconds and
// refused afterwards, and other clients must not be affected.
func TestRevokedClientIsDisconnected(t *testing.T) {
	checkLeaks(t)
	a := startAccessTest(t)
	bystander, err := bySOCKS(a.at, "bystander")
	if err != nil {
		t.Fatal(err)
	}
	defer bystander.Close()
	for i, tt := range []struct {
		name   string
		revoke func(*connexa.ClientLogin)
	}{
		{"switched-off", func(u *connexa.ClientLogin) { u.Enabled = false }},
		{"expired", func(u *connexa.ClientLogin) { u.Expires = time.Now() }},
		{"spent", func(u *connexa.ClientLogin) { u.Quota = 4096 }}, // the client transfers this much
		{"other-password", func(u *connexa.ClientLogin) { u.Password = "Blue-Kite-8" }},
		{"other-node", func(u *connexa.ClientLogin) { u.Scope, u.Nodes = connexa.ScopeNodes, []int64{2} }},
		{"other-tag", func(u *connexa.ClientLogin) { u.Scope, u.Tags = connexa.ScopeTags, []string{"slow"} }},
		{"other-address", func(u *connexa.ClientLogin) { u.Sources = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} }},
		{"deleted", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a.checkDisconnected(t, newClient(int64(i+2), tt.name), tt.revoke)
			echoThrough(t, bystander)
		})
	}
	if err := a.directory.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.clients.mu.Lock()
	defer a.clients.mu.Unlock()
	if a.clients.moved == 0 {
		t.Error("got no saved traffic, want some")
	}
}

// accessTest is a service with one node whose clients a directory lets in.
type accessTest struct {
	clients   *fakeClients
	directory *access.Directory
	at        string // address of the proxy
}

func startAccessTest(t *testing.T) *accessTest {
	t.Helper()
	a := &accessTest{clients: &fakeClients{users: map[string]connexa.ClientLogin{}}}
	a.clients.putClient(newClient(1, "bystander"))
	var manager *gateway.Manager
	a.directory = access.New(access.Config{Store: a.clients, Log: slog.New(slog.DiscardHandler), OnRevoked: func() {
		if manager != nil {
			manager.Revalidate()
		}
	}})
	s := newSite(t, lab.Config{Nodes: 1}, func(cfg *gateway.Config) {
		cfg.Login = func(s connexa.Service, user, password string, from netip.Addr) (socks5.Client, bool) {
			return a.directory.Client(s.NodeID, user, password, from)
		}
	})
	manager = s.manager
	s.awaitState(t, 1, connexa.ServiceOnline)
	if err := a.directory.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- a.directory.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	a.at = s.wanted[0].Listen.String()
	return a
}

func newClient(id int64, name string) connexa.ClientLogin {
	return connexa.ClientLogin{
		Client: connexa.Client{ID: id, Name: name, Enabled: true, Scope: connexa.ScopeAll, CountedFrom: time.Now()}, Password: "Blue-Kite-7",
	}
}

// checkDisconnected connects a client in both protocols and revokes its access. A nil
// revoke deletes the client.
func (a *accessTest) checkDisconnected(t *testing.T, u connexa.ClientLogin, revoke func(*connexa.ClientLogin)) {
	t.Helper()
	a.clients.putClient(u)
	if err := a.directory.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	for how, dial := range map[string]func(at, user string) (net.Conn, error){"SOCKS5": bySOCKS, "HTTP": byHTTP} {
		c, err := dial(a.at, u.Name)
		if err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		defer c.Close()
		echoThrough(t, c)
		conns = append(conns, c)
	}
	if revoke == nil {
		a.clients.removeClient(u.Name)
	} else {
		revoke(&u)
		a.clients.putClient(u)
	}
	a.directory.Wake()
	if u.Quota > 0 {
		for _, c := range conns {
			_, _ = c.Write(make([]byte, u.Quota))
		}
	}
	for _, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.Copy(io.Discard, c); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v after five seconds, want a closed connection", err)
		}
	}
	if c, err := bySOCKS(a.at, u.Name); err == nil {
		c.Close()
		t.Error("got a new connection, want it refused")
	}
}

const echoAddress = "198.51.100.7:7"

// bySOCKS connects to the echo service behind the tunnel through SOCKS5.
func bySOCKS(at, user string) (net.Conn, error) {
	d, err := proxy.SOCKS5("tcp", at, &proxy.Auth{User: user, Password: "Blue-Kite-7"}, nil)
	if err != nil {
		return nil, err
	}
	return d.Dial("tcp", echoAddress)
}

// byHTTP is bySOCKS with HTTP CONNECT.
func byHTTP(at, user string) (net.Conn, error) {
	c, err := net.Dial("tcp", at)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(c, "CONNECT %[1]s HTTP/1.1\r\nHost: %[1]s\r\nProxy-Authorization: Basic %s\r\n\r\n", echoAddress,
		base64.StdEncoding.EncodeToString([]byte(user+":Blue-Kite-7")))
	res, err := http.ReadResponse(bufio.NewReaderSize(c, 16), nil)
	if err != nil || res.StatusCode != http.StatusOK {
		c.Close()
		return nil, errors.Join(err, fmt.Errorf("answered %+v", res))
	}
	return c, nil
}

// echoThrough checks that a connection works.
func echoThrough(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, "here"); err != nil {
		t.Fatal(err)
	}
	var back [4]byte
	if _, err := io.ReadFull(c, back[:]); err != nil || string(back[:]) != "here" {
		t.Fatalf("got %q, %v; want \"here\"", back, err)
	}
}

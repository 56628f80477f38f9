package openvpn

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/openvpn/nat"
)

// Client is a connected client.
type Client struct {
	Name     string // common name of the certificate
	Serial   string
	User     string // empty if it sent none
	From     netip.AddrPort
	Address  netip.Addr // inside the VPN
	Since    time.Time
	Version  string
	Platform string
	Up, Down uint64 // bytes of IP packets in this connection
	Flows    int    // current number

	cid string
}

// session is an admitted client.
type session struct {
	client       Client
	established  bool
	disconnected bool       // its end is requested
	baseline     nat.Counts // counts of its address before this session
}

// Clients returns the connected clients, ordered by name.
func (e *Exit) Clients() []Client {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []Client
	for _, s := range e.sessions {
		if s.established && !s.disconnected {
			list = append(list, e.withCounts(s))
		}
	}
	slices.SortFunc(list, func(a, b Client) int { return strings.Compare(a.Name+a.cid, b.Name+b.cid) })
	return list
}

// withCounts returns the client of s with its current counts. mu is held.
func (e *Exit) withCounts(s *session) Client {
	c := s.client
	if s.disconnected {
		return c
	}
	now, ok := e.bridge.nat.Client(c.Address)
	if ok && now.Up >= s.baseline.Up && now.Down >= s.baseline.Down {
		c.Up, c.Down, c.Flows = now.Up-s.baseline.Up, now.Down-s.baseline.Down, now.Flows
	}
	return c
}

// Disconnect ends the connections of a client name. The client may reconnect if Authorize
// allows it.
func (e *Exit) Disconnect(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for cid, s := range e.sessions {
		if s.client.Name == name {
			e.disconnectClient(cid, s)
		}
	}
}

// disconnectClient stops a client's packets at once and asks openvpn to end its
// connection. mu is held.
func (e *Exit) disconnectClient(cid string, s *session) {
	if !s.disconnected {
		s.client = e.withCounts(s)
		s.disconnected = true
		e.bridge.nat.Expel(s.client.Address)
	}
	if e.proc != nil {
		_ = e.proc.management.killClient(cid) // fails only if openvpn ends, which ends the client as well
	}
}

// disconnectTimeout is how long openvpn may take to inform its clients.
const disconnectTimeout = 300 * time.Millisecond

// disconnectAll asks openvpn to inform all clients, so that they reconnect at once and not
// after the keepalive timeout.
func (e *Exit) disconnectAll(p *process) {
	e.mu.Lock()
	n := 0
	for cid, s := range e.sessions {
		if s.established {
			_ = p.management.killClient(cid)
			n++
		}
	}
	e.mu.Unlock()
	if n == 0 {
		return
	}
	t := time.NewTimer(disconnectTimeout)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
	}
}

// endSessions ends all sessions after the end of openvpn.
func (e *Exit) endSessions() {
	e.mu.Lock()
	var gone []Client
	for cid, s := range e.sessions {
		if s.established {
			gone = append(gone, e.withCounts(s))
		}
		e.endSession(cid, s)
	}
	e.mu.Unlock()
	for _, c := range gone {
		e.cfg.OnEvent(Event{Kind: Disconnected, Client: c})
	}
}

// Revalidate checks the connected clients and releases addresses whose grace is over.
func (e *Exit) Revalidate() {
	for _, c := range e.Clients() {
		if err := e.cfg.Revalidate(c); err != nil {
			e.mu.Lock()
			if s := e.sessions[c.cid]; s != nil {
				e.disconnectClient(c.cid, s)
			}
			e.mu.Unlock()
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for a, l := range e.leases {
		if l.cid == "" && time.Since(l.freedAt) > leaseGrace {
			e.releaseAddress(a)
		}
	}
}

// handleNotification handles a notification of openvpn.
func (e *Exit) handleNotification(ctx context.Context, p *process, n notification, places chan struct{}, work *sync.WaitGroup) {
	switch n.kind {
	case "CONNECT", "REAUTH":
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		work.Go(func() {
			defer func() { <-places }()
			e.decideLogin(ctx, p, n)
		})
	case "ESTABLISHED":
		e.mu.Lock()
		s := e.sessions[n.cid]
		var c Client
		if s != nil {
			s.established = true
			c = e.withCounts(s)
		}
		e.mu.Unlock()
		if s != nil {
			e.cfg.OnEvent(Event{Kind: Connected, Client: c})
		}
	case "DISCONNECT":
		e.mu.Lock()
		s := e.sessions[n.cid]
		var c Client
		if s != nil {
			c = e.withCounts(s)
			e.endSession(n.cid, s)
		}
		e.mu.Unlock()
		if s != nil && s.established {
			e.cfg.OnEvent(Event{Kind: Disconnected, Client: c})
		}
	}
}

// endSession ends a session. Its address stays leased. mu is held.
func (e *Exit) endSession(cid string, s *session) {
	delete(e.sessions, cid)
	if l := e.leases[s.client.Address]; l != nil && l.cid == cid {
		l.cid, l.freedAt = "", time.Now()
	}
}

// decideLogin calls Authorize and answers openvpn. A failed answer ends the management
// connection, and with it openvpn.
func (e *Exit) decideLogin(ctx context.Context, p *process, n notification) {
	login := n.parseLogin()
	asking, done := context.WithTimeout(ctx, authorizeTimeout)
	err := e.cfg.Authorize(asking, login)
	done()
	if ctx.Err() != nil {
		return // the exit ends
	}
	login.Password = ""
	if err == nil && !login.Reauth {
		err = e.admitClient(p, n, login)
	} else if err == nil {
		_ = p.management.acceptReauth(n)
	}
	if err == nil {
		return
	}
	words := retryPrefix + "This exit cannot check logins at the moment."
	if no, ok := errors.AsType[*Denied](err); ok {
		words = no.Message
	}
	_ = p.management.denyClient(n, words)
	if login.Reauth { // openvpn would keep the old keys for a while
		e.mu.Lock()
		if s := e.sessions[n.cid]; s != nil {
			e.disconnectClient(n.cid, s)
		}
		e.mu.Unlock()
	}
	e.cfg.OnEvent(Event{Kind: Refused, Login: login, Err: err})
}

// retryPrefix before a message makes clients since 2.6 retry by themselves.
const retryPrefix = "TEMP[backoff 10]:"

// admitClient leases an address and admits the client.
func (e *Exit) admitClient(p *process, n notification, login Login) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	a, ok := e.leaseAddress(login.Name, n.cid)
	if !ok {
		return &Denied{Message: retryPrefix + "This exit is full."}
	}
	e.bridge.nat.Admit(a)
	began, _ := e.bridge.nat.Client(a)
	e.sessions[n.cid] = &session{baseline: began, client: Client{
		Name: login.Name, Serial: login.Serial, User: login.User, From: login.From, Address: a, Since: time.Now(),
		Version: login.Version, Platform: login.Platform, cid: n.cid,
	}}
	dns := e.bridge.nat.DNS()
	return p.management.admitClient(n,
		fmt.Sprintf("ifconfig-push %s %s", a, netmask(e.cfg.Network)),
		fmt.Sprintf(`push "dhcp-option DNS %s"`, dns[0]), fmt.Sprintf(`push "dhcp-option DNS %s"`, dns[1]),
		`push "redirect-gateway def1 ipv6"`,
		// The address leads nowhere. It routes IPv6 into the tunnel, where the client itself
		// rejects it instead of sending it outside the tunnel.
		`push "block-ipv6"`,
		fmt.Sprintf(`push "ifconfig-ipv6 %s/64 %s"`, innerIPv6(a), innerIPv6(firstHost(e.cfg.Network))),
	)
}

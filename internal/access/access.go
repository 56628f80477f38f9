// Package access decides which client may use which service. It holds the clients in
// memory, so that a login never waits for the database, reports whether a connected
// client may stay, and counts the traffic of each client over all protocols.
package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/socks5"
)

const (
	// checkEvery is the interval of quota and expiry checks.
	checkEvery = time.Second
	// flushEvery is the interval of saving counters.
	flushEvery = 5 * time.Second
	// reloadEvery is the interval of reading the clients without a wake-up.
	reloadEvery  = time.Minute
	flushTimeout = 3 * time.Second
)

// Store holds the clients.
type Store interface {
	ClientLogins(ctx context.Context) ([]connexa.ClientLogin, error)
	// ServiceTags returns the tags of the nodes that have a service.
	ServiceTags(ctx context.Context) (map[int64][]string, error)
	AddClientTraffic(ctx context.Context, counts []connexa.ClientCount) error
	ResetClientUsage(ctx context.Context, ids []int64, at time.Time) error
}

// Config holds the dependencies of a Directory. Store and Log are required.
type Config struct {
	Store Store
	Log   *slog.Logger
	// OnRevoked is called when a connected client may not stay. The servers then revalidate
	// their clients. It must not block. Optional.
	OnRevoked func()
	// Publish is called for clients with new figures or a new state. It must not block.
	// Optional.
	Publish func(connexa.Event)
	Now     func() time.Time // defaults to time.Now
	// Zone returns the time zone of the periods, and since when it applies. Defaults to UTC.
	Zone func() (zone *time.Location, since time.Time)
}

// Refused says why a client may not use a service. Do not show it to anybody who has not
// proven a password or a certificate.
type Refused struct{ Reason connexa.ClientRefusal }

func (r *Refused) Error() string { return "access refused: " + string(r.Reason) }

// Text returns the reason for people.
func (r *Refused) Text() connexa.Text { return r.Reason.Text() }

// Directory holds the clients in memory. Its methods are safe for concurrent use. Only
// Load, Reset, Flush and Run may block.
type Directory struct {
	cfg      Config
	key      [32]byte // of the password digests; random for each process
	snapshot atomic.Pointer[snapshot]
	wake     chan struct{}
	// unknown replaces a client that does not exist, so that the login takes the same time.
	unknown client

	mu     sync.Mutex // guards all access to the store, and usages
	usages map[int64]*usage
}

// snapshot is the immutable data for logins.
type snapshot struct {
	names map[string]*client
	ids   map[int64]*client
	tags  map[int64][]string // of nodes with a service
}

type client struct {
	connexa.Client
	digest [32]byte // of the password
	usage  *usage
}

// usage is the state of a client that survives a reload.
type usage struct {
	meter socks5.Meter
	// offsetUp and offsetDown are the bytes in the store that meter has not counted. Saving
	// the counts of meter does not change them.
	offsetUp, offsetDown atomic.Int64
	seen                 atomic.Pointer[visit]
	refused              atomic.Pointer[visit]

	// Guarded by Directory.mu.
	saved      socks5.Counts // counts of meter that the store has
	savedVisit visit         // last visit that the store has
	state      connexa.ClientRefusal
	published  socks5.Counts
}

// visit is a login or a refusal with its source.
type visit struct {
	at     time.Time
	from   netip.Addr
	reason connexa.ClientRefusal
}

// New returns a Directory without clients. Load reads them.
func New(cfg Config) *Directory {
	d := &Directory{cfg: cfg, wake: make(chan struct{}, 1), usages: map[int64]*usage{}}
	if d.cfg.Now == nil {
		d.cfg.Now = time.Now
	}
	if d.cfg.Zone == nil {
		d.cfg.Zone = func() (*time.Location, time.Time) { return time.UTC, time.Time{} }
	}
	if d.cfg.OnRevoked == nil {
		d.cfg.OnRevoked = func() {}
	}
	if d.cfg.Publish == nil {
		d.cfg.Publish = func(connexa.Event) {}
	}
	_, _ = rand.Read(d.key[:]) // never fails
	_, _ = rand.Read(d.unknown.digest[:])
	d.unknown.usage = &usage{}
	d.snapshot.Store(&snapshot{})
	return d
}

func (d *Directory) passwordDigest(password connexa.Secret) [32]byte {
	h := hmac.New(sha256.New, d.key[:])
	h.Write([]byte(password.Reveal()))
	return [32]byte(h.Sum(nil))
}

// Grant is a permission that a client got at its login.
type Grant struct {
	ClientID int64
	Name     string
	Node     int64
	From     netip.Addr

	d      *Directory
	digest [32]byte
	meter  *socks5.Meter
}

// Meter returns the meter of the client, which all its connections share.
func (g *Grant) Meter() *socks5.Meter { return g.meter }

// Revalidate returns nil if the client may stay connected. Otherwise the error is a
// *Refused.
func (g *Grant) Revalidate() error {
	v := g.d.snapshot.Load()
	p := v.ids[g.ClientID]
	switch {
	case p == nil:
		return &Refused{connexa.ClientGone}
	case p.digest != g.digest:
		return g.d.refuseClient(p, connexa.ClientOutdated, g.From)
	}
	return g.d.checkAccess(v, p, g.Node, g.From)
}

// Login checks the password of a client and whether it may use the service of a node. The
// error is a *Refused. The time does not depend on whether the client exists.
func (d *Directory) Login(node int64, name string, password connexa.Secret, from netip.Addr) (*Grant, error) {
	v := d.snapshot.Load()
	p := v.names[name]
	known := p != nil
	if !known {
		p = &d.unknown
	}
	sum := d.passwordDigest(password)
	if right := subtle.ConstantTimeCompare(sum[:], p.digest[:]) == 1; !right || !known {
		return nil, &Refused{connexa.ClientUnknown}
	}
	return d.grantAccess(v, p, node, from)
}

// PasswordMark identifies the current password of a client within this process. The
// password cannot be derived from it.
type PasswordMark [32]byte

// PasswordMark returns the mark of a client's password.
func (d *Directory) PasswordMark(name string) PasswordMark {
	if p := d.snapshot.Load().names[name]; p != nil {
		return p.digest
	}
	return PasswordMark{}
}

// Authorize is Login for a client that has proven its name by a certificate.
func (d *Directory) Authorize(node int64, name string, from netip.Addr) (*Grant, error) {
	v := d.snapshot.Load()
	p := v.names[name]
	if p == nil {
		return nil, &Refused{connexa.ClientUnknown}
	}
	return d.grantAccess(v, p, node, from)
}

func (d *Directory) grantAccess(v *snapshot, p *client, node int64, from netip.Addr) (*Grant, error) {
	from = from.Unmap().WithZone("")
	if err := d.checkAccess(v, p, node, from); err != nil {
		return nil, err
	}
	p.usage.seen.Store(&visit{at: d.cfg.Now(), from: from})
	return &Grant{ClientID: p.ID, Name: p.Name, Node: node, From: from, d: d, digest: p.digest, meter: &p.usage.meter}, nil
}

// checkAccess reports whether a client may use the service of a node from an address.
func (d *Directory) checkAccess(v *snapshot, p *client, node int64, from netip.Addr) error {
	if reason := p.State(d.cfg.Now(), p.usage.totalBytes()); reason != connexa.ClientGranted {
		return d.refuseClient(p, reason, from)
	}
	switch {
	case !p.MayComeFrom(from):
		return d.refuseClient(p, connexa.ClientWrongSource, from)
	case !p.MayUse(node, v.tags[node]):
		return d.refuseClient(p, connexa.ClientWrongNode, from)
	}
	return nil
}

func (d *Directory) refuseClient(p *client, reason connexa.ClientRefusal, from netip.Addr) error {
	p.usage.refused.Store(&visit{d.cfg.Now(), from, reason})
	return &Refused{reason}
}

func (a *usage) totalBytes() uint64 {
	up, down := a.byteCounts()
	return up + down
}

// byteCounts returns the traffic of the client since the last reset of its counters.
func (a *usage) byteCounts() (up, down uint64) {
	c := a.meter.Counts()
	return addOffset(c.Up, a.offsetUp.Load()), addOffset(c.Down, a.offsetDown.Load())
}

func addOffset(counted uint64, before int64) uint64 {
	return uint64(max(0, int64(counted)+before))
}

// Knows reports whether a client with that name exists.
func (d *Directory) Knows(name string) bool { return d.snapshot.Load().names[name] != nil }

// Live returns the current figures of a client. It returns false if it does not exist.
func (d *Directory) Live(id int64) (connexa.ClientLive, bool) {
	p := d.snapshot.Load().ids[id]
	if p == nil {
		return connexa.ClientLive{}, false
	}
	l := connexa.ClientLive{Open: p.usage.meter.Counts().Open, SeenAt: p.SeenAt, SeenFrom: p.SeenFrom}
	l.Up, l.Down = p.usage.byteCounts()
	l.State = p.State(d.cfg.Now(), l.Up+l.Down)
	if s := p.usage.seen.Load(); s != nil && s.at.After(l.SeenAt) {
		l.SeenAt, l.SeenFrom = s.at, s.from.String()
	}
	if r := p.usage.refused.Load(); r != nil {
		l.Refused, l.RefusedAt, l.RefusedFrom = r.reason, r.at, r.from.String()
	}
	return l, true
}

// Wake makes the Directory read the clients now. It never blocks.
func (d *Directory) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// HasService reports whether the service of a node is known. If not, its tags are not
// known either, and the caller should call Wake.
func (d *Directory) HasService(node int64) bool {
	_, ok := d.snapshot.Load().tags[node]
	return ok
}

// Client is Login for a proxy. It returns the name and the meter of the client, or
// false.
func (d *Directory) Client(node int64, name, password string, from netip.Addr) (socks5.Client, bool) {
	g, err := d.Login(node, name, connexa.Secret(password), from)
	if err != nil {
		return socks5.Client{}, false
	}
	return socks5.Client{Name: g.Name, Meter: g.Meter(), Valid: func() bool { return g.Revalidate() == nil }}, true
}

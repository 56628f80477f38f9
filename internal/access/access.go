// Package access knows who may use which service: a view of the access users in
// memory that answers a login without waiting, says whether somebody who is
// connected may stay, and counts what each of them moves, whatever the protocol.
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
	// checkEvery is how often quotas and expiries are looked at.
	checkEvery = time.Second
	// flushEvery is how often what was counted is written down.
	flushEvery = 5 * time.Second
	// reloadEvery is how often the users are read though nobody said that they
	// changed.
	reloadEvery  = time.Minute
	flushTimeout = 3 * time.Second
)

// Store keeps the access users.
type Store interface {
	ClientLogins(ctx context.Context) ([]connexa.ClientLogin, error)
	// ServiceTags are the tags of the nodes that have a service.
	ServiceTags(ctx context.Context) (map[int64][]string, error)
	AddClientTraffic(ctx context.Context, counts []connexa.ClientCount) error
	ResetClientUsage(ctx context.Context, ids []int64, at time.Time) error
}

// Config is what a Directory works with. Store and Log are needed.
type Config struct {
	Store Store
	Log   *slog.Logger
	// OnRevoked is told when somebody who is connected may not stay: whoever serves
	// clients asks Stay about each of them. It never blocks.
	OnRevoked func()
	// Publish is told of users whose figures or state changed; it never blocks.
	Publish func(connexa.Event)
	Now     func() time.Time // nil: time.Now
	// Zone returns the time zone of the periods, and since when it is in force.
	// Defaults to UTC.
	Zone func() (zone *time.Location, since time.Time)
}

// Refused says why somebody may not use a service. Whoever has not proven a
// password or a certificate must not learn it.
type Refused struct{ Reason connexa.ClientRefusal }

func (r *Refused) Error() string { return "access refused: " + string(r.Reason) }

// Text is the sentence for the person who is refused.
func (r *Refused) Text() connexa.Text { return r.Reason.Text() }

// Directory is the view. Its methods are safe for concurrent use. But for Load,
// Reset and Run none of them waits for anything.
type Directory struct {
	cfg      Config
	key      [32]byte // of the digests of passwords; of this process
	snapshot atomic.Pointer[snapshot]
	wake     chan struct{}
	// unknown stands in for users who do not exist, so that they cost the same.
	unknown client

	mu     sync.Mutex // of everything that reads or writes the store
	usages map[int64]*usage
}

// snapshot is what logins are judged by. It is never changed, only replaced.
type snapshot struct {
	names map[string]*client
	ids   map[int64]*client
	tags  map[int64][]string // of nodes that have a service
}

type client struct {
	connexa.Client
	digest [32]byte // of the password
	usage  *usage
}

// usage is what outlives a reload.
type usage struct {
	meter socks5.Meter
	// before is what the store has counted and meter has not; it stays as it is
	// when what meter counted is written.
	offsetUp, offsetDown atomic.Int64
	seen                 atomic.Pointer[visit]
	refused              atomic.Pointer[visit]

	// Of the Directory, under its mu.
	saved      socks5.Counts // of meter, that the store has
	savedVisit visit         // of seen, that the store has
	state      connexa.ClientRefusal
	published  socks5.Counts
}

// visit is when and from where somebody came.
type visit struct {
	at     time.Time
	from   netip.Addr
	reason connexa.ClientRefusal
}

// New returns a Directory that knows nobody; Load reads them.
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

// Grant is somebody who was let in.
type Grant struct {
	ClientID int64
	Name     string
	Node     int64
	From     netip.Addr

	d      *Directory
	digest [32]byte
	meter  *socks5.Meter
}

// Meter counts what the user moves, here and elsewhere.
func (g *Grant) Meter() *socks5.Meter { return g.meter }

// Revalidate says whether the one who was let in may stay: nil, or a *Refused.
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

// Login lets a user in to the service of a node, or says why not: the error is a
// *Refused. It takes as long for users who do not exist.
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

// PasswordMark is the same as long as the user of a name has the same password; of
// this process, and nothing that the password could be guessed by.
type PasswordMark [32]byte

// PasswordMark returns the mark of a user's password.
func (d *Directory) PasswordMark(name string) PasswordMark {
	if p := d.snapshot.Load().names[name]; p != nil {
		return p.digest
	}
	return PasswordMark{}
}

// Authorize is Login for who has proven to be the user of that name in another way, by
// a certificate.
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

// checkAccess says whether a user may use the service of a node from an address.
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

// byteCounts is what the user moved since the counters began.
func (a *usage) byteCounts() (up, down uint64) {
	c := a.meter.Counts()
	return addOffset(c.Up, a.offsetUp.Load()), addOffset(c.Down, a.offsetDown.Load())
}

func addOffset(counted uint64, before int64) uint64 {
	return uint64(max(0, int64(counted)+before))
}

// Knows says whether there is a user of that name.
func (d *Directory) Knows(name string) bool { return d.snapshot.Load().names[name] != nil }

// Live is what is known of a user now; false: there is no such user.
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

// Wake makes the Directory read the users again, at once. It never blocks.
func (d *Directory) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// HasService says whether the service of a node is known here; if it is not, the
// tags by which users may use it are not either, and Wake is due.
func (d *Directory) HasService(node int64) bool {
	_, ok := d.snapshot.Load().tags[node]
	return ok
}

// Client is Login as a proxy asks it.
func (d *Directory) Client(node int64, name, password string, from netip.Addr) (socks5.Client, bool) {
	g, err := d.Login(node, name, connexa.Secret(password), from)
	if err != nil {
		return socks5.Client{}, false
	}
	return socks5.Client{Name: g.Name, Meter: g.Meter(), Valid: func() bool { return g.Revalidate() == nil }}, true
}

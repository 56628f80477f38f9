package daemon

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/connexa-panel/connexa/internal/access"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/openvpn"
)

const (
	// mostWrong passwords may be sent with one certificate within wrongFor.
	mostWrong = 10
	wrongFor  = 10 * time.Minute
)

// doorman says who may come in to OpenVPN exits: whose certificate is a profile
// that is good, of an access user who may use the service.
type doorman struct {
	users    func() *access.Directory
	profiles atomic.Pointer[map[string]connexa.Profile] // by serial
	words    *i18n.Printer                              // clients show them, and have no language of ours
	now      func() time.Time

	mu     sync.Mutex
	guests map[seat]*guest
	wrong  map[string]*wrong // by serial
}

// seat is what one client has at most: openvpn ends its connection when it comes
// once more.
type seat struct {
	node   int64
	serial string
}

// guest is somebody who was let in.
type guest struct {
	grant    *access.Grant
	since    time.Time // of the connection that was counted last
	up, down uint64
	comes    bool // with a new connection: that of since is the one before
}

// wrong counts passwords that were wrong while the user's was the same.
type wrong struct {
	since time.Time
	count int
	of    access.PasswordMark // what they were compared with
}

// followProfiles keeps what the doorman knows current, and has those put out who may
// not stay.
func (p *Panel) followProfiles(ctx context.Context) error {
	box, done := p.broker.Open(func(e connexa.Event) bool {
		return e.Topic == connexa.ProfilesChanged || e.Topic == connexa.AccessChanged // who is deleted takes the profiles along
	})
	defer done()
	for {
		if _, ok := box.Next(ctx); !ok {
			return nil
		}
		if err := p.doorman.load(ctx, p.db); err != nil && ctx.Err() == nil {
			p.log.Error("read the profiles", "err", err) // until the next change
		}
		p.gateways.Review()
	}
}

type profileLister interface {
	Profiles(ctx context.Context, user int64) ([]connexa.Profile, error)
}

func newDoorman(users func() *access.Directory) *doorman {
	d := &doorman{users: users, words: i18n.New(i18n.English, nil), now: time.Now, guests: map[seat]*guest{}, wrong: map[string]*wrong{}}
	d.profiles.Store(&map[string]connexa.Profile{})
	return d
}

// load reads the profiles.
func (d *doorman) load(ctx context.Context, from profileLister) error {
	list, err := from.Profiles(ctx, 0)
	if err != nil {
		return err
	}
	m := make(map[string]connexa.Profile, len(list))
	for _, p := range list {
		m[p.Serial] = p
	}
	d.profiles.Store(&m)
	return nil
}

// good returns the profile of a certificate, or why it lets nobody in.
func (d *doorman) good(serial string) (connexa.Profile, error) {
	p, ok := (*d.profiles.Load())[serial]
	switch {
	case !ok || !p.RevokedAt.IsZero():
		return p, d.deny(connexa.T("profile.denied.revoked"))
	case !p.Good(d.now()):
		return p, d.deny(connexa.T("profile.denied.expired"))
	}
	return p, nil
}

func (d *doorman) deny(why connexa.Text) error { return &openvpn.Denied{Words: d.words.Text(why)} }

// authorize decides about a login at the exit of a service.
func (d *doorman) authorize(_ context.Context, s connexa.Service, l openvpn.Login) error {
	p, err := d.good(l.Serial)
	if err != nil {
		return err
	}
	if p.Password && d.tooMany(p) {
		return d.deny(connexa.T("profile.denied.wait"))
	}
	var grant *access.Grant
	switch {
	case !p.Password:
		grant, err = d.users().Enter(s.NodeID, p.User, l.From.Addr())
	case l.User == "" && l.Password == "":
		return d.deny(connexa.T("profile.denied.password"))
	case l.User != p.User:
		err = &access.Refused{Reason: connexa.AccessUnknown}
	default:
		grant, err = d.users().Login(s.NodeID, l.User, connexa.Secret(l.Password.Reveal()), l.From.Addr())
	}
	if no, ok := errors.AsType[*access.Refused](err); ok {
		if no.Reason == connexa.AccessUnknown && p.Password {
			d.sentWrong(p)
		}
		return d.deny(no.Text())
	}
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	at := seat{s.NodeID, l.Serial}
	g := d.guests[at]
	if g == nil {
		g = &guest{}
		d.guests[at] = g
	}
	g.grant = grant // what was counted of the connection goes on
	g.comes = g.comes || !l.Again
	delete(d.wrong, l.Serial)
	return nil
}

// tooMany says whether too many wrong passwords came with a profile. What was wrong
// before the user got another password does not count.
func (d *doorman) tooMany(p connexa.Profile) bool {
	mark := d.users().PasswordMark(p.User)
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.wrong[p.Serial]
	if w != nil && (d.now().Sub(w.since) > wrongFor || w.of != mark) {
		delete(d.wrong, p.Serial)
		return false
	}
	return w != nil && w.count >= mostWrong
}

// sentWrong notes a wrong password. There are no more certificates to note it of
// than there are profiles.
func (d *doorman) sentWrong(p connexa.Profile) {
	mark := d.users().PasswordMark(p.User)
	d.mu.Lock()
	defer d.mu.Unlock()
	if w := d.wrong[p.Serial]; w == nil || w.of != mark {
		d.wrong[p.Serial] = &wrong{since: d.now(), of: mark}
	}
	d.wrong[p.Serial].count++
}

// stay says whether a client may stay, and counts what it has moved.
func (d *doorman) stay(s connexa.Service, c openvpn.Client) error {
	g := d.count(s, c)
	if _, err := d.good(c.Serial); err != nil {
		return err
	}
	if g == nil {
		return errors.New("nobody has let it in")
	}
	return g.Stay()
}

// left counts the last of what a client has moved.
func (d *doorman) left(s connexa.Service, c openvpn.Client) {
	d.count(s, c)
	d.mu.Lock()
	defer d.mu.Unlock()
	at := seat{s.NodeID, c.Serial}
	if g := d.guests[at]; g != nil && g.since.Equal(c.Since) && !g.comes {
		delete(d.guests, at)
	}
}

func (d *doorman) count(s connexa.Service, c openvpn.Client) *access.Grant {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.guests[seat{s.NodeID, c.Serial}]
	if g == nil {
		return nil
	}
	if c.Since.After(g.since) {
		g.since, g.up, g.down, g.comes = c.Since, 0, 0, false
	}
	if g.since.Equal(c.Since) && c.Up >= g.up && c.Down >= g.down {
		g.grant.Meter().Add(c.Up-g.up, c.Down-g.down)
		g.up, g.down = c.Up, c.Down
	}
	return g.grant
}

// title is what people call a client: its user, and which of its computers.
func (d *doorman) title(name, serial string) string {
	if p, ok := (*d.profiles.Load())[serial]; ok {
		return p.User + " (" + p.Label + ")"
	}
	return name
}

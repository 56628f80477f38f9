package access

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/openvpn"
)

const (
	// maxWrongPasswords may be sent with one certificate within wrongPasswordWindow.
	maxWrongPasswords   = 10
	wrongPasswordWindow = 10 * time.Minute
)

// VPNAuthorizer decides which OpenVPN clients may connect to the exits of services
// and stay connected: those with the certificate of a valid profile whose client may
// use the service.
type VPNAuthorizer struct {
	clients  func() *Directory
	words    func(connexa.Text) string                  // of refusals; OpenVPN clients show them as they are
	profiles atomic.Pointer[map[string]connexa.Profile] // by serial
	now      func() time.Time

	mu       sync.Mutex
	sessions map[vpnSessionKey]*vpnSession
	wrong    map[string]*wrongPasswords // by serial
}

// vpnSessionKey identifies the one connection that a client has at most: openvpn
// ends the old one when the client connects again.
type vpnSessionKey struct {
	node   int64
	serial string
}

// vpnSession is an authorised client.
type vpnSession struct {
	grant      *Grant
	since      time.Time // of the connection that was counted last
	up, down   uint64
	connecting bool // a new connection was authorised; since is that of the old one
}

// wrongPasswords counts wrong passwords while the client's own did not change.
type wrongPasswords struct {
	since time.Time
	count int
	mark  PasswordMark // of the client's own password
}

// ProfileLister lists the profiles of a client, or of all clients for 0.
type ProfileLister interface {
	Profiles(ctx context.Context, client int64) ([]connexa.Profile, error)
}

// NewVPNAuthorizer returns a VPNAuthorizer without profiles; LoadProfiles reads
// them. words translates refusals for clients.
func NewVPNAuthorizer(clients func() *Directory, words func(connexa.Text) string) *VPNAuthorizer {
	a := &VPNAuthorizer{clients: clients, words: words, now: time.Now, sessions: map[vpnSessionKey]*vpnSession{}, wrong: map[string]*wrongPasswords{}}
	a.profiles.Store(&map[string]connexa.Profile{})
	return a
}

// LoadProfiles replaces the profiles.
func (a *VPNAuthorizer) LoadProfiles(ctx context.Context, from ProfileLister) error {
	list, err := from.Profiles(ctx, 0)
	if err != nil {
		return err
	}
	m := make(map[string]connexa.Profile, len(list))
	for _, p := range list {
		m[p.Serial] = p
	}
	a.profiles.Store(&m)
	return nil
}

// validProfile returns the profile of a certificate. The error is an
// *openvpn.Denied.
func (a *VPNAuthorizer) validProfile(serial string) (connexa.Profile, error) {
	p, ok := (*a.profiles.Load())[serial]
	switch {
	case !ok || !p.RevokedAt.IsZero():
		return p, a.deny(connexa.T("profile.denied.revoked"))
	case !p.Good(a.now()):
		return p, a.deny(connexa.T("profile.denied.expired"))
	}
	return p, nil
}

func (a *VPNAuthorizer) deny(why connexa.Text) error { return &openvpn.Denied{Message: a.words(why)} }

// Authorize decides about a login at the exit of a service.
func (a *VPNAuthorizer) Authorize(_ context.Context, s connexa.Service, l openvpn.Login) error {
	p, err := a.validProfile(l.Serial)
	if err != nil {
		return err
	}
	if p.Password && a.isLocked(p) {
		return a.deny(connexa.T("profile.denied.wait"))
	}
	var grant *Grant
	switch {
	case !p.Password:
		grant, err = a.clients().Authorize(s.NodeID, p.Client, l.From.Addr())
	case l.User == "" && l.Password == "":
		return a.deny(connexa.T("profile.denied.password"))
	case l.User != p.Client:
		err = &Refused{Reason: connexa.ClientUnknown}
	default:
		grant, err = a.clients().Login(s.NodeID, l.User, connexa.Secret(l.Password.Reveal()), l.From.Addr())
	}
	if no, ok := errors.AsType[*Refused](err); ok {
		if no.Reason == connexa.ClientUnknown && p.Password {
			a.countWrongPassword(p)
		}
		return a.deny(no.Text())
	}
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	key := vpnSessionKey{s.NodeID, l.Serial}
	v := a.sessions[key]
	if v == nil {
		v = &vpnSession{}
		a.sessions[key] = v
	}
	v.grant = grant // the counts of the connection stay
	v.connecting = v.connecting || !l.Reauth
	delete(a.wrong, l.Serial)
	return nil
}

// isLocked reports whether too many wrong passwords came with a profile. Those from
// before the client got another password do not count.
func (a *VPNAuthorizer) isLocked(p connexa.Profile) bool {
	mark := a.clients().PasswordMark(p.Client)
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.wrong[p.Serial]
	if w != nil && (a.now().Sub(w.since) > wrongPasswordWindow || w.mark != mark) {
		delete(a.wrong, p.Serial)
		return false
	}
	return w != nil && w.count >= maxWrongPasswords
}

// countWrongPassword counts a wrong password. The profiles bound the number of
// counters.
func (a *VPNAuthorizer) countWrongPassword(p connexa.Profile) {
	mark := a.clients().PasswordMark(p.Client)
	a.mu.Lock()
	defer a.mu.Unlock()
	if w := a.wrong[p.Serial]; w == nil || w.mark != mark {
		a.wrong[p.Serial] = &wrongPasswords{since: a.now(), mark: mark}
	}
	a.wrong[p.Serial].count++
}

// Revalidate counts the traffic of a client and returns an error if it may not stay
// connected.
func (a *VPNAuthorizer) Revalidate(s connexa.Service, c openvpn.Client) error {
	grant := a.countTraffic(s, c)
	if _, err := a.validProfile(c.Serial); err != nil {
		return err
	}
	if grant == nil {
		return errors.New("the client was not authorised")
	}
	return grant.Revalidate()
}

// OnDisconnect counts the last traffic of a client.
func (a *VPNAuthorizer) OnDisconnect(s connexa.Service, c openvpn.Client) {
	a.countTraffic(s, c)
	a.mu.Lock()
	defer a.mu.Unlock()
	key := vpnSessionKey{s.NodeID, c.Serial}
	if v := a.sessions[key]; v != nil && v.since.Equal(c.Since) && !v.connecting {
		delete(a.sessions, key)
	}
}

func (a *VPNAuthorizer) countTraffic(s connexa.Service, c openvpn.Client) *Grant {
	a.mu.Lock()
	defer a.mu.Unlock()
	v := a.sessions[vpnSessionKey{s.NodeID, c.Serial}]
	if v == nil {
		return nil
	}
	if c.Since.After(v.since) {
		v.since, v.up, v.down, v.connecting = c.Since, 0, 0, false
	}
	if v.since.Equal(c.Since) && c.Up >= v.up && c.Down >= v.down {
		v.grant.Meter().Add(c.Up-v.up, c.Down-v.down)
		v.up, v.down = c.Up, c.Down
	}
	return v.grant
}

// Title returns what a client is called in the panel: its user and profile.
func (a *VPNAuthorizer) Title(name, serial string) string {
	if p, ok := (*a.profiles.Load())[serial]; ok {
		return p.Client + " (" + p.Label + ")"
	}
	return name
}

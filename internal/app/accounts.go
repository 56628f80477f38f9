package app

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// AdminName is the account that the first start creates.
const AdminName = "admin"

// Limits of the input of a login, in bytes. Passwords of old panels may be long.
const (
	passwordLongest = 1024
	nameLongest     = 128
)

type accountStore interface {
	AddFirstAccount(ctx context.Context, name, passwordHash string, mustChange bool) (added bool, err error)
	HasAccounts(ctx context.Context) (bool, error)
	Account(ctx context.Context, id int64) (connexa.Account, error)
	LoginAddresses(ctx context.Context, account string) ([]string, error)
	AccountByName(ctx context.Context, name string) (connexa.Account, error)
	SetPassword(ctx context.Context, accountID int64, passwordHash string, keep connexa.Secret) (ended int, err error)

	StartSession(ctx context.Context, token connexa.Secret, s connexa.Session) error
	SessionAlive(ctx context.Context, token connexa.Secret) (bool, error)
	Sessions(ctx context.Context, accountID int64, current connexa.Secret) ([]connexa.Session, error)
	EndSession(ctx context.Context, accountID, id int64) error
	EndOtherSessions(ctx context.Context, accountID int64, keep connexa.Secret) (ended int, err error)
}

// WaitError says that too many wrong passwords were entered and how long further
// attempts are refused. Its code is TooSoon.
type WaitError struct {
	Wait time.Duration
}

func (e *WaitError) Error() string { return fmt.Sprintf("wait %s before the next password", e.Wait) }

func (e *WaitError) Unwrap() error {
	return &connexa.Error{Code: connexa.TooSoon, Text: connexa.T("login.wait", e.Wait)}
}

// waitError rounds up to whole seconds, so that no message says "wait 0 s".
func waitError(d time.Duration) error {
	return &WaitError{Wait: (d + time.Second - 1).Truncate(time.Second)}
}

// sender sends notifications to the channels.
type sender interface{ Notify(connexa.Notification) }

// Accounts are the logins of the panel and their sessions.
type Accounts struct {
	env       Env
	store     accountStore
	notifier  sender
	passwords *passwords
	limiter   limiter
}

// NewAccounts returns Accounts.
func NewAccounts(env Env, store accountStore, notifier sender) *Accounts {
	return &Accounts{env: env, store: store, notifier: notifier, passwords: newPasswords(usualCost)}
}

// FirstStart creates the account AdminName if there is no account. For an empty
// password it generates one and returns it, to be shown once; if mustChange is set,
// that password must be changed before anything else.
func (a *Accounts) FirstStart(ctx context.Context, password connexa.Secret, mustChange bool) (made bool, generated connexa.Secret, err error) {
	some, err := a.store.HasAccounts(ctx)
	if err != nil || some {
		return false, "", err
	}
	if password == "" {
		generated = randomPassword()
		password = generated
	} else if why := weakPassword(AdminName, password); !why.IsZero() {
		return false, "", connexa.Errorf(connexa.Invalid, "start.password", why)
	}
	hash, err := a.passwords.hashPassword(ctx, password, false)
	if err != nil {
		return false, "", err
	}
	made, err = a.store.AddFirstAccount(ctx, AdminName, hash, mustChange && generated != "")
	if err != nil || !made {
		return false, "", err
	}
	return true, generated, nil
}

// KnownBrowser is a browser that has logged in to an account before. The zero value is
// any other browser.
type KnownBrowser struct {
	ID         string
	PasswordAt time.Time // the time of the password that it logged in with
}

// Login checks a name and a password for the address in ctx. A browser that has logged
// in to the account with the current password has its own attempts and its own queue,
// so that guesses from elsewhere cannot lock it out.
//
// The errors are Forbidden for a wrong pair, a *WaitError, and Busy.
func (a *Accounts) Login(ctx context.Context, name string, password connexa.Secret, browser KnownBrowser) (connexa.Account, error) {
	_, address := Actor(ctx)
	name = strings.TrimSpace(name)
	if len(name) > nameLongest || len(password) > passwordLongest {
		name, password = "", "" // of no account: as slow as any other guess, and counted like one
	}
	u, err := a.store.AccountByName(ctx, name)
	if err != nil && connexa.CodeOf(err) != connexa.NotFound {
		return connexa.Account{}, err
	}
	ctx = WithActor(ctx, u.Name, address) // empty for an unknown name: people type passwords into the wrong field
	try := attempt{from: strangerKeys(address), who: accountKey(name)}
	if browser.ID != "" && u.ID != 0 && browser.PasswordAt.Equal(u.ChangedAt) {
		try = attempt{who: "browser " + browser.ID, known: true}
	}
	if err := a.verifyPassword(ctx, u, password, try); err != nil {
		if connexa.CodeOf(err) == connexa.Forbidden {
			a.env.recordAct(ctx, connexa.ActLoginFailed, connexa.Text{})
		}
		return connexa.Account{}, err
	}
	return u, nil
}

// attempt says what an attempt at a password is counted against. Attempts of unknown
// browsers also count against their address and network.
type attempt struct {
	from  []string
	who   string
	known bool
}

// verifyPassword checks the password of u, or takes the same time if u is the zero
// account. It counts the attempt against the keys of try.
func (a *Accounts) verifyPassword(ctx context.Context, u connexa.Account, password connexa.Secret, try attempt) error {
	keys := append([]string{try.who}, try.from...)
	if wait, first := a.limiter.beginTry(keys...); wait > 0 {
		if first { // one row per wait, so that a flood does not fill the table
			a.env.recordAct(ctx, connexa.ActLoginFailed, connexa.T("audit.login.wait", wait.Round(time.Second)))
		}
		return waitError(wait)
	}
	ok, err := a.passwords.matchPassword(ctx, u.PasswordHash, password, try.known)
	switch {
	case err != nil:
		a.limiter.undoTry(keys...)
		return err
	case !ok:
		return connexa.Errorf(connexa.Forbidden, "login.wrong")
	}
	a.limiter.undoTry(try.from...) // many people may share an address
	a.limiter.forgetKey(try.who)
	return nil
}

// StartSession creates the session of a successful login. The browser gets token.
func (a *Accounts) StartSession(ctx context.Context, token connexa.Secret, u connexa.Account, agent string) error {
	_, address := Actor(ctx)
	s := connexa.Session{AccountID: u.ID, Address: address, Agent: cutText(agent, 300)}
	elsewhere, err := a.fromElsewhere(ctx, u.Name, address)
	if err != nil { // a missing notification must not prevent a login
		a.env.Log.Error("compare the address of a login", "err", err)
	}
	if err := a.store.StartSession(ctx, token, s); err != nil {
		return err
	}
	a.env.recordAct(WithActor(ctx, u.Name, address), connexa.ActLogin, connexa.Text{})
	if elsewhere {
		a.notifier.Notify(connexa.Notification{Kind: connexa.NotifyNewLogin, At: a.env.Now(), Name: u.Name, Text: connexa.T("notification.new_login", u.Name, address)})
	}
	return nil
}

// ContinueSession creates the row of a session that continues under a new token, after
// the password was entered again.
func (a *Accounts) ContinueSession(ctx context.Context, token connexa.Secret, accountID int64, agent string) error {
	_, address := Actor(ctx)
	return a.store.StartSession(ctx, token, connexa.Session{AccountID: accountID, Address: address, Agent: cutText(agent, 300)})
}

// SessionAlive reports whether the session with that token is valid.
func (a *Accounts) SessionAlive(ctx context.Context, token connexa.Secret) (bool, error) {
	return a.store.SessionAlive(ctx, token)
}

// Logout records that the account in ctx logged out. The session store deletes the
// session.
func (a *Accounts) Logout(ctx context.Context) {
	a.env.recordAct(ctx, connexa.ActLogout, connexa.Text{})
}

// Ready returns an error unless the panel can serve: the database answers and has an
// account.
func (a *Accounts) Ready(ctx context.Context) error {
	some, err := a.store.HasAccounts(ctx)
	if err == nil && !some {
		err = connexa.Errorf(connexa.Busy, "error.not_ready")
	}
	return err
}

// Account returns the account with that id.
func (a *Accounts) Account(ctx context.Context, id int64) (connexa.Account, error) {
	return a.store.Account(ctx, id)
}

// Reauth checks the password of a logged-in account again.
func (a *Accounts) Reauth(ctx context.Context, accountID int64, password connexa.Secret) error {
	if err := a.reverifyPassword(ctx, accountID, password); err != nil {
		return err
	}
	a.env.recordAct(ctx, connexa.ActReauth, connexa.Text{})
	return nil
}

func (a *Accounts) reverifyPassword(ctx context.Context, accountID int64, password connexa.Secret) error {
	u, err := a.store.Account(ctx, accountID)
	if err != nil {
		return err
	}
	if len(password) > passwordLongest {
		return connexa.Errorf(connexa.Forbidden, "login.wrong.password")
	}
	err = a.verifyPassword(ctx, u, password, attempt{who: fmt.Sprintf("again %d", accountID), known: true})
	if connexa.CodeOf(err) == connexa.Forbidden {
		a.env.recordAct(ctx, connexa.ActLoginFailed, connexa.Text{})
		return connexa.Errorf(connexa.Forbidden, "login.wrong.password")
	}
	return err
}

// ChangePassword replaces the password of an account if old is correct, ends all of its
// sessions except the one with that token, and returns their number. FieldErrors name
// the fields "old", "new" and "repeat".
func (a *Accounts) ChangePassword(ctx context.Context, accountID int64, token, old, fresh, repeat connexa.Secret) (ended int, err error) {
	u, err := a.store.Account(ctx, accountID)
	if err != nil {
		return 0, err
	}
	errs := connexa.FieldErrors{}
	if why := weakPassword(u.Name, fresh); !why.IsZero() {
		errs["new"] = why
	} else if fresh.Equal(old) {
		errs.Add("new", "field.password.same")
	}
	if !fresh.Equal(repeat) {
		errs.Add("repeat", "field.password.repeat")
	}
	if len(errs) > 0 {
		return 0, errs
	}
	if err := a.reverifyPassword(ctx, accountID, old); err != nil {
		if code := connexa.CodeOf(err); code == connexa.Forbidden || code == connexa.TooSoon {
			return 0, connexa.FieldErrors{"old": connexa.TextOf(err)}
		}
		return 0, err
	}
	hash, err := a.passwords.hashPassword(ctx, fresh, true)
	if err != nil {
		return 0, err
	}
	if ended, err = a.store.SetPassword(ctx, accountID, hash, token); err != nil {
		return 0, err
	}
	a.env.recordAct(ctx, connexa.ActPassword, connexa.Text{})
	_, address := Actor(ctx)
	a.notifier.Notify(connexa.Notification{Kind: connexa.NotifyPassword, At: a.env.Now(), Name: u.Name, Text: connexa.T("notification.password", u.Name, address)})
	return ended, nil
}

// Sessions lists the sessions of an account and marks the one with the token current.
func (a *Accounts) Sessions(ctx context.Context, accountID int64, current connexa.Secret) ([]connexa.Session, error) {
	return a.store.Sessions(ctx, accountID, current)
}

// EndSession ends one session of an account.
func (a *Accounts) EndSession(ctx context.Context, accountID, id int64) error {
	if err := a.store.EndSession(ctx, accountID, id); err != nil {
		return err
	}
	a.env.recordAct(ctx, connexa.ActSessionRevoked, connexa.T("audit.sessions", 1))
	return nil
}

// EndOtherSessions ends all sessions of an account except the one with the token keep,
// and returns their number.
func (a *Accounts) EndOtherSessions(ctx context.Context, accountID int64, keep connexa.Secret) (int, error) {
	n, err := a.store.EndOtherSessions(ctx, accountID, keep)
	if err != nil || n == 0 {
		return 0, err
	}
	a.env.recordAct(ctx, connexa.ActSessionRevoked, connexa.T("audit.sessions", n))
	return n, nil
}

// addressKey is the key of an address in the limiter. An IPv6 address counts as its /64
// network, which belongs to one host.
func addressKey(address string) string {
	if a, err := netip.ParseAddr(address); err == nil {
		if a = a.Unmap().WithZone(""); a.Is6() {
			p, _ := a.Prefix(64)
			return "address " + p.String()
		}
		return "address " + a.String()
	}
	return "address " + address
}

// networkKey is the key of the network around an address in the limiter, because an
// attacker can change addresses within it for free.
func networkKey(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return networkPrefix + address
	}
	bits := 24
	if a = a.Unmap().WithZone(""); a.Is6() {
		bits = 48
	}
	p, _ := a.Prefix(bits) // never fails
	return networkPrefix + p.String()
}

// strangerKeys are the keys that attempts of unknown browsers count against, besides
// the account.
func strangerKeys(address string) []string { return []string{addressKey(address), networkKey(address)} }

func accountKey(name string) string { return "account " + strings.ToLower(name) }

// cutText shortens s to n bytes at a character boundary.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// fromElsewhere reports whether an account logs in from a new address: no earlier login
// came from it or from its IPv6 network. The first login is not new.
func (a *Accounts) fromElsewhere(ctx context.Context, account, address string) (bool, error) {
	known, err := a.store.LoginAddresses(ctx, account)
	if err != nil || len(known) == 0 {
		return false, err
	}
	here := addressKey(address)
	return !slices.ContainsFunc(known, func(k string) bool { return addressKey(k) == here }), nil
}

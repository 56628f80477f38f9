package access

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// memory is a store in memory.
type memory struct {
	mu      sync.Mutex
	clients map[int64]connexa.ClientLogin
	tags    map[int64][]string
	fails   bool
}

var errStore = errors.New("the disk is full")

func (m *memory) ClientLogins(context.Context) ([]connexa.ClientLogin, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []connexa.ClientLogin
	for _, u := range m.clients {
		list = append(list, u)
	}
	return list, nil
}

func (m *memory) ServiceTags(context.Context) (map[int64][]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tags, nil
}

func (m *memory) AddClientTraffic(_ context.Context, counts []connexa.ClientCount) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails {
		return errStore
	}
	for _, c := range counts {
		u := m.clients[c.ClientID]
		u.Up, u.Down = u.Up+c.Up, u.Down+c.Down
		if !c.SeenAt.IsZero() {
			u.SeenAt, u.SeenFrom = c.SeenAt, c.SeenFrom
		}
		m.clients[c.ClientID] = u
	}
	return nil
}

func (m *memory) ResetClientUsage(_ context.Context, ids []int64, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		u := m.clients[id]
		u.Up, u.Down, u.CountedFrom = 0, 0, at
		m.clients[id] = u
	}
	return nil
}

// changeClient changes a client as an admin does.
func (m *memory) setFails(fails bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fails = fails
}

func (m *memory) changeClient(id int64, change func(*connexa.ClientLogin)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.clients[id]
	change(&u)
	m.clients[id] = u
}

func (m *memory) clientOf(id int64) connexa.ClientLogin {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clients[id]
}

var here = netip.MustParseAddr("192.0.2.7")

// newDirectory returns a Directory and its store with the client ann, who may use all
// services.
func newDirectory(t *testing.T, cfg Config) (*Directory, *memory) {
	t.Helper()
	m := &memory{clients: map[int64]connexa.ClientLogin{1: {
		Client: connexa.Client{ID: 1, Name: "ann", Enabled: true, Scope: connexa.ScopeAll, CountedFrom: time.Now()}, Password: "Blue-Kite-7",
	}}, tags: map[int64][]string{7: {"fast"}, 8: {"slow"}}}
	cfg.Store, cfg.Log = m, slog.New(slog.DiscardHandler)
	d := New(cfg)
	mustLoad(t, d)
	return d, m
}

func mustLoad(t *testing.T, d *Directory) {
	t.Helper()
	if err := d.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// reasonOf returns the reason of a refusal, or ClientGranted without an error.
func reasonOf(t *testing.T, err error) connexa.ClientRefusal {
	t.Helper()
	var r *Refused
	if err == nil {
		return connexa.ClientGranted
	}
	if !errors.As(err, &r) {
		t.Fatal(err)
	}
	return r.Reason
}

// TestEveryReason changes a client in each way that revokes its access, and checks a login,
// a certificate and a connected client.
func TestEveryReason(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*connexa.ClientLogin)
		login  connexa.ClientRefusal
		stay   connexa.ClientRefusal
	}{
		{"nothing", func(*connexa.ClientLogin) {}, connexa.ClientGranted, connexa.ClientGranted},
		{"disabled", func(u *connexa.ClientLogin) { u.Enabled = false }, connexa.ClientDisabled, connexa.ClientDisabled},
		{"expired", func(u *connexa.ClientLogin) { u.Expires = time.Now() }, connexa.ClientExpired, connexa.ClientExpired},
		{"spent", func(u *connexa.ClientLogin) { u.Quota, u.Down = 9, 9 }, connexa.ClientOverQuota, connexa.ClientOverQuota},
		{"source", func(u *connexa.ClientLogin) { u.Sources = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")} }, connexa.ClientWrongSource, connexa.ClientWrongSource},
		{"node", func(u *connexa.ClientLogin) { u.Scope, u.Nodes = connexa.ScopeNodes, []int64{8} }, connexa.ClientWrongNode, connexa.ClientWrongNode},
		{"tag", func(u *connexa.ClientLogin) { u.Scope, u.Tags = connexa.ScopeTags, []string{"slow"} }, connexa.ClientWrongNode, connexa.ClientWrongNode},
		{"its tag", func(u *connexa.ClientLogin) { u.Scope, u.Tags = connexa.ScopeTags, []string{"fast"} }, connexa.ClientGranted, connexa.ClientGranted},
		{"password", func(u *connexa.ClientLogin) { u.Password = "Blue-Kite-8" }, connexa.ClientUnknown, connexa.ClientOutdated},
		{"disabled, and another password", func(u *connexa.ClientLogin) { u.Enabled, u.Password = false, "Blue-Kite-8" }, connexa.ClientUnknown, connexa.ClientOutdated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, m := newDirectory(t, Config{})
			g, err := d.Login(7, "ann", "Blue-Kite-7", here)
			if err != nil {
				t.Fatal(err)
			}
			m.changeClient(1, tt.change)
			mustLoad(t, d)
			if got := reasonOf(t, g.Revalidate()); got != tt.stay {
				t.Errorf("a connected client: got %q, want %q", got, tt.stay)
			}
			_, err = d.Login(7, "ann", "Blue-Kite-7", here)
			if got := reasonOf(t, err); got != tt.login {
				t.Errorf("a login: got %q, want %q", got, tt.login)
			}
			want := tt.stay
			if want == connexa.ClientOutdated { // a certificate has no password
				want = connexa.ClientGranted
				if !m.clientOf(1).Enabled {
					want = connexa.ClientDisabled
				}
			}
			_, err = d.Authorize(7, "ann", here)
			if got := reasonOf(t, err); got != want {
				t.Errorf("a certificate: got %q, want %q", got, want)
			}
		})
	}
}

// TestUnknownAndDeletedClients checks that a login does not tell an unknown client from a
// wrong password, and that a deleted client may not stay.
func TestUnknownAndDeletedClients(t *testing.T) {
	d, m := newDirectory(t, Config{})
	g, err := d.Login(7, "ann", "Blue-Kite-7", here)
	if err != nil {
		t.Fatal(err)
	}
	for _, try := range [][2]string{{"ann", "wrong"}, {"bob", "Blue-Kite-7"}, {"", ""}, {"Ann", "Blue-Kite-7"}} {
		if _, err := d.Login(7, try[0], connexa.Secret(try[1]), here); reasonOf(t, err) != connexa.ClientUnknown {
			t.Errorf("login %q: got %v, want ClientUnknown", try, err)
		}
	}
	delete(m.clients, 1)
	mustLoad(t, d)
	if got := reasonOf(t, g.Revalidate()); got != connexa.ClientGone {
		t.Errorf("a deleted client: got %q, want ClientGone", got)
	}
}

// TestQuotaIsJudgedLive uses up a quota before any counter is saved.
func TestQuotaIsJudgedLive(t *testing.T) {
	d, m := newDirectory(t, Config{})
	m.changeClient(1, func(u *connexa.ClientLogin) { u.Quota, u.Up = 100, 40 })
	mustLoad(t, d)
	one, err := d.Login(7, "ann", "Blue-Kite-7", here)
	if err != nil {
		t.Fatal(err)
	}
	other, err := d.Login(8, "ann", "Blue-Kite-7", here)
	if err != nil {
		t.Fatal(err)
	}
	one.Meter().Add(10, 20)
	other.Meter().Add(0, 29)
	if one.Revalidate() != nil {
		t.Fatal("cut before the last byte of the quota")
	}
	if err := d.Flush(t.Context()); err != nil { // counts nothing twice
		t.Fatal(err)
	}
	mustLoad(t, d)
	if l, _ := d.Live(1); one.Revalidate() != nil || l.Up != 50 || l.Down != 49 {
		t.Fatalf("after a flush: %+v", l)
	}
	other.Meter().Add(1, 0)
	for _, g := range []*Grant{one, other} {
		if reasonOf(t, g.Revalidate()) != connexa.ClientOverQuota {
			t.Error("may stay with a quota that is spent")
		}
	}
	if err := d.Reset(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if l, _ := d.Live(1); one.Revalidate() != nil || l.Up+l.Down != 0 {
		t.Errorf("after a reset: %+v", l)
	}
}

// TestRunSavesCountersAndRevokes checks that Run finds spent quotas and expiries, saves and
// resets counters, loses nothing if the store fails, and saves the rest at its end.
func TestRunSavesCountersAndRevokes(t *testing.T) {
	for name, test := range map[string]func(t *testing.T, r *runTest){
		"counters survive a failure of the store": func(t *testing.T, r *runTest) {
			r.store.setFails(true)
			r.grant.Meter().Add(1, 1)
			time.Sleep(11 * time.Second)
			r.store.setFails(false)
			time.Sleep(6 * time.Second)
			if u := r.store.clientOf(1); u.Up != 4 || u.Down != 5 {
				t.Errorf("got %d and %d saved, want 4 and 5", u.Up, u.Down)
			}
		},
		"a spent quota revokes until the next day": func(t *testing.T, r *runTest) {
			r.change(func(u *connexa.ClientLogin) { u.Quota = 20 })
			r.grant.Meter().Add(0, 13)
			time.Sleep(2 * time.Second)
			r.checkRevoked(t, connexa.ClientOverQuota)
			r.change(func(u *connexa.ClientLogin) { u.Period = connexa.QuotaDaily })
			time.Sleep(25 * time.Hour)
			synctest.Wait()
			if l, _ := r.Live(1); r.grant.Revalidate() != nil || l.Up+l.Down != 0 {
				t.Errorf("got %+v, %v the next day; want no traffic and a valid grant", l, r.grant.Revalidate())
			}
		},
		"an expiry revokes": func(t *testing.T, r *runTest) {
			r.change(func(u *connexa.ClientLogin) { u.Expires = time.Now().Add(30 * time.Hour) })
			time.Sleep(29 * time.Hour)
			synctest.Wait()
			if err := r.grant.Revalidate(); err != nil {
				t.Errorf("got %v an hour before, want nil", err)
			}
			r.cuts.Store(0)
			time.Sleep(2 * time.Hour)
			r.checkRevoked(t, connexa.ClientExpired)
		},
		"the end saves the rest": func(t *testing.T, r *runTest) {
			r.grant.Meter().Add(1, 2)
			r.stop()
			if err := <-r.ran; err != nil {
				t.Errorf("got %v from Run, want nil", err)
			}
			if u := r.store.clientOf(1); u.Up != 4 || u.Down != 6 {
				t.Errorf("got %d and %d saved, want 4 and 6", u.Up, u.Down)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, startRunTest(t)) })
		})
	}
}

// runTest is a directory that runs, with a client that has moved 3 and 4 bytes.
type runTest struct {
	*Directory
	store *memory
	grant *Grant
	cuts  *atomic.Int64
	stop  context.CancelFunc
	ran   chan error
}

func startRunTest(t *testing.T) *runTest {
	cuts := new(atomic.Int64)
	d, m := newDirectory(t, Config{OnRevoked: func() { cuts.Add(1) }})
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r := &runTest{Directory: d, store: m, cuts: cuts, stop: cancel, ran: make(chan error, 1)}
	go func() { r.ran <- d.Run(ctx) }()
	var err error
	if r.grant, err = d.Login(7, "ann", "Blue-Kite-7", here); err != nil {
		t.Fatal(err)
	}
	r.grant.Meter().Add(3, 4)
	time.Sleep(6 * time.Second)
	if u := m.clientOf(1); u.Up != 3 || u.Down != 4 || u.SeenFrom != here.String() || u.SeenAt.IsZero() {
		t.Errorf("got %+v saved, want 3 and 4 bytes from %s", u, here)
	}
	return r
}

// change changes the client and resets cuts.
func (r *runTest) change(change func(*connexa.ClientLogin)) {
	r.store.changeClient(1, change)
	r.Wake()
	synctest.Wait()
	r.cuts.Store(0)
}

func (r *runTest) checkRevoked(t *testing.T, want connexa.ClientRefusal) {
	t.Helper()
	synctest.Wait()
	if got := reasonOf(t, r.grant.Revalidate()); r.cuts.Load() == 0 || got != want {
		t.Errorf("got %q and %d calls of OnRevoked, want %q and at least one", got, r.cuts.Load(), want)
	}
}

// TestManyAtOnce is for the race detector.
func TestManyAtOnce(t *testing.T) {
	d, m := newDirectory(t, Config{})
	var work sync.WaitGroup
	for i := range 4 {
		work.Go(func() {
			for range 200 {
				g, err := d.Login(7, "ann", "Blue-Kite-7", here)
				if err != nil {
					continue
				}
				g.Meter().Add(1, 1)
				_ = g.Revalidate()
				d.Live(1)
			}
		})
		work.Go(func() {
			for n := range 20 {
				m.changeClient(1, func(u *connexa.ClientLogin) { u.Enabled = n%2 == i%2 })
				if err := errors.Join(d.Load(t.Context()), d.Flush(t.Context())); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	m.changeClient(1, func(u *connexa.ClientLogin) { u.Enabled = true })
	mustLoad(t, d)
	g, err := d.Login(7, "ann", "Blue-Kite-7", here) // may be the only login that found ann enabled
	if err != nil {
		t.Fatal(err)
	}
	g.Meter().Add(1, 1)
	if l, _ := d.Live(1); l.Up != l.Down || l.Up == 0 {
		t.Errorf("counted %+v", l)
	}
}

package db

import (
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// portsOf opens a database with the account ann and a clock that tests move.
func portsOf(t *testing.T) (d *DB, ann connexa.Account, at *time.Time) {
	t.Helper()
	at = new(time.Time)
	*at = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	d, err := Open(t.Context(), Options{Dir: t.TempDir(), Now: func() time.Time { return *at }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	if added, err := d.AddFirstAccount(t.Context(), "ann", "hash", false); err != nil || !added {
		t.Fatal(added, err)
	}
	if ann, err = d.AccountByName(t.Context(), "Ann"); err != nil {
		t.Fatal(err)
	}
	return d, ann, at
}

func beginSession(t *testing.T, d *DB, u connexa.Account, token string) *SessionStore {
	t.Helper()
	if err := d.StartSession(t.Context(), connexa.Secret(token), connexa.Session{AccountID: u.ID, Address: "192.0.2.1", Agent: "test"}); err != nil {
		t.Fatal(err)
	}
	s := d.SessionStore()
	if err := s.CommitCtx(t.Context(), token, []byte("data of "+token), d.now().Add(SessionLife)); err != nil {
		t.Fatal(err)
	}
	return s
}

func wantFound(t *testing.T, s *SessionStore, token string, want bool) {
	t.Helper()
	data, found, err := s.FindCtx(t.Context(), token)
	if err != nil || found != want || want && string(data) != "data of "+token {
		t.Errorf("%s: found %t %q, %v; want %t", token, found, data, err, want)
	}
}

func TestOnlyTheFirstUserIsMade(t *testing.T) {
	d, ann, _ := portsOf(t)
	if added, err := d.AddFirstAccount(t.Context(), "bob", "hash", false); err != nil || added {
		t.Errorf("a second first user: %t, %v", added, err)
	}
	if some, err := d.HasAccounts(t.Context()); err != nil || !some {
		t.Error(some, err)
	}
	if u, err := d.Account(t.Context(), ann.ID); err != nil || u.Name != "ann" {
		t.Error(u, err)
	}
	for _, err := range []error{func() error { _, err := d.Account(t.Context(), 99); return err }(), func() error { _, err := d.AccountByName(t.Context(), "bob"); return err }()} {
		if connexa.CodeOf(err) != connexa.NotFound {
			t.Errorf("a missing user: %v", err)
		}
	}
}

func TestACommitNeverBringsASessionBack(t *testing.T) {
	d, ann, _ := portsOf(t)
	commit := func(s *SessionStore, token string) {
		t.Helper()
		if err := s.CommitCtx(t.Context(), token, []byte("again"), d.now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		wantFound(t, s, token, false)
	}
	s := d.SessionStore()
	commit(s, "never-begun")

	beginSession(t, d, ann, "deleted")
	wantFound(t, s, "deleted", true)
	if err := s.DeleteCtx(t.Context(), "deleted"); err != nil {
		t.Fatal(err)
	}
	commit(s, "deleted")

	beginSession(t, d, ann, "revoked")
	list, err := d.Sessions(t.Context(), ann.ID, "revoked")
	if err != nil || len(list) != 1 || !list[0].Current {
		t.Fatal(list, err)
	}
	if err := d.EndSession(t.Context(), ann.ID, list[0].ID); err != nil {
		t.Fatal(err)
	}
	commit(s, "revoked")

	beginSession(t, d, ann, "kept")
	beginSession(t, d, ann, "other")
	if ended, err := d.SetPassword(t.Context(), ann.ID, "new", "kept"); err != nil || ended != 1 {
		t.Fatal(ended, err)
	}
	commit(s, "other")
	wantFound(t, s, "kept", true)
}

func TestASessionOfSomebodyElseCannotBeEnded(t *testing.T) {
	d, ann, _ := portsOf(t)
	beginSession(t, d, ann, "a")
	list, err := d.Sessions(t.Context(), ann.ID, "")
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if err := d.EndSession(t.Context(), ann.ID+1, list[0].ID); connexa.CodeOf(err) != connexa.NotFound {
		t.Error(err)
	}
	wantFound(t, d.SessionStore(), "a", true)
}

func TestTheTableHoldsNoTokens(t *testing.T) {
	d, ann, _ := portsOf(t)
	s := beginSession(t, d, ann, "a-token-to-look-for")
	var n int
	err := d.read.QueryRowContext(t.Context(), `SELECT count(*) FROM sessions WHERE instr(token_hash, 'a-token-to-look-for') > 0`).Scan(&n)
	if err != nil || n != 0 {
		t.Error(n, err)
	}
	all, err := s.AllCtx(t.Context())
	if err != nil || len(all) != 1 || all[hex.EncodeToString(tokenHash("a-token-to-look-for"))] == nil {
		t.Errorf("all sessions: %v, %v", all, err)
	}
	// The store without contexts is the same store.
	if data, found, err := s.Find("a-token-to-look-for"); err != nil || !found || data == nil {
		t.Error(found, err)
	}
	if err := s.Delete("a-token-to-look-for"); err != nil {
		t.Error(err)
	}
	if all, err := s.All(); err != nil || all == nil || len(all) != 0 {
		t.Errorf("got %v, %v; want an empty map", all, err)
	}
}

func TestSessionsEnd(t *testing.T) {
	d, ann, at := portsOf(t)
	start := *at
	s := beginSession(t, d, ann, "busy")
	beginSession(t, d, ann, "idle")
	see := func(token string) {
		t.Helper()
		wantFound(t, s, token, true)
		d.touches.wg.Wait() // the write of the last-seen time
	}
	for *at = start.Add(11 * time.Hour); at.Sub(start) < SessionLife; *at = at.Add(11 * time.Hour) {
		see("busy")
		alive, err := d.SessionAlive(t.Context(), "idle")
		if want := at.Sub(start) < SessionIdle; err != nil || alive != want {
			t.Errorf("after %v the idle one is alive: %t, %v", at.Sub(start), alive, err)
		}
	}
	*at = start.Add(SessionLife)
	wantFound(t, s, "busy", false) // requests do not prolong it
	// A commit prolongs nothing.
	if err := s.CommitCtx(t.Context(), "busy", []byte("x"), at.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	wantFound(t, s, "busy", false)
	if list, err := d.Sessions(t.Context(), ann.ID, ""); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	// The next login deletes expired sessions.
	beginSession(t, d, ann, "fresh")
	var rows int
	if err := d.read.QueryRowContext(t.Context(), `SELECT count(*) FROM sessions`).Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

func TestASessionIsTouchedOnceAMinute(t *testing.T) {
	d, ann, at := portsOf(t)
	s := beginSession(t, d, ann, "a")
	start := *at
	seen := func() time.Duration {
		t.Helper()
		d.touches.wg.Wait()
		list, err := d.Sessions(t.Context(), ann.ID, "a")
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		return list[0].SeenAt.Sub(start)
	}
	for _, tt := range []struct{ at, want time.Duration }{
		{59 * time.Second, 0}, {61 * time.Second, 61 * time.Second}, {100 * time.Second, 61 * time.Second}, {125 * time.Second, 125 * time.Second},
	} {
		*at = start.Add(tt.at)
		wantFound(t, s, "a", true)
		if got := seen(); got != tt.want {
			t.Errorf("seen after %v: noted %v, want %v", tt.at, got, tt.want)
		}
	}
}

// TestAReadNeedsNoWriter checks that pages work while an import has the writer, and that
// nobody waits for the last-seen time.
func TestAReadNeedsNoWriter(t *testing.T) {
	d, ann, at := portsOf(t)
	s := beginSession(t, d, ann, "a")
	*at = at.Add(time.Hour)
	tx, err := d.write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for range 20 {
		wantFound(t, s, "a", true)
	}
	if alive, err := d.SessionAlive(t.Context(), "a"); err != nil || !alive {
		t.Error(alive, err)
	}
}

func TestAuditOnlyGrows(t *testing.T) {
	d, _, at := portsOf(t)
	for i := range 7 {
		if err := d.AddAudit(t.Context(), connexa.AuditRow{At: *at, Account: "ann", Address: "192.0.2.1", Act: connexa.ActImport, Detail: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	var got string
	for before := int64(0); ; {
		rows, err := d.AuditRows(t.Context(), before, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			break
		}
		for _, r := range rows {
			got += r.Detail
			if !r.At.Equal(*at) || r.Act != connexa.ActImport || r.Account != "ann" || r.Address != "192.0.2.1" {
				t.Errorf("got the row %+v, want an import of ann", r)
			}
		}
		got += " "
		before = rows[len(rows)-1].ID
	}
	if got != "654 321 0 " {
		t.Errorf("pages %q", got)
	}
	for _, q := range []string{`DELETE FROM audit`, `UPDATE audit SET detail = 'x'`} {
		if _, err := d.write.ExecContext(t.Context(), q); err == nil {
			t.Errorf("%s worked", q)
		}
	}
	if err := d.AddAudit(t.Context(), connexa.AuditRow{At: *at, Act: "rumour"}); err == nil {
		t.Error("an unknown act was taken")
	}
}

func TestSettings(t *testing.T) {
	d, _, at := portsOf(t)
	if s, err := d.Settings(t.Context()); err != nil || s != connexa.DefaultSettings() {
		t.Fatalf("got %+v, %v; want the defaults", s, err)
	}
	want := connexa.Settings{
		Concurrency: 7, ConnectRate: 8, PerNetwork: 9, PerAddress: 10, PingAttempts: 2,
		Encryption: connexa.EncryptionRequired, KeyConfirmed: *at, HistoryRawDays: 30, HistoryHourDays: 60, HistoryDayDays: 400,
		Speed: connexa.SpeedSettings{Mode: connexa.SpeedFull, AtOnce: 3, QuickMB: 4, FullMB: 5, SlowKbit: 6, HourGB: 7, MonthGB: 8},
	}
	if err := d.ChangeSettings(t.Context(), func(s *connexa.Settings) error { *s = want; return nil }); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Settings(t.Context()); err != nil || s != want {
		t.Errorf("%+v, %v", s, err)
	}
	refused := connexa.Errorf(connexa.Invalid, "field.encryption")
	if err := d.ChangeSettings(t.Context(), func(s *connexa.Settings) error { s.Concurrency = 1; return refused }); connexa.CodeOf(err) != connexa.Invalid {
		t.Error(err)
	}
	if s, err := d.Settings(t.Context()); err != nil || s != want {
		t.Errorf("a refused change was kept: %+v, %v", s, err)
	}
}

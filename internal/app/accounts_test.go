package app_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
)

// silent is a notifier without channels.
type silent struct{}

func (silent) Notify(connexa.Notification) {}

func newAccounts(t *testing.T) (*app.Accounts, *db.DB) {
	t.Helper()
	d, err := db.Open(t.Context(), db.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return app.NewAccounts(app.Env{Audit: d, Now: time.Now, Log: slog.New(slog.DiscardHandler)}, d, silent{}), d
}

func TestFirstStart(t *testing.T) {
	a, _ := newAccounts(t)
	if err := a.Ready(t.Context()); connexa.CodeOf(err) != connexa.Busy {
		t.Errorf("ready without a user: %v", err)
	}
	made, generated, err := a.FirstStart(t.Context(), "", true)
	if err != nil || !made || len(generated) < 20 {
		t.Fatalf("%t, %d characters, %v", made, len(generated), err)
	}
	if err := a.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
	if _, err := a.Login(t.Context(), app.AdminName, generated, app.KnownBrowser{}); err != nil {
		t.Error(err)
	}
	// CONNEXA_ADMIN_PASSWORD has no effect once an account exists.
	made, generated, err = a.FirstStart(t.Context(), "another long horse", true)
	if err != nil || made || generated != "" {
		t.Errorf("a second first start: %t, %t, %v", made, generated != "", err)
	}
	if _, err := a.Login(t.Context(), app.AdminName, "another long horse", app.KnownBrowser{}); connexa.CodeOf(err) != connexa.Forbidden {
		t.Errorf("the second password: %v", err)
	}
}

func TestFirstStartWithAPassword(t *testing.T) {
	a, _ := newAccounts(t)
	made, generated, err := a.FirstStart(t.Context(), "chosen by me, Kite-7", true)
	if err != nil || !made || generated != "" {
		t.Fatalf("%t, %t, %v", made, generated != "", err)
	}
	if _, err := a.Login(t.Context(), app.AdminName, "chosen by me, Kite-7", app.KnownBrowser{}); err != nil {
		t.Error(err)
	}
}

func TestAWaitIsTyped(t *testing.T) {
	a, _ := newAccounts(t)
	var wait *app.WaitError
	for range 10 {
		_, err := a.Login(app.WithActor(t.Context(), "", "192.0.2.7"), "nobody", "x", app.KnownBrowser{})
		if errors.As(err, &wait) {
			break
		}
		if connexa.CodeOf(err) != connexa.Forbidden {
			t.Fatal(err)
		}
	}
	if wait == nil || wait.Wait < time.Second || connexa.CodeOf(wait) != connexa.TooSoon {
		t.Fatalf("wait %v", wait)
	}
	// IPv6 addresses of one /64 network count as one.
	for i := range 10 {
		address := "2001:db8::" + string(rune('1'+i))
		_, err := a.Login(app.WithActor(t.Context(), "", address), "name"+address, "x", app.KnownBrowser{})
		if connexa.CodeOf(err) == connexa.TooSoon {
			return
		}
	}
	t.Error("ten addresses of a /64 never waited")
}

func TestChangePasswordChecks(t *testing.T) {
	a, d := newAccounts(t)
	if _, _, err := a.FirstStart(t.Context(), "the old Kite-7 lantern", true); err != nil {
		t.Fatal(err)
	}
	u, err := d.AccountByName(t.Context(), app.AdminName)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		old, fresh, repeat connexa.Secret
		field, key         string
	}{
		"short":     {"the old Kite-7 lantern", "1234567", "1234567", "new", "field.password.short"},
		"same":      {"the old Kite-7 lantern", "the old Kite-7 lantern", "the old Kite-7 lantern", "new", "field.password.same"},
		"different": {"the old Kite-7 lantern", "the new Kite-7 copper", "the knew Kite-7 copper", "repeat", "field.password.repeat"},
		"wrong":     {"not the old Kite-7", "the new Kite-7 copper", "the new Kite-7 copper", "old", "login.wrong.password"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := a.ChangePassword(t.Context(), u.ID, "", tt.old, tt.fresh, tt.repeat)
			var errs connexa.FieldErrors
			if !errors.As(err, &errs) || len(errs) != 1 || errs[tt.field].Key != tt.key {
				t.Errorf("%v, want %s at %s", err, tt.key, tt.field)
			}
		})
	}
	if _, err := a.Login(t.Context(), app.AdminName, "the old Kite-7 lantern", app.KnownBrowser{}); err != nil {
		t.Errorf("the password changed: %v", err)
	}
}

package db

import (
	"slices"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestChannelsAreKeptAndSealed(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	ctx := t.Context()
	want := connexa.Channel{
		Name: "Ops", Address: "telegram://110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw@telegram?chats=-100123", Lang: "ru", On: true,
		Kinds: []connexa.NotificationKind{connexa.NotifyServiceFailed, connexa.NotifyNewLogin},
	}
	id, err := d.AddChannel(ctx, want, 2)
	if err != nil {
		t.Fatal(err)
	}
	want.ID = id
	checkChannel(t, d, want)
	at := time.UnixMilli(1_700_000_000_000)
	t.Run("an edit without an address keeps the address and the state", func(t *testing.T) {
		if err := d.ChannelFailed(ctx, id, at, "refused"); err != nil {
			t.Fatal(err)
		}
		if err := d.ChannelSent(ctx, id, at.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		want.SentAt, want.FailedAt, want.Problem = at.Add(time.Minute), at, "refused"
		checkChannel(t, d, want)
		want.Name, want.On, want.Kinds = "Ops 2", false, []connexa.NotificationKind{connexa.NotifyRunFinished}
		edit := want
		edit.Address = ""
		if err := d.SaveChannel(ctx, edit); err != nil {
			t.Fatal(err)
		}
		checkChannel(t, d, want)
	})
	t.Run("a new address clears the state", func(t *testing.T) {
		want.Address = "gotify://push.example.net/Aq7.xyz-secret_1"
		if err := d.SaveChannel(ctx, want); err != nil {
			t.Fatal(err)
		}
		want.SentAt, want.FailedAt, want.Problem = time.Time{}, time.Time{}, ""
		checkChannel(t, d, want)
	})
	t.Run("the number of channels is limited", func(t *testing.T) {
		if _, err := d.AddChannel(ctx, want, 2); err != nil {
			t.Fatal(err)
		}
		if _, err := d.AddChannel(ctx, want, 2); connexa.CodeOf(err) != connexa.Conflict {
			t.Errorf("a third of two: got %v, want %v", err, connexa.Conflict)
		}
	})
	t.Run("a removed channel is not found", func(t *testing.T) { checkRemovedChannel(t, d, want) })
	if found := findInFiles(t, dir, []string{"AAHdqTcv", "110201543", "-100123", "push.example", "Aq7.xyz"}); found != "" {
		t.Errorf("got %s, want no part of an address in any file", found)
	}
}

// checkRemovedChannel removes one of two channels.
func checkRemovedChannel(t *testing.T, d *DB, c connexa.Channel) {
	if err := d.RemoveChannel(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	_, readErr := d.Channel(t.Context(), c.ID)
	for what, err := range map[string]error{"remove": d.RemoveChannel(t.Context(), c.ID), "save": d.SaveChannel(t.Context(), c), "read": readErr} {
		if connexa.CodeOf(err) != connexa.NotFound {
			t.Errorf("%s: got %v, want %v", what, err, connexa.NotFound)
		}
	}
	if err := d.ChannelSent(t.Context(), c.ID, time.UnixMilli(1)); err != nil {
		t.Errorf("the result of an attempt after the removal: got %v, want nil", err)
	}
	if list, err := d.Channels(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("got %d channels, %v; want 1", len(list), err)
	}
}

func checkChannel(t *testing.T, d *DB, want connexa.Channel) {
	t.Helper()
	got, err := d.Channel(t.Context(), want.ID)
	if err != nil || got.ID != want.ID || got.Name != want.Name || !got.Address.Equal(want.Address) || got.Lang != want.Lang || got.On != want.On ||
		!slices.Equal(got.Kinds, want.Kinds) || !got.SentAt.Equal(want.SentAt) || !got.FailedAt.Equal(want.FailedAt) || got.Problem != want.Problem {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestLoginAddresses(t *testing.T) {
	d := openDir(t, t.TempDir())
	for _, r := range []connexa.AuditRow{
		{Account: "admin", Address: "192.0.2.1", Act: connexa.ActLogin},
		{Account: "admin", Address: "192.0.2.1", Act: connexa.ActLogin},
		{Account: "admin", Address: "192.0.2.2", Act: connexa.ActLogin},
		{Account: "admin", Address: "192.0.2.3", Act: connexa.ActLoginFailed},
		{Account: "ann", Address: "192.0.2.4", Act: connexa.ActLogin},
	} {
		if err := d.AddAudit(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	got, err := d.LoginAddresses(t.Context(), "admin")
	slices.Sort(got)
	if err != nil || !slices.Equal(got, []string{"192.0.2.1", "192.0.2.2"}) {
		t.Errorf("got %v, %v; want 192.0.2.1 and 192.0.2.2", got, err)
	}
}

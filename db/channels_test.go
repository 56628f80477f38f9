package db

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestChannelsAreKeptAndSealed(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	ctx := t.Context()
	const address = "telegram://110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw@telegram?chats=-100123"
	in := connexa.Channel{Name: "Ops", Address: address, Lang: "ru", On: true, Kinds: []connexa.NoticeKind{connexa.NoticeServiceFailed, connexa.NoticeNewLogin}}
	id, err := d.AddChannel(ctx, in, 2)
	if err != nil {
		t.Fatal(err)
	}
	in.ID = id
	same := func(want connexa.Channel) {
		t.Helper()
		got, err := d.Channel(ctx, id)
		if err != nil || got.ID != want.ID || got.Name != want.Name || !got.Address.Equal(want.Address) || got.Lang != want.Lang || got.On != want.On ||
			!slices.Equal(got.Kinds, want.Kinds) || !got.SentAt.Equal(want.SentAt) || !got.FailedAt.Equal(want.FailedAt) || got.Problem != want.Problem {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
	same(in)

	// A state, and an edit that keeps the address and it.
	at := time.UnixMilli(1_700_000_000_000)
	if err := d.ChannelFailed(ctx, id, at, "refused"); err != nil {
		t.Fatal(err)
	}
	if err := d.ChannelSent(ctx, id, at.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	in.SentAt, in.FailedAt, in.Problem = at.Add(time.Minute), at, "refused"
	same(in)
	in.Name, in.On, in.Kinds = "Ops 2", false, []connexa.NoticeKind{connexa.NoticeRunFinished}
	edit := in
	edit.Address = ""
	if err := d.SaveChannel(ctx, edit); err != nil {
		t.Fatal(err)
	}
	same(in)
	// A new address has no past.
	in.Address = "gotify://push.example.net/Aq7.xyz-secret_1"
	if err := d.SaveChannel(ctx, in); err != nil {
		t.Fatal(err)
	}
	in.SentAt, in.FailedAt, in.Problem = time.Time{}, time.Time{}, ""
	same(in)

	// There are not too many, and one that is gone stays gone.
	if _, err := d.AddChannel(ctx, in, 2); err != nil {
		t.Fatal(err)
	}
	if _, err := d.AddChannel(ctx, in, 2); connexa.CodeOf(err) != connexa.Conflict {
		t.Errorf("a third of two: %v", err)
	}
	if err := d.RemoveChannel(ctx, id); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{"remove": d.RemoveChannel(ctx, id), "save": d.SaveChannel(ctx, in)} {
		if connexa.CodeOf(err) != connexa.NotFound {
			t.Errorf("%s again: %v", what, err)
		}
	}
	if _, err := d.Channel(ctx, id); connexa.CodeOf(err) != connexa.NotFound {
		t.Errorf("read again: %v", err)
	}
	if err := d.ChannelSent(ctx, id, at); err != nil {
		t.Errorf("the note of an attempt that outlived its channel: %v", err)
	}
	if list, err := d.Channels(ctx); err != nil || len(list) != 1 {
		t.Errorf("%d channels, %v", len(list), err)
	}

	// No word of an address is in any file.
	files, err := filepath.Glob(filepath.Join(dir, File+"*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"AAHdqTcv", "110201543", "-100123", "push.example", "Aq7.xyz"} {
			if bytes.Contains(data, []byte(word)) {
				t.Errorf("%s holds %q", file, word)
			}
		}
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
		t.Errorf("%v, %v", got, err)
	}
}

package access

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/gateway"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/openvpn"
)

// newTestAuthorizer returns a VPNAuthorizer on a new database, with one profile with
// a password and one without.
func newTestAuthorizer(t *testing.T, dir string) (*VPNAuthorizer, *db.DB, map[string]connexa.ProfileKey) {
	t.Helper()
	store, err := db.Open(t.Context(), db.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	user, err := store.AddClient(t.Context(), connexa.Client{Name: "ann", Enabled: true, Scope: connexa.ScopeAll}, "Blue-Kite-7")
	if err != nil {
		t.Fatal(err)
	}
	i := gateway.Issuer{Now: time.Now}
	cert, key, err := store.Authority(t.Context(), i.Authority)
	if err != nil {
		t.Fatal(err)
	}
	profiles := map[string]connexa.ProfileKey{}
	for _, label := range []string{"phone", "laptop"} {
		p := connexa.ProfileKey{Profile: connexa.Profile{ClientID: user, Label: label, Name: "ann." + label, Password: label == "laptop"}}
		if p.Cert, p.Key, p.Serial, err = i.Client(cert, key, p.Name); err != nil {
			t.Fatal(err)
		}
		if p.ID, err = store.AddProfile(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		profiles[label] = p
	}
	clients := New(Config{Store: store, Log: slog.New(slog.DiscardHandler)})
	if err := clients.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := NewVPNAuthorizer(func() *Directory { return clients }, i18n.New(i18n.English, nil).Text)
	if err := d.LoadProfiles(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	return d, store, profiles
}

func loginWith(p connexa.ProfileKey, user, password string) openvpn.Login {
	return openvpn.Login{Name: p.Name, Serial: p.Serial, User: user, Password: openvpn.Password(password), From: netip.MustParseAddrPort("192.0.2.9:1194")}
}

func denied(t *testing.T, err error, words string) {
	t.Helper()
	no, ok := errors.AsType[*openvpn.Denied](err)
	if !ok || !strings.Contains(no.Message, words) {
		t.Errorf("%v, want %q", err, words)
	}
}

func TestVPNAuthorizerLocksAfterWrongPasswords(t *testing.T) {
	d, _, profiles := newTestAuthorizer(t, t.TempDir())
	now := time.Now()
	d.now = func() time.Time { return now }
	laptop, s := profiles["laptop"], connexa.Service{NodeID: 1}
	denied(t, d.Authorize(context.Background(), s, loginWith(laptop, "", "")), "requires a username")
	for range maxWrongPasswords {
		denied(t, d.Authorize(context.Background(), s, loginWith(laptop, "ann", "Red-Fox-8")), "Wrong username or password")
	}
	denied(t, d.Authorize(context.Background(), s, loginWith(laptop, "ann", "Blue-Kite-7")), "Too many")
	if err := d.Authorize(context.Background(), s, loginWith(profiles["phone"], "", "")); err != nil {
		t.Error("another profile pays for it: ", err)
	}
	now = now.Add(wrongPasswordWindow + time.Second)
	if err := d.Authorize(context.Background(), s, loginWith(laptop, "ann", "Blue-Kite-7")); err != nil {
		t.Error("after a while: ", err)
	}
}

// TestVPNAuthorizerNewPasswordEndsTheLock changes the password of a client that is
// locked out because its program sent the old one too often.
func TestVPNAuthorizerNewPasswordEndsTheLock(t *testing.T) {
	d, store, profiles := newTestAuthorizer(t, t.TempDir())
	laptop, s := profiles["laptop"], connexa.Service{NodeID: 1}
	for range maxWrongPasswords + 1 {
		_ = d.Authorize(t.Context(), s, loginWith(laptop, "ann", "Green-Owl-9"))
	}
	denied(t, d.Authorize(t.Context(), s, loginWith(laptop, "ann", "Green-Owl-9")), "Too many")
	if err := store.SetClientPassword(t.Context(), laptop.ClientID, "Green-Owl-9"); err != nil {
		t.Fatal(err)
	}
	if err := d.clients().Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.Authorize(t.Context(), s, loginWith(laptop, "ann", "Green-Owl-9")); err != nil {
		t.Error("with the new password: ", err)
	}
	for range maxWrongPasswords { // the new password is limited as well
		denied(t, d.Authorize(t.Context(), s, loginWith(laptop, "ann", "Blue-Kite-7")), "Wrong username or password")
	}
	denied(t, d.Authorize(t.Context(), s, loginWith(laptop, "ann", "Green-Owl-9")), "Too many")
}

// TestVPNAuthorizerClientReconnects reconnects a client before its old connection has
// ended. The end of the old connection neither ends the new one nor counts traffic twice.
func TestVPNAuthorizerClientReconnects(t *testing.T) {
	d, _, profiles := newTestAuthorizer(t, t.TempDir())
	phone, s := profiles["phone"], connexa.Service{NodeID: 1}
	client := func(since time.Time, down uint64) openvpn.Client {
		return openvpn.Client{Name: phone.Name, Serial: phone.Serial, Since: since, Down: down}
	}
	first, second := time.Now(), time.Now().Add(time.Second)
	moved := func() uint64 { l, _ := d.clients().Live(phone.ClientID); return l.Down }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(d.Authorize(t.Context(), s, loginWith(phone, "", "")))
	must(d.Revalidate(s, client(first, 1000)))
	must(d.Revalidate(s, client(first, 1500)))
	must(d.Authorize(t.Context(), s, loginWith(phone, "", "")))
	d.OnDisconnect(s, client(first, 1600))
	must(d.Revalidate(s, client(second, 30)))
	if n := moved(); n != 1630 {
		t.Errorf("%d bytes were counted", n)
	}
	d.OnDisconnect(s, client(second, 40))
	if n := moved(); n != 1640 {
		t.Errorf("%d bytes were counted", n)
	}
	if err := d.Revalidate(s, client(second, 50)); err == nil {
		t.Error("one that has left may stay")
	}
	if err := d.Revalidate(connexa.Service{NodeID: 2}, client(first, 1)); err == nil {
		t.Error("one may stay where nobody let it in")
	}
}

// TestSecretsOfOpenVPNAreSealed searches the files of the database for keys.
func TestSecretsOfOpenVPNAreSealed(t *testing.T) {
	dir := t.TempDir()
	_, store, profiles := newTestAuthorizer(t, dir)
	_, key, err := store.Authority(t.Context(), func() (string, connexa.Secret, error) { return "", "", errors.New("there is one") })
	if err != nil {
		t.Fatal(err)
	}
	server := addTestVPN(t, store)
	const token = "6FHPKYS2VB6MGUWPT57ZVX4LRN"
	phone := profiles["phone"]
	if err := store.AddProfileLink(t.Context(), connexa.ProfileLink{ProfileID: phone.ID, NodeID: server.NodeID, ExpiresAt: time.Now().Add(time.Hour)}, token); err != nil {
		t.Fatal(err)
	}
	t.Run("a stored key is returned", func(t *testing.T) {
		if got, err := store.ProfileKey(t.Context(), phone.ID); err != nil || got.Key != phone.Key || got.Cert != phone.Cert {
			t.Errorf("got %+v, %v; want the key and the certificate of the profile", got.Profile, err)
		}
	})
	t.Run("no file holds a secret", func(t *testing.T) {
		if !strings.Contains(server.Key.Reveal(), "PRIVATE KEY") || !strings.Contains(server.TLSCrypt.Reveal(), "Static key") {
			t.Error("the keys lack the headers that this test searches for, want them")
		}
		secrets := []string{token, "PRIVATE KEY", "Static key"}
		for _, s := range []connexa.Secret{key, server.Key, server.TLSCrypt, phone.Key} {
			secrets = append(secrets, strings.Split(s.Reveal(), "\n")[1]) // a line of the key itself
		}
		checkFilesLack(t, dir, secrets)
	})
	t.Run("revoking deletes the key and the link", func(t *testing.T) {
		if err := store.RevokeProfile(t.Context(), phone.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := store.ProfileKey(t.Context(), phone.ID); connexa.CodeOf(err) != connexa.Conflict {
			t.Errorf("key: got %v, want %v", err, connexa.Conflict)
		}
		if _, err := store.ProfileLink(t.Context(), token); connexa.CodeOf(err) != connexa.NotFound {
			t.Errorf("link: got %v, want %v", err, connexa.NotFound)
		}
	})
}

// testVPN is the identity of an OpenVPN server and its node.
type testVPN struct {
	connexa.VPNIdentity
	NodeID int64
}

// addTestVPN adds a node and starts an OpenVPN server of it.
func addTestVPN(t *testing.T, store *db.DB) (vpn testVPN) {
	t.Helper()
	cert, key, err := store.Authority(t.Context(), func() (string, connexa.Secret, error) { return "", "", errors.New("there is one") })
	if err != nil {
		t.Fatal(err)
	}
	node, password, err := connexa.ParseNode(connexa.NodeInput{Address: "192.0.2.1", Login: "ops1", Password: "Green-Owl-9"})
	if err != nil {
		t.Fatal(err)
	}
	if vpn.NodeID, err = store.AddNode(t.Context(), node, password, ""); err != nil {
		t.Fatal(err)
	}
	issuer := gateway.Issuer{Now: time.Now}
	act, err := store.StartAct(t.Context(), connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkStartVPN}, IDs: []int64{vpn.NodeID}})
	if err == nil {
		_, err = store.AdvanceAct(t.Context(), act.ID, func(n int64) (v connexa.VPNIdentity, err error) {
			vpn.VPNIdentity, err = issuer.Server(cert, key, n)
			return vpn.VPNIdentity, err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return vpn
}

// checkFilesLack checks that no file in dir holds one of the words.
func checkFilesLack(t *testing.T, dir string, words []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got files %v, %v; want some", files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range words {
			if strings.Contains(string(text), w) {
				t.Errorf("%s holds %q, want no secret", filepath.Base(f), w)
			}
		}
	}
}

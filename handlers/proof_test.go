package handlers

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// A stored password may be sent only to its server and with its protection. Sending it
// elsewhere requires the password itself or that of the account.
func TestAStoredPasswordDoesNotGoElsewhereUnasked(t *testing.T) {
	before := []string{"address", "192.0.2.1", "port", "1723", "login", "ops1", "encryption", "required", "comment", "x"}
	with := func(pairs ...string) []string {
		form := slices.Clone(before)
		for i := 0; i < len(pairs); i += 2 {
			if at := slices.Index(form, pairs[i]); at >= 0 {
				form[at+1] = pairs[i+1]
			} else {
				form = append(form, pairs[i], pairs[i+1])
			}
		}
		return append(form, "revision", "1")
	}
	for _, c := range []struct {
		name   string
		form   []string
		asks   bool
		record string // in the audit table
	}{
		{"another address", with("address", "127.0.0.66"), true, "Address: 192.0.2.1 → 127.0.0.66"},
		{"a name", with("address", "vpn.example.net"), true, "Address: 192.0.2.1 → vpn.example.net"},
		{"another port", with("port", "1724"), true, "Port: 1723 → 1724"},
		{"PAP on", with("allow_pap", "1"), true, "Unencrypted password (PAP): off → on"},
		{"encryption off", with("encryption", "off"), true, "Encryption: Required → Off"},
		{"encryption preferred", with("encryption", "preferred"), true, "Encryption: Required → Preferred"},
		{"encryption of the panel, which is preferred", with("encryption", ""), true, "Encryption: Required → Panel default"},
		{"all at once", with("address", "127.0.0.66", "allow_pap", "1", "encryption", "off", "comment", "y"), true, "Comment: x → y; Encryption: Required → Off; Unencrypted password (PAP): off → on"},
		{"another login", with("login", "ops2"), false, "Login: ops1 → ops2"},
		{"a comment", with("comment", "y"), false, "Comment: x → y"},
		{"the address in other letters", with("address", " 192.0.2.1 "), false, ""},
		{"another address with its password", with("address", "127.0.0.66", "allow_pap", "1", "password", "Other-Kite"), false, "off → on; Password: changed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := startPanel(t)
			b := p.newBrowser().logIn()
			b.post("/nodes", append(slices.Clone(before), "password", "STORED-secret-42")...).leadsTo(t, "/nodes/1")
			if c.asks {
				asked := b.post("/nodes/1/edit", c.form...).hasStatus(t, http.StatusUnprocessableEntity)
				asked.contains(t, "the stored password would be sent to another server").contains(t, `name="own_password"`).lacks(t, "STORED-secret-42")
				if n, err := p.db.Node(t.Context(), 1); err != nil || n.Address != "192.0.2.1" || n.Port != 1723 || n.AllowPAP || n.Encryption != connexa.EncryptionRequired {
					t.Fatalf("without a proof it was changed: %+v, %v", n, err)
				}
				b.post("/nodes/1/edit", append(slices.Clone(c.form), "own_password", "wrong")...).hasStatus(t, http.StatusUnprocessableEntity).contains(t, `id="e-own_password"`)
				b.post("/nodes/1/edit", append(slices.Clone(c.form), "own_password", adminPassword)...).leadsTo(t, "/nodes/1")
			} else {
				b.post("/nodes/1/edit", c.form...).leadsTo(t, "/nodes/1")
			}
			b.get("/audit").contains(t, c.record).lacks(t, "STORED-secret-42").lacks(t, "Other-Kite")
		})
	}
}

// A recent authentication lasts 15 minutes, as elsewhere.
func TestAProofLasts(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1")
	b.post("/reauth", "password", adminPassword, "next", "/nodes").leadsTo(t, "/nodes")
	b.post("/nodes/1/edit", "revision", "1", "address", "192.0.2.2", "login", "ops1").leadsTo(t, "/nodes/1")
	p.clock.passTime(provedFor + time.Second)
	b.post("/nodes/1/edit", "revision", "2", "address", "192.0.2.3", "login", "ops1").hasStatus(t, http.StatusUnprocessableEntity)
}

// Nodes without a policy use that of the panel, so weaker encryption for all requires a
// proof, too.
func TestLessEncryptionForAllNeedsAProof(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	form := func(encryption string) []string {
		return []string{
			"concurrency", "12", "connect_rate", "50", "per_network", "8", "per_address", "1", "ping_attempts", "2", "history_raw_days", "30",
			"history_hour_days", "60", "history_day_days", "400", "encryption", encryption,
		}
	}
	b.post("/settings", form("required")...).leadsTo(t, "/settings")
	for _, less := range []string{"preferred", "off"} {
		b.post("/settings", form(less)...).hasStatus(t, http.StatusUnprocessableEntity).contains(t, "Weaker encryption exposes").contains(t, `name="own_password"`)
	}
	b.post("/settings", append(form("off"), "own_password", "wrong")...).hasStatus(t, http.StatusUnprocessableEntity).contains(t, `id="e-own_password"`)
	if s, err := p.db.Settings(t.Context()); err != nil || s.Encryption != connexa.EncryptionRequired {
		t.Errorf("got %+v, %v; want the encryption required", s, err)
	}
	b.post("/settings", append(form("off"), "own_password", adminPassword)...).leadsTo(t, "/settings")
	b.get("/audit").contains(t, "Encryption: Required → Off").contains(t, "Concurrent tests: 256 → 12")
}

// Forms keep a stored secret only for the place that it was entered for.
func TestSecretsOfPlacesStayThere(t *testing.T) {
	t.Run("channel", func(t *testing.T) {
		p, b := startTelling(t)
		b.post("/channels", "service", connexa.TransportWebhook, "name", "Hook", "lang", "en", "on", "1", "kinds", "offline", "webhook", "https://a.example.net/x", "bearer", "OLD-BEARER").leadsTo(t, "/channels")
		b.post("/channels/1/edit", "service", connexa.TransportWebhook, "name", "Hook", "lang", "en", "on", "1", "kinds", "offline", "webhook", "https://b.example.net/x").leadsTo(t, "/channels")
		if c, err := p.db.Channel(t.Context(), 1); err != nil || strings.Contains(c.Address.Reveal(), "OLD-BEARER") || !strings.Contains(c.Address.Reveal(), "b.example.net") {
			t.Errorf("got %s, %v; want the new address without the old token", c.Address.Reveal(), err)
		}
	})
	t.Run("endpoint", func(t *testing.T) {
		p, b := startMeasuring(t)
		b.post("/speed/endpoints", "endpoint_kind", "own", "endpoint_url", "http://192.0.2.8:8081", "endpoint_token", "blue-kite-7").leadsTo(t, "/settings#endpoints")
		tried := make(chan connexa.Endpoint, 3)
		p.parts.try = func(_ context.Context, e connexa.Endpoint) (connexa.Measurement, error) {
			tried <- e
			return connexa.Measurement{}, nil
		}
		p.rewire()
		for _, url := range []string{"http://192.0.2.9:8081", "http://192.0.2.8:8082", "https://192.0.2.8:8081"} {
			b.post("/speed/endpoints/test", "endpoint_kind", "own", "endpoint_url", url)
			if e := <-tried; e.Token != "" {
				t.Errorf("%s gets the token of another place", url)
			}
		}
	})
}

func TestWhatAServiceLetsThroughIsRecorded(t *testing.T) {
	_, b, _ := startServing(t, "192.0.2.1")
	b.post("/services/start", "id", "1")
	b.post("/nodes/1/service/reach", "private", "1").leadsTo(t, "/nodes/1")
	b.get("/audit").contains(t, "Private networks: off → on")
	b.post("/nodes/1/service/reach", "mail", "1").leadsTo(t, "/nodes/1")
	b.get("/audit").contains(t, "Private networks: on → off; TCP port 25 (mail): off → on")
	b.post("/settings/services", "service_listen", "0.0.0.0", "service_clients", "vpn.example.net", "service_first_port", "20000", "service_last_port", "29999",
		"vpn_listen", "", "vpn_first_port", "11000", "vpn_last_port", "19999").leadsTo(t, "/settings#services")
	b.get("/audit").contains(t, "Proxies: listen address: 127.0.0.1 → 0.0.0.0; Address for clients: none → vpn.example.net")
}

package handlers

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/access"
	"github.com/connexa-panel/connexa/internal/connexa"
)

// startClients starts a panel with services and clients.
func startClients(t *testing.T, addresses ...string) (*panel, *browser, *access.Directory) {
	t.Helper()
	p, b, _ := startServing(t, addresses...)
	return p, b, p.parts.usage
}

// loadDirectory loads the clients from the store.
func loadDirectory(t *testing.T, d *access.Directory) {
	t.Helper()
	if err := d.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
}

var office = netip.MustParseAddr("192.0.2.50")

// startAnn starts a panel with the client ann, who may use one node, and returns her
// password.
func startAnn(t *testing.T) (*panel, *browser, *access.Directory, connexa.Secret) {
	t.Helper()
	p, b, d := startClients(t, "192.0.2.1", "192.0.2.2")
	b.post("/clients", "name", "ann", "scope", "nodes", "node", "2", "quota", "2,5", "unit", "GB", "expires", "2030-01-31", "enabled", "1", "note", "the office").leadsTo(t, "/clients/1")
	password, err := p.db.ClientPassword(t.Context(), 1)
	if err != nil || len(password) < 20 {
		t.Fatalf("got a password of %d characters and error %v, want 20", len(password), err)
	}
	loadDirectory(t, d)
	return p, b, d, password
}

func TestClientForm(t *testing.T) {
	_, b, _ := startClients(t, "192.0.2.1", "192.0.2.2")
	b.get("/clients").hasStatus(t, http.StatusOK).contains(t, "No clients yet")
	b.get("/clients/new?node=2").hasStatus(t, http.StatusOK).contains(t, `value="nodes" checked`).contains(t, `name="node" value="2" checked`)

	// An error is shown at its field, with the typed values except the password.
	bad := b.asHTMX("form#client-form").post("/clients", "name", "ann b", "password", "Blue-Kite-7", "scope", "tags", "sources", "192.0.2.0/24 x", "quota", "-1", "unit", "GB", "expires", "soon").
		hasStatus(t, http.StatusUnprocessableEntity)
	for _, field := range []string{"name", "tags", "sources", "quota", "expires"} {
		bad.contains(t, `id="e-`+field+`"`)
	}
	bad.contains(t, `value="ann b"`).contains(t, `192.0.2.0/24 x`).lacks(t, "Blue-Kite-7").lacks(t, `id="e-password"`)
}

func TestClientPages(t *testing.T) {
	p, b, _, _ := startAnn(t)
	b.post("/clients", "name", "Ann", "scope", "all", "unit", "GB").hasStatus(t, http.StatusUnprocessableEntity).contains(t, "This name is taken")
	u, err := p.db.Client(t.Context(), 1)
	if err != nil || !slices.Equal(u.Nodes, []int64{2}) || u.Quota != 2.5e9 || !u.Enabled || !u.Expires.Equal(time.Date(2030, 2, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("got %+v, %v; want the client as in the form", u, err)
	}
	b.get("/clients").contains(t, "ann").contains(t, "the office").contains(t, "1 node").contains(t, "0 kB of 2.5 GB").contains(t, "until 31 Jan 2030").contains(t, "Active")
	b.get("/clients/1").hasStatus(t, http.StatusOK).contains(t, "192.0.2.2").contains(t, "None of this client’s services is running")
}

func TestClientUsageIsShownBeforeItIsWritten(t *testing.T) {
	_, b, d, password := startAnn(t)
	g, err := d.Login(2, "ann", password, office)
	if err != nil {
		t.Fatal(err)
	}
	g.Meter().Add(1e9, 1.5e9)
	b.get("/clients").contains(t, "2.5 GB of 2.5 GB").contains(t, "Traffic used up").contains(t, "192.0.2.50")
	b.get("/clients?state=active").contains(t, "No clients found")
	b.get("/clients?state=spent&q=OFF").contains(t, "the office")
	b.get("/clients?q=elsewhere").contains(t, "No clients found")
	b.asHTMX("a#x").post("/clients/1/reset").contains(t, "Reset the usage of ann?")
	b.post("/clients/1/reset", "yes", "1").leadsTo(t, "/clients/1")
	b.get("/clients/1").contains(t, "0 kB of 2.5 GB").contains(t, "Active")
	b.get("/audit").contains(t, "client ann: usage reset")
}

func TestClientIsEditedAndDeleted(t *testing.T) {
	p, b, d, password := startAnn(t)
	g, err := d.Login(2, "ann", password, office)
	if err != nil {
		t.Fatal(err)
	}
	// The second edit is of an old revision.
	b.get("/clients/1/edit").hasStatus(t, http.StatusOK).contains(t, `value="2.5"`).contains(t, `value="2030-01-31"`).contains(t, `name="node" value="2" checked`).lacks(t, password.Reveal())
	edit := []string{"revision", "1", "scope", "all", "unit", "GB", "expires", "2030-01-31", "name", "bob", "enabled", "1", "password", "Blue-Kite-7"}
	b.post("/clients/1/edit", edit...).leadsTo(t, "/clients/1")
	b.post("/clients/1/edit", edit...).hasStatus(t, http.StatusConflict).contains(t, "Someone else has changed this client")
	loadDirectory(t, d)
	if g.Revalidate() == nil {
		t.Error("who came in with the old password may stay")
	}
	if g, err = d.Login(1, "ann", "Blue-Kite-7", office); err != nil {
		t.Errorf("after the edit: %v", err)
	}

	b.asHTMX("button").post("/clients/1/disable").hasStatus(t, http.StatusOK).contains(t, "its connections were closed")
	loadDirectory(t, d)
	if err := g.Revalidate(); err == nil {
		t.Error("a disabled client may stay")
	}
	b.get("/clients/1").contains(t, "This client is disabled.")
	b.post("/clients/1/enable").leadsTo(t, "/clients/1")
	b.post("/clients/1/password").contains(t, "Generate a new password for ann?")
	b.post("/clients/1/password", "yes", "1").leadsTo(t, "/clients/1")
	if renewed, err := p.db.ClientPassword(t.Context(), 1); err != nil || renewed == "Blue-Kite-7" {
		t.Errorf("no new password: %v", err)
	}

	b.post("/clients/1/delete").contains(t, "Delete ann?")
	b.post("/clients/1/delete", "yes", "1").leadsTo(t, "/clients")
	b.get("/clients/1").hasStatus(t, http.StatusNotFound)
	for _, path := range []string{"/clients/1/delete", "/clients/1/enable", "/clients/1/reset", "/clients/1/password", "/clients/1/edit"} {
		b.post(path, "yes", "1", "revision", "1").hasStatus(t, http.StatusNotFound)
	}
	acts := strings.Fields(p.auditActs())
	slices.Reverse(acts)
	want := "admin:access_added admin:access_changed admin:access_changed admin:access_changed admin:access_changed admin:access_deleted"
	if got := strings.Join(acts[len(acts)-6:], " "); got != want {
		t.Errorf("got the acts %s, want %s", got, want)
	}
	b.get("/audit").contains(t, "client ann: disabled").contains(t, "client ann: new password")
}

func TestAnEditOfAClientIsRecorded(t *testing.T) {
	_, b, _ := startClients(t, "192.0.2.1", "192.0.2.2")
	b.post("/clients", "name", "ann", "scope", "nodes", "node", "2", "quota", "2,5", "unit", "GB", "enabled", "1").leadsTo(t, "/clients/1")
	b.post("/clients/1/edit", "revision", "1", "scope", "all", "quota", "1", "unit", "TB", "period", "month", "expires", "2030-01-31",
		"sources", "192.0.2.0/24", "password", "Blue-Kite-7").leadsTo(t, "/clients/1")
	b.get("/audit").contains(t, "client ann: Enabled: on → off; Access to: 1 node: 2 → All services; Traffic limit: 2.5 GB → 1 TB; "+
		"Reset usage: manually → on the 1st of each month; Expires: no end date → 2030-01-31; Allowed IP addresses: any address → 192.0.2.0/24; Password: changed").
		lacks(t, "Blue-Kite-7")
}

// TestClientCredentials checks that the credentials page lists the services that a client may
// use, with the address for clients, after a recent authentication.
func TestClientCredentials(t *testing.T) {
	p, b, d := startClients(t, "192.0.2.1", "192.0.2.2", "192.0.2.3")
	b.post("/services/start", "ids", "1,2", "count", "2", "yes", "1")
	b.post("/settings/services", "service_listen", "0.0.0.0", "service_first_port", "20000", "service_last_port", "29999", "vpn_first_port", "11000", "vpn_last_port", "19999", "service_clients", "exits.example.com").leadsTo(t, "/settings#services")
	b.post("/clients", "name", "ann", "scope", "nodes", "node", "2", "node", "3", "password", "Blue&Kite:7", "unit", "GB", "enabled", "1").leadsTo(t, "/clients/1")
	loadDirectory(t, d)
	b.get("/clients/1").contains(t, "192.0.2.2").lacks(t, "Blue")
	b.get("/clients/1/credentials").leadsTo(t, "/reauth?next=%2Fclients%2F1%2Fcredentials")
	if strings.Contains(p.auditActs(), "admin:reveal") {
		t.Error("a reveal that was none is in the audit table")
	}
	b.confirmPassword()
	b.get("/clients/1/credentials").hasStatus(t, http.StatusOK).contains(t, "socks5://ann:Blue&amp;Kite%3A7@exits.example.com:20001").
		contains(t, "exits.example.com:20001:ann:Blue&amp;Kite:7").contains(t, "curl --proxy socks5h://ann:").lacks(t, ":20000").lacks(t, "Works only on this machine")
	if n := strings.Count(p.auditActs(), "admin:reveal"); n != 1 {
		t.Errorf("%d reveals are in the audit table", n)
	}
}

func TestClientPageStream(t *testing.T) {
	p, b, d := startClients(t)
	for _, name := range []string{"zoe", "ann"} { // the order of the names is not that of the ids
		b.post("/clients", "name", name, "scope", "all", "unit", "GB", "enabled", "1", "password", "Blue-Kite-7")
	}
	loadDirectory(t, d)
	v, err := p.h.clientsView(t.Context(), clientList{page: 1})
	if err != nil {
		t.Fatal(err)
	}
	f, err := p.h.clientsPageStream(mustParse(t, v.Stream).Query())
	if err != nil {
		t.Fatal(err)
	}
	draw := func() string {
		t.Helper()
		parts, err := f.panel(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, part := range parts {
			if err := part.Render(t.Context(), &text); err != nil {
				t.Fatal(err)
			}
		}
		return text.String()
	}
	for topic, want := range map[connexa.Topic]bool{connexa.ClientChanged: true, connexa.ClientTraffic: true, connexa.NodeChanged: false} {
		if f.wantsEvent(connexa.Event{Topic: topic, ID: 1}) != want {
			t.Errorf("%s: taken %v", topic, !want)
		}
	}
	if got := draw(); !strings.Contains(got, `hx-target="#client-1"`) || !strings.Contains(got, `hx-target="#client-2"`) || strings.Contains(got, `hx-trigger="load"`) {
		t.Errorf("at first:\n%s", got)
	}
	if got := draw(); strings.Contains(got, `hx-target="#client-1"`) {
		t.Errorf("nothing changed, and a row is drawn:\n%s", got)
	}
	g, err := d.Login(1, "ann", "Blue-Kite-7", office)
	if err != nil {
		t.Fatal(err)
	}
	g.Meter().Add(5e6, 0)
	if got := draw(); !strings.Contains(got, `hx-target="#client-2"`) || !strings.Contains(got, "5 MB") || strings.Contains(got, `hx-target="#client-1"`) {
		t.Errorf("ann moved something:\n%s", got)
	}
	b.post("/clients", "name", "bob", "scope", "all", "unit", "GB")
	if got := draw(); !strings.Contains(got, `hx-get="/clients" hx-trigger="load"`) {
		t.Errorf("a user was added and the list stays:\n%s", got)
	}
}

// startRacks starts a panel with three services whose nodes have comments and tags.
func startRacks(t *testing.T) (*panel, *browser) {
	t.Helper()
	p, b, _ := startServing(t, "192.0.2.9", "192.0.2.1", "192.0.2.2")
	for id, details := range map[string][2]string{"1": {"rack four", "eu, fast"}, "2": {"rack five", "eu"}} {
		n, err := p.db.Node(t.Context(), int64(id[0]-'0'))
		if err != nil {
			t.Fatal(err)
		}
		b.post("/nodes/"+id+"/edit", "revision", "1", "address", n.Address, "login", n.Login, "comment", details[0], "tags", details[1]).leadsTo(t, "/nodes/"+id)
	}
	b.post("/services/start", "ids", "1,2,3", "count", "3", "yes", "1")
	return p, b
}

// TestServicesAreFiltered checks that the page and the export list the same services.
func TestServicesAreFiltered(t *testing.T) {
	_, b := startRacks(t)
	b.confirmPassword()
	for query, want := range map[string][]string{
		"":                    {"192.0.2.1", "192.0.2.2", "192.0.2.9"},
		"?q=RACK":             {"192.0.2.1", "192.0.2.9"},
		"?q=192.0.2.9":        {"192.0.2.9"},
		"?tag=fast":           {"192.0.2.9"},
		"?tag=fast&tag=eu":    {"192.0.2.1", "192.0.2.9"},
		"?tag=eu&q=five":      {"192.0.2.1"},
		"?state=online":       nil,
		"?state=starting&q=2": {"192.0.2.1", "192.0.2.2", "192.0.2.9"},
	} {
		page := b.get("/services"+query).hasStatus(t, http.StatusOK)
		export := ""
		if want != nil {
			export = b.get("/services/export?format=csv&"+strings.TrimPrefix(query, "?")).hasStatus(t, http.StatusOK).body
		}
		for _, a := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.9"} {
			in := slices.Contains(want, a)
			if got := strings.Contains(page.body, `title="`+a+`"`); got != in {
				t.Errorf("%s: %s on the page: %v", query, a, got)
			}
			if want != nil && strings.Contains(export, ","+a+":1723,") != in {
				t.Errorf("%s: %s in the export: %v", query, a, !in)
			}
		}
	}
	b.get("/services?tag=fast").contains(t, `name="tag" value="fast" checked`).contains(t, `href="/services?state=starting&amp;tag=fast"`)
	b.get("/services?state=nonsense").hasStatus(t, http.StatusUnprocessableEntity)
	part := b.asHTMX("div#services").get("/services?q=rack").hasStatus(t, http.StatusOK)
	part.lacks(t, "<html").contains(t, "q=rack")
}

// TestServicesStreamStartsWithTheDrawnList checks that an unchanged list is not requested
// again, although its order is not that of the ids.
func TestServicesStreamStartsWithTheDrawnList(t *testing.T) {
	p, _ := startRacks(t)
	l := serviceList{connexa.ServiceFilter{Tags: []string{"eu"}}, 1}
	v, err := p.h.servicesView(t.Context(), l)
	if err != nil || len(v.IDs) != 2 || v.IDs[0] != 2 {
		t.Fatalf("got %v, %v; want two services, the second one of node 2", v.IDs, err)
	}
	f, err := p.h.servicesPageStream(mustParse(t, v.Stream).Query())
	if err != nil {
		t.Fatal(err)
	}
	parts, err := f.panel(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		var text strings.Builder
		if err := part.Render(t.Context(), &text); err != nil || strings.Contains(text.String(), `hx-trigger="load"`) {
			t.Errorf("the list is asked for again though nothing changed: %v\n%s", err, text.String())
		}
	}
}

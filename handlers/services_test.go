package handlers

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// fakeServices records calls to the service manager.
type fakeServices struct {
	mu      sync.Mutex
	stopped []int64
	retried []int64
}

func (g *fakeServices) Wake() {}

func (g *fakeServices) Retry(node int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.retried = append(g.retried, node)
}

func (g *fakeServices) Stop(_ context.Context, node int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = append(g.stopped, node)
	return nil
}

// startServing starts a panel that can have services, with nodes in it.
func startServing(t *testing.T, addresses ...string) (*panel, *browser, *fakeServices) {
	t.Helper()
	p := startPanel(t)
	g := &fakeServices{}
	p.parts.services = g
	p.rewire()
	b := p.newBrowser().logIn()
	b.addNodes(addresses...)
	return p, b, g
}

// reportService stores a report of the manager.
func (p *panel) reportService(g connexa.ServiceReport) {
	p.t.Helper()
	if g.Since.IsZero() {
		g.Since = p.clock.now()
	}
	if err := p.db.SaveServiceReport(p.t.Context(), g); err != nil {
		p.t.Fatal(err)
	}
}

// confirmPassword enters the password again.
func (b *browser) confirmPassword() {
	b.p.t.Helper()
	b.post("/reauth", "password", adminPassword, "next", "/services").leadsTo(b.p.t, "/services")
}

func TestServicesAskBeforeTheyAreSwitched(t *testing.T) {
	p, b, _ := startServing(t, "192.0.2.1", "192.0.2.2", "192.0.2.3")
	b.get("/services").hasStatus(t, http.StatusOK).contains(t, "No services running")
	b.get("/nodes").contains(t, "Start the services of 3 nodes").contains(t, `class="serve w-160 off"`)

	ask := b.asHTMX("div#dialog").post("/services/start", "id", "1", "id", "2").hasStatus(t, http.StatusOK)
	ask.contains(t, "Start 2 services?").contains(t, `name="count" value="2"`).contains(t, `name="ids" value="1,2"`).contains(t, "2 of them have had no working login")
	if services, err := p.db.ServiceCounts(t.Context()); err != nil || len(services) != 0 {
		t.Fatalf("a question has started %v, %v", services, err)
	}
	b.post("/services/start", "ids", "1,2", "count", "2", "yes", "1", "back", "/nodes?q=192").leadsTo(t, "/nodes?q=192")
	b.get("/nodes").contains(t, "2 services started.").contains(t, "Starting").contains(t, "Services</span> <span class=\"count\">2")

	// All matching nodes, two of which run, and an outdated count.
	b.post("/services/start", "all", "1").hasStatus(t, http.StatusOK).contains(t, "Start 1 service?").contains(t, "2 of the 3 nodes").contains(t, `name="count" value="3"`)
	b.addNodes("192.0.2.4")
	b.post("/services/start", "all", "1", "count", "3", "yes", "1").hasStatus(t, http.StatusConflict).contains(t, "Start 2 services?").contains(t, "4 now, 3 when you confirmed")
	b.post("/services/start", "all", "1", "count", "4", "yes", "1").leadsTo(t, "/services")
	b.post("/services/start", "all", "1").hasStatus(t, http.StatusConflict).contains(t, "already started")

	// One row needs no question.
	b.asHTMX("button").post("/services/stop", "id", "1", "count", "1", "yes", "1").hasStatus(t, http.StatusOK).contains(t, "1 service stopped.")
	b.post("/services/stop", "id", "1").hasStatus(t, http.StatusConflict).contains(t, "already stopped")
	b.post("/services/stop", "all", "1").contains(t, "Stop 3 services?")
	b.post("/services/stop").hasStatus(t, http.StatusUnprocessableEntity)
	b.post("/services/stop", "id", "99").hasStatus(t, http.StatusNotFound)
	for _, path := range []string{"/services/start", "/services/stop"} {
		b.post(path, "all", "1", "q", "nothing").hasStatus(t, http.StatusNotFound).contains(t, "These nodes no longer exist").lacks(t, "deleted")
	}

	want := "admin:service_stopped admin:service_started admin:service_started admin:node_added admin:service_started"
	if got := p.auditActs(); !strings.HasPrefix(got, want) {
		t.Errorf("audit: %s\nwant %s…", got, want)
	}
	if n, err := p.db.Node(t.Context(), 1); err != nil || n.Status != connexa.NotTested {
		t.Errorf("a service has moved the status of its node to %s, %v", n.Status, err)
	}
}

func TestServicesPage(t *testing.T) {
	p, b, g := startServing(t, "192.0.2.10", "192.0.2.9", "192.0.2.11")
	b.post("/services/start", "all", "1", "count", "3", "yes", "1")
	p.reportService(connexa.ServiceReport{NodeID: 1, State: connexa.ServiceOnline, UpAt: p.clock.now().Add(-2 * time.Hour), ExitIP: "203.0.113.7", Latency: 42 * time.Millisecond})
	p.reportService(connexa.ServiceReport{NodeID: 2, State: connexa.ServiceFailed, Reason: connexa.T("service.reason.refused"), Cause: "auth.691", RetryAt: p.clock.now().Add(time.Hour)})
	if err := p.db.SampleServices(t.Context(), p.clock.now(), []connexa.Traffic{{NodeID: 1, Up: 5e6, Down: 250e6, Open: 7}}); err != nil {
		t.Fatal(err)
	}

	page := b.get("/services").hasStatus(t, http.StatusOK)
	if got := fmt.Sprint(page.drawnRows()); got != "[2 1 3]" { // 192.0.2.9 before 192.0.2.10
		t.Errorf("rows %s", got)
	}
	page.body = strings.NewReplacer("\u00a0", " ", "\u202f", " ").Replace(page.body)
	for _, want := range []string{"Online", "203.0.113.7", "42 ms", "↓ 250 MB", "↑ 5 MB", "200 Mbit/s", "127.0.0.1:20000", "2 h ago", "The server refused the login.", "Starting"} {
		page.contains(t, want)
	}
	if got := b.get("/services?state=failed").hasStatus(t, http.StatusOK).drawnRows(); !slices.Equal(got, []string{"2"}) {
		t.Errorf("failed: %v", got)
	}
	b.get("/services?state=reconnecting").contains(t, "No services found")
	if got := b.get("/services?q=20001").hasStatus(t, http.StatusOK).drawnRows(); len(got) != 1 { // the port of a proxy
		t.Errorf("port 20001: %v", got)
	}
	b.get("/services?page=99").hasStatus(t, http.StatusOK).contains(t, "3 services")

	b.get("/nodes").contains(t, "Online · 20000").contains(t, "Failed")
	node := b.get("/nodes/2").hasStatus(t, http.StatusOK)
	node.contains(t, "Service: failed").contains(t, "The server refused the login. Wrong login or password").contains(t, "Retry now").contains(t, "Service started")
	b.get("/nodes/1").contains(t, "203.0.113.7").contains(t, "Service traffic")

	b.post("/nodes/2/service/retry").leadsTo(t, "/nodes/2")
	b.post("/nodes/99/service/retry").hasStatus(t, http.StatusNotFound)
	if !slices.Equal(g.retried, []int64{2}) {
		t.Errorf("retried %v", g.retried)
	}
	// Only the services of the selection that are down retry, without a question.
	b.asHTMX("button").post("/services/retry", "id", "1", "id", "2", "id", "3").hasStatus(t, http.StatusOK).contains(t, "1 service is retrying.")
	if !slices.Equal(g.retried, []int64{2, 2}) {
		t.Errorf("retried %v", g.retried)
	}
	b.post("/services/retry", "id", "1").hasStatus(t, http.StatusConflict).contains(t, "None of these services is down")
	b.post("/services/retry").hasStatus(t, http.StatusUnprocessableEntity)
	b.get("/services?state=failed").hasStatus(t, http.StatusOK).contains(t, `hx-post="/services/retry"`).contains(t, `/nodes/2/service/retry`)
	if whole := b.get("/services").hasStatus(t, http.StatusOK); strings.Contains(whole.body, "/nodes/1/service/retry") {
		t.Error("a service that is online can be retried")
	}
	b.post("/nodes/2/service/reach", "private", "1").leadsTo(t, "/nodes/2")
	if rows, err := p.db.ServiceRows(t.Context(), []int64{2}); err != nil || !rows[2].Private || rows[2].Mail {
		t.Errorf("reach %+v, %v", rows[2], err)
	}
	if got := p.auditActs(); !strings.HasPrefix(got, "admin:service_changed admin:service_retried admin:service_retried") {
		t.Errorf("audit: %s", got)
	}
}

func TestTrafficOfAService(t *testing.T) {
	p, b, _ := startServing(t, "192.0.2.10")
	if list := b.get("/nodes/1").hasStatus(t, http.StatusOK).chartsOf(t); len(list) != 0 {
		t.Errorf("charts of a node of which nothing is known: %v", list)
	}
	b.post("/services/start", "id", "1", "count", "1", "yes", "1")
	at := p.clock.now().Add(-12 * time.Minute)
	for i, moved := range []connexa.Traffic{{NodeID: 1, Up: 75e5, Down: 75e6}, {NodeID: 1, Down: 75e6}} {
		if err := p.db.SampleServices(t.Context(), at.Add(time.Duration(i)*10*time.Second), []connexa.Traffic{moved}); err != nil {
			t.Fatal(err)
		}
	}
	for period, want := range map[string]struct {
		step  int64
		count int
	}{"day": {300, 289}, "week": {3600, 169}, "month": {3600, 721}, "quarter": {86400, 91}} {
		d, ok := b.get("/nodes/1?period="+period).hasStatus(t, http.StatusOK).contains(t, "Latency, speed and traffic").chartsOf(t)["chart-traffic"]
		if !ok || d.Step != want.step || len(d.At) < want.count-1 || len(d.At) > want.count || len(d.Lines) != 2 {
			t.Fatalf("%s: %v, %+v", period, ok, d)
		}
		sum := 0.0
		for _, v := range d.Lines[0].Values {
			sum += *v
		}
		all := 150e6 * 8 / 1e6 / float64(want.step)
		if all < 1 { // the chart uses kbit/s
			all *= 1000
		}
		if math.Abs(sum-all) > 0.02 {
			t.Errorf("%s: %v in all, want %v", period, sum, all)
		}
	}
}

func TestServiceCredentialsNeedThePasswordAgain(t *testing.T) {
	p, b, _ := startServing(t, "192.0.2.1", "192.0.2.2")
	b.post("/services/start", "id", "1", "count", "1", "yes", "1")
	b.get("/nodes/1/service/credentials").leadsTo(t, "/reauth?next="+url.QueryEscape("/nodes/1/service/credentials"))
	b.get("/services/export?format=csv").leadsTo(t, "/reauth?next="+url.QueryEscape("/services/export?format=csv"))
	b.asHTMX("div#dialog").get("/nodes/1/service/credentials").hasStatus(t, http.StatusForbidden)
	b.confirmPassword()
	secret, err := p.db.ServiceSecret(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	login := "exit-1:" + secret.Reveal()
	dialog := b.asHTMX("div#dialog").get("/nodes/1/service/credentials").hasStatus(t, http.StatusOK).lacks(t, "<html")
	for _, want := range []string{
		"socks5://" + login + "@127.0.0.1:20000", "http://" + login + "@127.0.0.1:20000", "127.0.0.1:20000:" + login,
		"curl --proxy socks5h://" + login + "@127.0.0.1:20000 https://", "Works only on this machine", "The service is offline",
	} {
		dialog.contains(t, want)
	}
	b.get("/nodes/1/service/credentials").hasStatus(t, http.StatusOK).contains(t, "<html").contains(t, login)
	b.get("/nodes/2/service/credentials").hasStatus(t, http.StatusNotFound)
	if strings.Contains(b.get("/services").body+b.get("/nodes/1").body+p.log.String(), secret.Reveal()) {
		t.Error("the password is on a page that nobody asked for it, or in the log")
	}
	if got := p.auditActs(); strings.Count(got, "admin:reveal") != 2 || strings.Contains(got, "admin:export") {
		t.Errorf("audit: %s", got)
	}

	// The address for other hosts.
	b.post("/settings/services", "service_listen", "0.0.0.0", "service_first_port", "20000", "service_last_port", "29999", "vpn_first_port", "11000", "vpn_last_port", "19999", "service_clients", "proxy.example.net")
	b.get("/nodes/1/service/credentials").contains(t, login+"@proxy.example.net:20000").lacks(t, "Works only on this machine")
	b.post("/settings/services", "service_listen", "0.0.0.0", "service_first_port", "20000", "service_last_port", "29999", "vpn_first_port", "11000", "vpn_last_port", "19999", "service_clients", "")
	b.get("/nodes/1/service/credentials").contains(t, login+"@127.0.0.1:20000") // as the browser reached the panel
}

func TestExportOfServices(t *testing.T) {
	p, b, _ := startServing(t, "192.0.2.1", "192.0.2.2", "192.0.2.3")
	b.confirmPassword()
	b.get("/services/export?format=csv").hasStatus(t, http.StatusNotFound)
	b.post("/services/start", "id", "1", "id", "2", "count", "2", "yes", "1")
	p.reportService(connexa.ServiceReport{NodeID: 2, State: connexa.ServiceOnline, ExitIP: "203.0.113.9"})
	b.get("/services/export?format=nonsense").hasStatus(t, http.StatusNotFound)
	secret := func(node int64) string {
		s, err := p.db.ServiceSecret(t.Context(), node)
		if err != nil {
			t.Fatal(err)
		}
		return s.Reveal()
	}
	one, two := "exit-1:"+secret(1), "exit-2:"+secret(2)
	for format, want := range map[string]string{
		"socks5":   "socks5://" + one + "@127.0.0.1:20000\nsocks5://" + two + "@127.0.0.1:20001\n",
		"http":     "http://" + one + "@127.0.0.1:20000\nhttp://" + two + "@127.0.0.1:20001\n",
		"hostport": "127.0.0.1:20000:" + one + "\n127.0.0.1:20001:" + two + "\n",
		"userpass": one + "@127.0.0.1:20000\n" + two + "@127.0.0.1:20001\n",
	} {
		if got := b.get("/services/export?format="+format).hasStatus(t, http.StatusOK).body; got != want {
			t.Errorf("%s:\n%swant\n%s", format, got, want)
		}
	}
	if got := b.get("/services/export?format=socks5&state=online").body; got != "socks5://"+two+"@127.0.0.1:20001\n" {
		t.Errorf("online: %s", got)
	}
	rows, err := csv.NewReader(strings.NewReader(b.get("/services/export?format=csv").body)).ReadAll()
	if err != nil || len(rows) != 3 || rows[2][1] != "20001" || rows[2][3] != secret(2) || rows[2][5] != "203.0.113.9" {
		t.Errorf("csv %q, %v", rows, err)
	}
	clash := b.get("/services/export?format=clash").body
	if !strings.HasPrefix(clash, "proxies:\n  - {\"name\":\"US 192.0.2.1:1723 ops1\",\"type\":\"socks5\",\"server\":\"127.0.0.1\",\"port\":20000,") {
		t.Errorf("clash:\n%s", clash)
	}
	var box struct {
		Outbounds []struct {
			Type, Tag, Server, Username, Password string
			Port                                  int `json:"server_port"`
		}
	}
	if err := json.Unmarshal([]byte(b.get("/services/export?format=singbox").body), &box); err != nil || len(box.Outbounds) != 2 ||
		box.Outbounds[1].Type != "socks" || box.Outbounds[1].Port != 20001 || box.Outbounds[1].Password != secret(2) || box.Outbounds[0].Tag == box.Outbounds[1].Tag {
		t.Errorf("sing-box %+v, %v", box, err)
	}
	if got := strings.Count(p.auditActs(), "admin:export"); got != 8 {
		t.Errorf("%d exports in the audit table, want 8", got)
	}
}

func TestServiceSettings(t *testing.T) {
	p, b, _ := startServing(t)
	b.get("/settings").hasStatus(t, http.StatusOK).contains(t, `name="service_listen"`).lacks(t, "Other machines can reach the proxies")
	b.post("/settings/services", "service_listen", "localhost", "service_first_port", "80", "service_last_port", "x", "service_clients", "a b").
		hasStatus(t, http.StatusUnprocessableEntity).contains(t, `value="localhost"`).contains(t, "Enter an IP address of this machine").contains(t, `id="e-service_clients"`)
	b.post("/settings/services", "service_listen", "0.0.0.0", "service_first_port", "30000", "service_last_port", "30001", "vpn_first_port", "11000", "vpn_last_port", "19999", "service_clients", "").
		leadsTo(t, "/settings#services")
	b.get("/settings").contains(t, "Other machines can reach the proxies").contains(t, `value="30001"`)
	s, err := p.db.Settings(t.Context())
	if want := (connexa.ServiceSettings{Listen: "0.0.0.0", FirstPort: 30000, LastPort: 30001, VPNFirstPort: 11000, VPNLastPort: 19999}); err != nil || s.Service != want {
		t.Errorf("settings %+v, %v", s.Service, err)
	}

	// There is no port left for the third.
	b.addNodes("192.0.2.1", "192.0.2.2", "192.0.2.3")
	b.post("/services/start", "all", "1").hasStatus(t, http.StatusOK).contains(t, "Start 2 services?").contains(t, "1 more node gets no service, because all ports")
	b.post("/services/start", "all", "1", "count", "3", "yes", "1").leadsTo(t, "/services")
	b.get("/services").contains(t, "2 services started. 1 node was skipped, because all ports for services are taken.")
	b.post("/services/start", "id", "3").hasStatus(t, http.StatusConflict).contains(t, "All ports for services are taken")
}

func TestDeletingANodeStopsItsServiceFirst(t *testing.T) {
	p, b, g := startServing(t, "192.0.2.1", "192.0.2.2")
	b.post("/services/start", "id", "1", "count", "1", "yes", "1")
	b.post("/nodes/delete", "id", "1", "id", "2", "count", "2", "yes", "1").leadsTo(t, "/nodes")
	if !slices.Equal(g.stopped, []int64{1}) {
		t.Errorf("stopped %v", g.stopped)
	}
	if services, err := p.db.ServiceCounts(t.Context()); err != nil || len(services) != 0 {
		t.Errorf("left over: %v, %v", services, err)
	}
}

func TestServicesPageStream(t *testing.T) {
	p, b, _ := startServing(t, "192.0.2.1", "192.0.2.2")
	b.post("/services/start", "id", "1", "count", "1", "yes", "1")
	v, err := p.h.servicesView(t.Context(), serviceList{page: 1})
	if err != nil {
		t.Fatal(err)
	}
	f, err := p.h.servicesPageStream(mustParse(t, v.Stream).Query())
	if err != nil {
		t.Fatal(err)
	}
	draw := func(panel bool) string {
		t.Helper()
		parts, err := f.row(t.Context(), []int64{1})
		if panel {
			parts, err = f.panel(t.Context())
		}
		var text strings.Builder
		for _, part := range parts {
			if err := part.Render(t.Context(), &text); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	if !f.wantsEvent(connexa.Event{Topic: connexa.ServiceChanged, ID: 1}) || f.wantsEvent(connexa.Event{Topic: connexa.ImportChanged}) {
		t.Error("the page stream wants events of other pages")
	}
	if got := draw(false); !strings.Contains(got, `hx-target="#node-1"`) || !strings.Contains(got, "Starting") {
		t.Errorf("the row:\n%s", got)
	}
	if got := draw(true); !strings.Contains(got, `hx-target="#service-states"`) || strings.Contains(got, `hx-trigger="load"`) {
		t.Errorf("the counts:\n%s", got)
	}
	// A rate disappears after its traffic has stopped, without an event.
	if err := p.db.SampleServices(t.Context(), p.clock.now(), []connexa.Traffic{{NodeID: 1, Down: 1e6, Open: 1}}); err != nil {
		t.Fatal(err)
	}
	if draw(true); !f.needsRefresh() {
		t.Error("the page stream does not refresh a rate")
	}
	p.clock.passTime(time.Minute)
	if got := draw(true); !strings.Contains(got, `hx-target="#node-1"`) || f.needsRefresh() {
		t.Errorf("a rate that has ended stays:\n%s", got)
	}
	// The list has another service: the page requests it again.
	b.post("/services/start", "id", "2", "count", "1", "yes", "1")
	if got := draw(true); !strings.Contains(got, `hx-get="/services" hx-trigger="load"`) {
		t.Errorf("a service that was started is not on the page:\n%s", got)
	}
}

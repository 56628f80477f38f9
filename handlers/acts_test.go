package handlers

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

func TestActAsksForValuesThenShowsThem(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1", "192.0.2.2", "198.51.100.1")
	b.get("/nodes").contains(t, `value="add_tags"`).contains(t, `href="/bin"`)
	selection := []string{"all", "1", "q", "192.0.2", "back", "/nodes?q=192.0.2"}
	with := func(more ...string) []string { return append(slices.Clone(selection), more...) }

	b.asHTMX("div#dialog").post("/acts", with("act", "add_tags")...).hasStatus(t, http.StatusOK).contains(t, "<dialog").contains(t, `name="act_tags"`).contains(t, "2 nodes are selected")
	b.post("/acts", with("act", "add_tags", "act_tags", " , ")...).hasStatus(t, http.StatusUnprocessableEntity).contains(t, "Enter at least one tag")
	asked := b.post("/acts", with("act", "add_tags", "act_tags", "berlin")...).hasStatus(t, http.StatusOK)
	asked.contains(t, "Before and after").contains(t, "<ins>berlin</ins>").contains(t, `name="count" value="2"`).contains(t, "Change 2 nodes")

	b.addNodes("192.0.2.3")
	b.post("/acts", with("act", "add_tags", "act_tags", "berlin", "count", "2", "yes", "1")...).hasStatus(t, http.StatusConflict).contains(t, "3 now, 2 when you confirmed")
	b.post("/acts", with("act", "add_tags", "act_tags", "berlin", "count", "3", "yes", "1")...).leadsTo(t, "/nodes?q=192.0.2")
	b.get("/nodes").contains(t, "3 nodes changed: tags added: berlin").contains(t, `action="/acts/1/undo"`)
	if n, err := p.app.Nodes.CountNodes(t.Context(), connexa.Selection{All: true, Filter: connexa.FilterBy("tag", "berlin")}); err != nil || n != 3 {
		t.Errorf("%d nodes with the tag, %v; want 3", n, err)
	}
	b.get("/audit").contains(t, "3 nodes (192.0.2): tags added: berlin").contains(t, `action="/acts/1/undo"`)
	b.post("/acts/1/undo", "back", "/audit").leadsTo(t, "/audit")
	b.get("/audit").contains(t, "Undone: 3 nodes restored").contains(t, "change undone").lacks(t, `action="/acts/1/undo"`)
	if n, err := p.db.Node(t.Context(), 1); err != nil || len(n.Tags) != 0 {
		t.Errorf("after the undo: %v, %v", n.Tags, err)
	}
	b.post("/acts/1/undo").hasStatus(t, http.StatusConflict)
	b.post("/acts/9/undo").hasStatus(t, http.StatusNotFound)
	b.post("/acts", with("act", "set", "act_field", "country", "act_value", "Germany")...).hasStatus(t, http.StatusUnprocessableEntity).contains(t, "“Germany” is not a country code")
	b.post("/acts", with("act", "explode")...).hasStatus(t, http.StatusUnprocessableEntity)
	b.post("/acts", with("act", "purge")...).hasStatus(t, http.StatusUnprocessableEntity)
	b.post("/acts", "act", "reset").hasStatus(t, http.StatusUnprocessableEntity).contains(t, "Select at least one node")
}

func TestEachActOfTheMenu(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1", "192.0.2.2")
	for i, tt := range []struct {
		act    string
		values []string
		asks   string // in the first question
		shows  string // in the last one
		said   string
	}{
		{"set", []string{"act_field", "city", "act_value", "Rome"}, `name="act_value"`, "<ins>Rome</ins>", "2 nodes changed: City = Rome"},
		{"set", []string{"act_field", "city", "act_value", ""}, `name="act_value"`, "<ins>none</ins>", "2 nodes changed: City cleared"},
		{"remove_tags", []string{"act_tags", "old"}, `name="act_tags"`, "no change", "Nothing to change"},
		{"login", []string{"act_login", "new"}, `name="act_login"`, "<ins>new</ins>", "2 nodes changed: login new"},
		{"password", []string{"act_password", "Grey-Kite"}, `name="act_password"`, "", "2 nodes changed: new password"},
		{"encryption", []string{"act_encryption", "required"}, `name="act_encryption"`, "<ins>Required</ins>", "2 nodes changed: encryption: Required"},
	} {
		b.post("/acts", "ids", "1,2", "act", tt.act).hasStatus(t, http.StatusOK).contains(t, tt.asks)
		if tt.shows != "" {
			b.post("/acts", append([]string{"ids", "1,2", "act", tt.act}, tt.values...)...).hasStatus(t, http.StatusOK).contains(t, tt.shows).lacks(t, "Grey-Kite")
		}
		b.post("/acts", append([]string{"ids", "1,2", "act", tt.act, "yes", "1", "count", "2"}, tt.values...)...).leadsTo(t, "/nodes")
		b.get("/nodes").contains(t, tt.said)
		if act, err := p.db.Act(t.Context(), int64(i+1)); err != nil || act.State != connexa.BulkDone {
			t.Fatalf("%s: %+v, %v", tt.act, act, err)
		}
	}
	for id := range int64(2) {
		if password, err := p.db.NodePassword(t.Context(), id+1); err != nil || password.Reveal() != "Grey-Kite" {
			t.Errorf("node %d has the password %q, %v", id+1, password.Reveal(), err)
		}
	}
	b.post("/acts", "ids", "1,2", "act", "password", "act_password", "secret-9", "yes", "1", "count", "3").hasStatus(t, http.StatusConflict).contains(t, `name="act_password"`).lacks(t, "secret-9")
	b.post("/acts", "ids", "1,2", "act", "reset").hasStatus(t, http.StatusOK).contains(t, "Change 2 nodes")
	if strings.Contains(p.log.String(), "Grey-Kite") {
		t.Error("the password is in the log")
	}
}

// Weaker encryption exposes stored passwords, in an act as in its undo.
func TestActsNeedAProofForWeakerEncryption(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1")
	p.clock.passTime(provedFor + time.Second)
	form := func(policy string, more ...string) []string {
		return append([]string{"ids", "1", "act", "encryption", "act_encryption", policy, "count", "1", "yes", "1"}, more...)
	}
	b.post("/acts", form("required")...).leadsTo(t, "/nodes")
	b.post("/acts", form("off")...).hasStatus(t, http.StatusUnprocessableEntity).contains(t, `name="own_password"`)
	b.post("/acts", form("off", "own_password", "wrong")...).hasStatus(t, http.StatusUnprocessableEntity).contains(t, `id="e-own_password"`)
	b.post("/acts/1/undo", "back", "/audit").leadsTo(t, "/reauth")
	if n, err := p.db.Node(t.Context(), 1); err != nil || n.Encryption != connexa.EncryptionRequired {
		t.Fatalf("without a proof: %q, %v", n.Encryption, err)
	}
	b.post("/acts", form("off", "own_password", adminPassword)...).leadsTo(t, "/nodes")
	if n, err := p.db.Node(t.Context(), 1); err != nil || n.Encryption != connexa.EncryptionOff {
		t.Errorf("with a proof: %q, %v", n.Encryption, err)
	}
}

func TestLoginsFromAList(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.1")
	for _, login := range []string{"ops8", "ops9"} { // three nodes at one address
		n, password, err := connexa.ParseNode(connexa.NodeInput{Address: "192.0.2.3", Login: login, Password: "old"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.db.AddNode(t.Context(), n, password, ""); err != nil {
			t.Fatal(err)
		}
	}
	upload := func(list string) answer {
		t.Helper()
		parts := []part{{"all", "", "1"}, {"q", "", "192.0.2"}, {"act", "", "logins"}, {"back", "", "/nodes?q=192.0.2"}}
		if list != "" {
			parts = append(parts, part{"file", "logins.csv", list})
		}
		return b.uploadTo("/acts/logins", parts...)
	}
	b.post("/acts", "all", "1", "q", "192.0.2", "act", "logins").hasStatus(t, http.StatusOK).contains(t, `enctype="multipart/form-data"`).contains(t, `type="file"`)
	upload("").hasStatus(t, http.StatusUnprocessableEntity).contains(t, "Choose a file")
	upload("203.0.113.9,x,Secret-1\n").hasStatus(t, http.StatusUnprocessableEntity).contains(t, "No line of the list changes a node").contains(t, "1 line changes nothing").
		contains(t, "Line 1: The selection has no node at 203.0.113.9").lacks(t, "Secret-1")

	upload("192.0.2.1,alpha,Secret-1\n192.0.2.2,beta,Secret-2\n\n192.0.2.1:1723,delta,Secret-6\n").hasStatus(t, http.StatusUnprocessableEntity).
		contains(t, "Lines 1 and 4 are about the same node at 192.0.2.1").lacks(t, "Secret-").lacks(t, "/confirm")
	upload("# new ones\n192.0.2.1\n192.0.2.2,beta,Secret-2\n").hasStatus(t, http.StatusUnprocessableEntity).
		contains(t, "Line 2 has one column. Each line needs an address, a login and a password").lacks(t, "Secret-")
	upload("192.0.2.1\n192.0.2.2 beta Secret-2\n").hasStatus(t, http.StatusOK).contains(t, "Line 1: No login").contains(t, "1 line has a node")

	asked := upload("192.0.2.1,alpha,Secret-1\n192.0.2.2:1723,beta,Secret-2\n192.0.2.3,ops9,Secret-3\n192.0.2.3,nobody,Secret-4\n198.51.100.1,gamma,Secret-5\n").hasStatus(t, http.StatusOK)
	asked.contains(t, "3 lines have a node").contains(t, "2 lines change nothing").contains(t, "Line 4: The selection has several nodes at 192.0.2.3").
		contains(t, "Line 5: The selection has no node at 198.51.100.1").
		contains(t, "<ins>alpha</ins>").contains(t, "new password").lacks(t, "Secret-")
	m := regexp.MustCompile(`action="(/acts/\d+/confirm)"`).FindStringSubmatch(asked.body)
	if m == nil {
		t.Fatalf("no form in\n%s", asked.body)
	}
	b.post(m[1], "back", "/nodes").leadsTo(t, "/nodes")
	b.get("/nodes").contains(t, "3 nodes changed")
	for id, want := range map[int64]string{1: "alpha Secret-1", 2: "beta Secret-2", 6: "ops9 Secret-3"} {
		n, err := p.db.Node(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		password, err := p.db.NodePassword(t.Context(), id)
		if got := n.Login + " " + password.Reveal(); err != nil || got != want {
			t.Errorf("node %d has %q, %v; want %q", id, got, err, want)
		}
	}
	b.post(m[1]).hasStatus(t, http.StatusConflict)
}

func TestBinPage(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.get("/bin").contains(t, "The bin is empty")
	b.addNodes("192.0.2.1", "192.0.2.2", "192.0.2.3")
	b.post("/nodes/delete", "all", "1", "yes", "1", "count", "3").leadsTo(t, "/nodes")
	b.get("/bin").contains(t, "192.0.2.1").contains(t, "3 nodes").contains(t, "admin")
	b.get("/bin?before=x").hasStatus(t, http.StatusOK)
	b.get("/bin?before=x-1").hasStatus(t, http.StatusNotFound)
	b.post("/bin/restore", "some", "1").hasStatus(t, http.StatusUnprocessableEntity).contains(t, "Select at least one node")
	b.post("/bin/restore", "some", "1", "id", "2").leadsTo(t, "/bin")
	b.get("/bin").contains(t, "1 node restored").lacks(t, "192.0.2.2")
	b.post("/bin/purge", "some", "1", "id", "1").hasStatus(t, http.StatusOK).contains(t, "Delete 1 node for good?").contains(t, "cannot be undone")
	b.post("/bin/purge", "all", "1", "yes", "1", "count", "3").hasStatus(t, http.StatusConflict)
	b.post("/bin/purge", "ids", "1", "yes", "1", "count", "1").leadsTo(t, "/bin")
	// The deletion can be undone as far as the bin goes.
	b.post("/acts/1/undo", "back", "/nodes").leadsTo(t, "/nodes")
	b.get("/audit").contains(t, "moved to the bin: Undone: 2 nodes restored. 1 node was not restored")
	b.get("/nodes").contains(t, "192.0.2.3").lacks(t, "192.0.2.1")
	b.post("/bin/restore", "all", "1").hasStatus(t, http.StatusNotFound)
	if got := p.auditActs(); strings.Count(got, "nodes_restored") != 1 || strings.Count(got, "nodes_purged") != 1 || strings.Count(got, "act_undone") != 2 {
		t.Errorf("audit: %s", got)
	}
}

// addMany adds n nodes.
func (p *panel) addMany(n int) {
	p.t.Helper()
	for i := range n {
		n, password, err := connexa.ParseNode(connexa.NodeInput{Address: fmt.Sprintf("192.0.%d.%d", 2+i/200, 1+i%200), Login: "ops1", Password: "x"})
		if err != nil {
			p.t.Fatal(err)
		}
		if _, err := p.db.AddNode(p.t.Context(), n, password, ""); err != nil {
			p.t.Fatal(err)
		}
	}
}

// runActs does the large acts, until that with an id has ended.
func (p *panel) runActs(id int64) {
	p.t.Helper()
	work, stop := context.WithCancel(p.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.app.Acts.RunActs(work) }()
	waitFor(p.t, func() bool {
		a, err := p.app.Acts.Act(p.t.Context(), id)
		return err == nil && !a.State.Live()
	})
	stop()
	if err := <-ended; err != nil {
		p.t.Error(err)
	}
}

// A large act has a bar on every page, can be stopped, and ends with a toast.
func TestLargeActsShowTheirProgress(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	const many = app.SmallAct + 1
	p.addMany(many)
	start := func() {
		t.Helper()
		b.post("/acts", "all", "1", "act", "set", "act_field", "city", "act_value", "Rome", "yes", "1", "count", fmt.Sprint(many)).leadsTo(t, "/nodes")
	}
	start()
	b.get("/settings").contains(t, `id="act-bar-1"`).contains(t, "City = Rome").contains(t, "501 nodes are being changed")
	b.post("/acts/1/cancel", "back", "/nodes").leadsTo(t, "/nodes")
	b.get("/nodes").contains(t, "Stopped: 0 of 501 nodes changed").lacks(t, `id="act-bar-1"`)
	b.post("/acts/1/cancel").hasStatus(t, http.StatusConflict)

	start()
	v := viewer{h: p.h, page: &pageStream{}}
	ctx := context.WithValue(t.Context(), accountKey{}, account{1, "admin"})
	drawn := func() string {
		t.Helper()
		now := time.Now()
		v.page.since = now // nothing that was drawn before
		parts, err := v.drawRuns(ctx, now)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, part := range parts {
			if err := part.Render(ctx, &text); err != nil {
				t.Fatal(err)
			}
		}
		return text.String()
	}
	if got := drawn(); !strings.Contains(got, "act-bar-2") {
		t.Errorf("the stream draws %s", got)
	}
	p.runActs(2)
	if got := drawn(); !strings.Contains(got, `action="/acts/2/undo"`) || strings.Contains(got, "act-bar-2") {
		t.Errorf("after the end the stream draws %s", got)
	}
	if got := drawn(); got != "" {
		t.Errorf("the toast comes again: %s", got)
	}

	// An act that ends before the next page opens its stream is told there, once.
	start()
	p.runActs(3)
	for i, want := range []int{1, 0} {
		v = viewer{h: p.h, page: &pageStream{}}
		if got := drawn(); strings.Count(got, "data-toast") != want {
			t.Errorf("page %d: the stream draws %s", i, got)
		}
	}
}

// Services of many nodes are switched in the background. A deletion stops them at once,
// even if it has to wait for its turn.
func TestServicesOfManyNodes(t *testing.T) {
	p, b, g := startServing(t)
	const many = app.SmallAct + 1
	p.addMany(many)
	confirmed := []string{"all", "1", "yes", "1", "count", fmt.Sprint(many), "back", "/nodes"}
	wantServices := func(want int) {
		t.Helper()
		if list, err := p.db.WantedServices(t.Context()); err != nil || len(list) != want {
			t.Errorf("%d services, %v; want %d", len(list), err, want)
		}
	}
	b.post("/services/start", "all", "1").contains(t, "Start 501 services?")
	b.post("/services/start", confirmed...).leadsTo(t, "/nodes")
	b.get("/settings").contains(t, "Services of 501 nodes are being started").contains(t, `id="act-bar-1"`)
	wantServices(0)
	b.post("/acts/1/cancel", "back", "/nodes").leadsTo(t, "/nodes")
	b.get("/nodes").contains(t, "Cancelled: 0 services of 501 nodes were started")

	b.post("/services/start", confirmed...).leadsTo(t, "/nodes")
	p.runActs(2)
	wantServices(many)
	b.get("/audit").contains(t, "501 nodes").lacks(t, `action="/acts/2/undo"`)
	b.post("/acts/2/undo").hasStatus(t, http.StatusConflict)

	b.post("/services/stop", "ids", "1,2,3", "yes", "1", "count", "3").leadsTo(t, "/services")
	b.get("/services").contains(t, "3 services stopped.")
	b.post("/services/start", "ids", "1,2,4", "yes", "1", "count", "3").leadsTo(t, "/services")
	b.get("/services").contains(t, "2 services started. 1 was already started.")
	wantServices(many - 1)

	b.post("/acts", "all", "1", "act", "set", "act_field", "city", "act_value", "Rome", "yes", "1", "count", fmt.Sprint(many)).leadsTo(t, "/nodes")
	b.post("/nodes/delete", "all", "1", "yes", "1", "count", fmt.Sprint(many)).leadsTo(t, "/nodes")
	wantServices(0)
	if n, err := p.db.CountNodes(t.Context(), connexa.Selection{All: true}); err != nil || n != many {
		t.Errorf("%d nodes, %v; want %d until the deletion has its turn", n, err, many)
	}
	p.reportService(connexa.ServiceReport{NodeID: 7, State: connexa.ServiceOnline}) // it is still stopping
	p.runActs(6)
	if !slices.Equal(g.stopped, []int64{7}) {
		t.Errorf("waited for the services %v, want that of node 7", g.stopped)
	}
	if n, err := p.db.CountNodes(t.Context(), connexa.Selection{All: true}); err != nil || n != 0 {
		t.Errorf("%d nodes, %v", n, err)
	}
}

// The jobs of a large run are added in the background. Its own bar has the progress.
func TestJobsOfLargeRuns(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	const many = 10_001
	p.largeFleet(many)
	jobs := func() int {
		t.Helper()
		counts, err := p.db.CountLiveJobs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return counts[0].Queued
	}
	b.post("/runs", "kind", "ping", "all", "1").leadsTo(t, "/runs/1")
	b.get("/runs/1").contains(t, "0 of 10,001").contains(t, `id="run-bar-1"`).lacks(t, "act-bar")
	if n := jobs(); n != 0 {
		t.Errorf("%d jobs were added in the request", n)
	}
	b.post("/acts/1/cancel").hasStatus(t, http.StatusConflict)
	p.runActs(1)
	if n := jobs(); n != many {
		t.Errorf("%d jobs, want %d", n, many)
	}
	b.get("/audit").contains(t, "10,001").lacks(t, "acts.")

	b.post("/runs/1/cancel").leadsTo(t, "/runs/1")
	b.post("/runs", "kind", "ping", "all", "1").leadsTo(t, "/runs/2")
	b.post("/runs/2/cancel").leadsTo(t, "/runs/2")
	p.runActs(2)
	if n := jobs(); n != 0 {
		t.Errorf("a cancelled run has %d jobs", n)
	}
}

func TestActToasts(t *testing.T) {
	for _, tt := range []struct {
		act  connexa.BulkAct
		key  string
		tone views.Tone
		undo bool
	}{
		{connexa.BulkAct{Bulk: connexa.Bulk{Kind: connexa.BulkDelete}, State: connexa.BulkDone, Changed: 3}, "nodes.deleted", views.ToneGood, true},
		{connexa.BulkAct{Bulk: connexa.Bulk{Kind: connexa.BulkLogin}, State: connexa.BulkDone, Changed: 3, Skipped: 1}, "acts.result.and", views.ToneWarn, true},
		{connexa.BulkAct{Bulk: connexa.Bulk{Kind: connexa.BulkLogin}, State: connexa.BulkDone}, "acts.result.none", views.ToneWarn, false},
		{connexa.BulkAct{Bulk: connexa.Bulk{Kind: connexa.BulkReset}, State: connexa.BulkUndone, Changed: 3, Restored: 3}, "acts.result.undone", views.ToneGood, false},
		{connexa.BulkAct{Bulk: connexa.Bulk{Kind: connexa.BulkReset}, State: connexa.BulkUndone, Changed: 3, Restored: 2, Kept: 1}, "acts.result.and", views.ToneWarn, false},
		{connexa.BulkAct{Bulk: connexa.Bulk{Kind: connexa.BulkPurge}, State: connexa.BulkDone, Changed: 3}, "acts.result.purge", views.ToneGood, false},
		{connexa.BulkAct{Bulk: connexa.Bulk{Kind: connexa.BulkStart}, State: connexa.BulkDone, Processed: 5, Changed: 5}, "services.started", views.ToneGood, false},
		{connexa.BulkAct{Bulk: connexa.Bulk{Kind: connexa.BulkStart}, State: connexa.BulkDone, Processed: 5, Changed: 3, Skipped: 2}, "acts.result.and", views.ToneWarn, false},
		{connexa.BulkAct{Bulk: connexa.Bulk{Kind: connexa.BulkStop}, State: connexa.BulkDone, Processed: 5, Changed: 3}, "acts.result.and", views.ToneGood, false},
		{connexa.BulkAct{Bulk: connexa.Bulk{Kind: connexa.BulkStop}, State: connexa.BulkCancelled, Changed: 3}, "acts.result.cancelled.stop", views.ToneGood, false},
		{connexa.BulkAct{Bulk: connexa.Bulk{Kind: connexa.BulkStop}, State: connexa.BulkQueued}, "acts.started.stop", views.ToneGood, false},
		{connexa.BulkAct{Bulk: connexa.Bulk{Kind: connexa.BulkStartVPN}, State: connexa.BulkDone, Processed: 5, Changed: 5}, "vpn.started", views.ToneGood, false},
		{connexa.BulkAct{Bulk: connexa.Bulk{Kind: connexa.BulkStartVPN}, State: connexa.BulkDone, Processed: 5, Changed: 3, Skipped: 2}, "acts.result.and", views.ToneWarn, false},
		{connexa.BulkAct{Bulk: connexa.Bulk{Kind: connexa.BulkStopVPN}, State: connexa.BulkDone, Processed: 5, Changed: 5}, "vpn.stopped", views.ToneGood, false},
		{connexa.BulkAct{Bulk: connexa.Bulk{Kind: connexa.BulkStopVPN}, State: connexa.BulkCancelled, Changed: 3}, "acts.result.cancelled.stop_vpn", views.ToneGood, false},
		{connexa.BulkAct{Bulk: connexa.Bulk{Kind: connexa.BulkSet, Field: "city"}, State: connexa.BulkCancelled, Changed: 3, Total: 9}, "acts.result.cancelled", views.ToneGood, true},
	} {
		tt.act.ID = 5
		if got := views.ActToast(tt.act); got.Text.Key != tt.key || got.Tone != tt.tone || (got.Undo == 5) != tt.undo {
			t.Errorf("%+v: %+v", tt.act, got)
		}
	}
}

package handlers

import (
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
)

// addNodes adds one node per address with the form.
func (b *browser) addNodes(addresses ...string) {
	b.p.t.Helper()
	for _, address := range addresses {
		a := b.post("/nodes", "address", address, "login", "ops1", "password", "Blue:Kite "+address, "city", "Austin", "country", "US")
		if a.StatusCode != http.StatusSeeOther {
			b.p.t.Fatalf("add %s: %d\n%s", address, a.StatusCode, a.body)
		}
	}
}

// drawnRows lists the ids of the rows on a page, from the top.
func (a answer) drawnRows() []string {
	var ids []string
	for _, m := range regexp.MustCompile(`<tr id="node-(\d+)"`).FindAllStringSubmatch(a.body, -1) {
		ids = append(ids, m[1])
	}
	return ids
}

// lacks is the opposite of contains.
func (a answer) lacks(t *testing.T, text string) answer {
	t.Helper()
	if strings.Contains(a.body, text) {
		t.Errorf("%s %s says %q", a.Request.Method, a.Request.URL.Path, text)
	}
	return a
}

// asHTMX makes a browser send the headers that htmx sends for target.
func (b *browser) asHTMX(target string) *browser {
	c := *b
	c.header = http.Header{"Hx-Request": {"true"}, "Hx-Target": {target}}
	return &c
}

func TestNodeListPage(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.get("/nodes").hasStatus(t, http.StatusOK).contains(t, "No nodes yet")
	b.addNodes("192.0.2.10", "192.0.2.9", "vpn.example.net")
	a := b.get("/nodes").hasStatus(t, http.StatusOK)
	if got, want := a.drawnRows(), []string{"2", "1", "3"}; !slices.Equal(got, want) {
		t.Errorf("rows %v, want %v: by address, numbers before names", got, want)
	}
	a.contains(t, "/events?").contains(t, "page=nodes").contains(t, "rows="+encodeRows([]int64{1, 2, 3}))
	if got := b.get("/nodes?q=VPN").drawnRows(); !slices.Equal(got, []string{"3"}) {
		t.Errorf("the search drew %v", got)
	}
	b.get("/nodes?q=nothing").hasStatus(t, http.StatusOK).contains(t, "No nodes found")
	b.get("/nodes?status=splendid").hasStatus(t, http.StatusUnprocessableEntity).contains(t, "splendid")
	b.get("/").hasStatus(t, http.StatusOK).contains(t, `href="/nodes"`)

	part := b.asHTMX("section#list").get("/nodes?sort=-address").hasStatus(t, http.StatusOK).lacks(t, "<html").contains(t, `id="facets"`)
	if got, want := part.drawnRows(), []string{"3", "1", "2"}; !slices.Equal(got, want) {
		t.Errorf("rows %v, want %v", got, want)
	}
}

func TestNodeListPages(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	for i := range 120 {
		n, password, err := connexa.ParseNode(connexa.NodeInput{Address: fmt.Sprintf("192.0.2.%d", i+1), Login: "ops1", Password: "x"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.db.AddNode(t.Context(), n, password, ""); err != nil {
			t.Fatal(err)
		}
	}
	link := func(a answer, id string) string {
		m := regexp.MustCompile(`id="page-` + id + `"[^>]*href="([^"]+)"|href="([^"]+)"[^>]*id="page-` + id + `"`).FindStringSubmatch(a.body)
		if m == nil {
			return ""
		}
		return strings.ReplaceAll(m[1]+m[2], "&amp;", "&")
	}
	var seen []string
	a := b.get("/nodes?sort=-address")
	for {
		seen = append(seen, a.drawnRows()...)
		next := link(a, "next")
		if next == "" {
			break
		}
		if len(seen) > 120 {
			t.Fatal("the list has no end")
		}
		a = b.get(next).hasStatus(t, http.StatusOK)
	}
	if len(seen) != 120 || seen[0] != "120" || seen[119] != "1" {
		t.Errorf("the pages drew %v", seen)
	}
	a.contains(t, "101–120 of 120")
	if back := b.get(link(a, "previous")).drawnRows(); !slices.Equal(back, seen[50:100]) {
		t.Errorf("back: %v", back)
	}
	// The size is kept for later pages.
	if n := len(b.get("/nodes?size=100").drawnRows()); n != 100 {
		t.Errorf("%d rows, want 100", n)
	}
	if n := len(b.get("/nodes").drawnRows()); n != 100 {
		t.Errorf("%d rows on the next page, want 100", n)
	}
	if n := len(b.get("/nodes?size=100000").drawnRows()); n != 100 {
		t.Errorf("%d rows for a size that is not offered, want 100", n)
	}
}

func TestAddNode(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.get("/nodes/new").hasStatus(t, http.StatusOK).contains(t, `name="address"`)
	a := b.post("/nodes", "address", "192.0.2.0/24", "login", "ops1", "password", "Blue-Kite", "comment", "typed <here>", "port", "0", "tags", "a; b")
	a.hasStatus(t, http.StatusUnprocessableEntity).contains(t, "Address ranges are not accepted").contains(t, "Enter a port").
		contains(t, `value="192.0.2.0/24"`).contains(t, "typed &lt;here&gt;").contains(t, `value="a; b"`).lacks(t, "Blue-Kite")
	b.asHTMX("form#node-form").post("/nodes", "address", "").hasStatus(t, http.StatusUnprocessableEntity).lacks(t, "<html").contains(t, `id="node-form"`)

	b.post("/nodes", "address", "192.0.2.1", "login", "ops1", "password", "Blue-Kite").leadsTo(t, "/nodes/1")
	b.get("/nodes/1").hasStatus(t, http.StatusOK).contains(t, "Node added.").contains(t, "192.0.2.1").lacks(t, "Blue-Kite").contains(t, "id=1&amp;page=node")
	b.post("/nodes", "address", "192.0.2.1", "login", "ops1", "password", "other").hasStatus(t, http.StatusUnprocessableEntity).contains(t, "already exists")
	b.get("/nodes/99").hasStatus(t, http.StatusNotFound)
	b.get("/nodes/x").hasStatus(t, http.StatusNotFound)
	if got := p.auditActs(); !strings.HasPrefix(got, "admin:node_added") {
		t.Errorf("audit: %s", got)
	}
}

func TestEditNode(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1", "192.0.2.2")
	b.get("/nodes/1/edit").hasStatus(t, http.StatusOK).contains(t, `value="192.0.2.1"`).contains(t, `name="revision" value="1"`).lacks(t, "Blue:Kite")
	b.post("/nodes/1/edit", "revision", "1", "address", "192.0.2.1", "login", "", "comment", "kept words").
		hasStatus(t, http.StatusUnprocessableEntity).contains(t, "Enter the login.").contains(t, "kept words").contains(t, `action="/nodes/1/edit"`)
	b.post("/nodes/1/edit", "revision", "1", "address", "192.0.2.2", "login", "ops1", "password", "other").hasStatus(t, http.StatusUnprocessableEntity).contains(t, "already exists")
	b.post("/nodes/1/edit", "address", "192.0.2.1", "login", "ops1").hasStatus(t, http.StatusUnprocessableEntity)

	b.post("/nodes/1/edit", "revision", "1", "address", "192.0.2.7", "login", "ops1", "tags", "spare", "own_password", adminPassword).leadsTo(t, "/nodes/1")
	b.get("/nodes/1").contains(t, "192.0.2.7").contains(t, "spare").contains(t, "Edited: Address, ")
	if password, err := p.db.NodePassword(t.Context(), 1); err != nil || password.Reveal() != "Blue:Kite 192.0.2.1" {
		t.Errorf("an empty password changed it to %q, %v", password.Reveal(), err)
	}
	// An edit of an old revision.
	b.post("/nodes/1/edit", "revision", "1", "address", "192.0.2.1", "login", "ops9").
		hasStatus(t, http.StatusConflict).contains(t, "Someone else has changed this node").contains(t, `value="ops9"`).contains(t, `name="revision" value="2"`)
	b.post("/nodes/99/edit", "revision", "1").hasStatus(t, http.StatusNotFound)
}

func TestDeleteNodesAsksFirst(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.1")
	field := func(a answer, name string) string {
		m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(a.body)
		if m == nil {
			t.Fatalf("no field %s in\n%s", name, a.body)
		}
		return strings.ReplaceAll(m[1], "&amp;", "&")
	}

	asked := b.asHTMX("div#dialog").post("/nodes/delete", "all", "1", "q", "192.0.2").hasStatus(t, http.StatusOK).contains(t, "<dialog").lacks(t, "<html")
	if field(asked, "count") != "3" || field(asked, "q") != "192.0.2" {
		t.Errorf("asked about %s nodes", field(asked, "count"))
	}
	b.post("/nodes/delete", "all", "1", "q", "192.0.2").hasStatus(t, http.StatusOK).contains(t, "<html").contains(t, "stay in the bin for 30 days")

	// One more node matches now: nothing is deleted, and the new number is shown.
	b.addNodes("192.0.2.4")
	again := b.post("/nodes/delete", "all", "1", "q", "192.0.2", "count", "3", "yes", "1").hasStatus(t, http.StatusConflict).contains(t, "4 now, 3 when you confirmed")
	if n := len(b.get("/nodes").drawnRows()); n != 5 {
		t.Fatalf("%d nodes are left, want all 5", n)
	}
	b.post("/nodes/delete", "all", "1", "q", "192.0.2", "count", field(again, "count"), "yes", "1", "back", "/nodes?q=192.0.2").leadsTo(t, "/nodes?q=192.0.2")
	if got := b.get("/nodes").contains(t, "4 nodes deleted").drawnRows(); !slices.Equal(got, []string{"4"}) {
		t.Errorf("left: %v", got)
	}

	// One node is named.
	b.post("/nodes/delete", "id", "4").hasStatus(t, http.StatusOK).contains(t, "198.51.100.1 with login ")
	b.post("/nodes/delete", "all", "1", "q", "198.51.100").hasStatus(t, http.StatusOK).contains(t, "198.51.100.1 with login ")

	b.post("/nodes/delete").hasStatus(t, http.StatusUnprocessableEntity).contains(t, "Select at least one node")
	b.post("/nodes/delete", "ids", "1,x").hasStatus(t, http.StatusUnprocessableEntity)
	b.post("/nodes/delete", "all", "1", "status", "splendid", "yes", "1", "count", "1").hasStatus(t, http.StatusUnprocessableEntity)
	b.post("/nodes/delete", "id", "1", "id", "2").hasStatus(t, http.StatusNotFound).contains(t, "already gone")
	b.post("/nodes/4/delete", "back", "https://elsewhere.example/nodes").hasStatus(t, http.StatusOK).contains(t, `name="back" value="/nodes"`)
	b.post("/nodes/4/delete", "yes", "1", "count", "1").leadsTo(t, "/nodes")
	b.get("/nodes").contains(t, "No nodes yet")
	if got := p.auditActs(); strings.Count(got, "nodes_deleted") != 2 {
		t.Errorf("audit: %s", got)
	}
}

// Many nodes are deleted in the background, and every page shows the progress.
func TestDeleteVeryManyNodes(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	const many = app.SmallAct + 1
	for i := range many + 1 {
		n, password, err := connexa.ParseNode(connexa.NodeInput{Address: fmt.Sprintf("192.0.%d.%d", 2+i/200, 1+i%200), Login: "ops1", Password: "Blue-Kite"})
		if err != nil {
			t.Fatal(err)
		}
		if i == many {
			n.Address = "vpn.example.net"
		}
		if _, err := p.db.AddNode(t.Context(), n, password, "admin"); err != nil {
			t.Fatal(err)
		}
	}
	selection := []string{"all", "1", "q", "192.0", "back", "/nodes"}
	b.post("/nodes/delete", append(selection, "yes", "1", "count", strconv.Itoa(many))...).leadsTo(t, "/nodes")
	progress := fmt.Sprintf("of %d", many)
	b.get("/settings").contains(t, "501 nodes are being changed").contains(t, `id="act-bar-1"`).contains(t, "0 "+progress)
	if got := p.auditActs(); strings.Count(got, "nodes_deleted") != 1 {
		t.Errorf("audit: %s", got)
	}

	p.runActs(1)
	if got := b.get("/nodes").drawnRows(); len(got) != 1 {
		t.Errorf("left: %v", got)
	}
	if strings.Contains(b.get("/settings").body, "act-bar") {
		t.Error("the bar stays")
	}
}

func TestExport(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1", "vpn.example.net")
	b.post("/nodes", "address", "192.0.2.2", "login", `=cmd|"x"`, "password", `a,b "c";=1`, "comment", "x, y", "tags", "old, spare")
	a := b.get("/nodes.csv").hasStatus(t, http.StatusOK)
	columns, cells := "", []string{} // of the descriptive columns, with a comment only
	for _, c := range connexa.Columns() {
		columns += c.Name + ","
		cells = append(cells, map[string]string{"comment": "x, y"}[c.Name])
	}
	header := "address,port,login," + columns + "tags,status,suspect,step,cause,latency_ms,loss,down_mbps,up_mbps,last_check,status_check,last_cause"
	if first, _, _ := strings.Cut(a.body, "\n"); first != header {
		t.Errorf("header:\n got %s\nwant %s", first, header)
	}
	if got := a.Header.Get("Content-Type"); got != "text/csv; charset=utf-8" {
		t.Errorf("content type %s", got)
	}
	rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	want := slices.Concat([]string{"192.0.2.2", "1723", `'=cmd|"x"`}, cells, []string{"old, spare", "not_tested", "false", "", "", "", "", "", "", "", "", ""})
	if !slices.Equal(rows[2], want) {
		t.Errorf("row %q\nwant %q", rows[2], want)
	}
	a.lacks(t, "Blue:Kite")
	if one := b.get("/nodes.csv?q=example").body; strings.Count(one, "\n") != 2 {
		t.Errorf("a filtered export:\n%s", one)
	}
	if one := b.get("/nodes.csv?ids=1,2").body; strings.Count(one, "\n") != 3 {
		t.Errorf("an export by ids:\n%s", one)
	}
	b.get("/nodes.csv?status=splendid").hasStatus(t, http.StatusUnprocessableEntity)
}

func TestExportRow(t *testing.T) {
	n := connexa.Node{
		Address: "192.0.2.1", Port: 1723, Login: "ops1", Tags: []string{"a", "b c"},
		Verdict: connexa.Verdict{Status: connexa.SpeedOK, Failures: connexa.FailureStreaks{NoTunnel: 1}},
		Basis:   connexa.Basis{At: time.Date(2026, 5, 1, 9, 0, 0, 0, time.FixedZone("", 3600)), Reached: connexa.Internet},
		Last: connexa.Outcome{
			At: time.Date(2026, 5, 1, 10, 0, 0, 5e6, time.FixedZone("", 3600)), Reached: connexa.Control, Cause: "call.busy",
			Latency: 12345 * time.Microsecond, Attempts: 3, Lost: 1, DownBits: 12_345_678, UpBits: 1e6,
		},
	}
	var row []string
	for _, c := range connexa.UsualExport(false).List() {
		row = append(row, c.Value(&connexa.Exported{Node: n}))
	}
	got := strings.Join(row, "|")
	if want := "192.0.2.1|1723|ops1|" + strings.Repeat("|", len(connexa.Columns())) + "a, b c|speed_ok|true|internet||12.345|0.333|12.35|1|2026-05-01T09:00:00Z|2026-05-01T08:00:00Z|call.busy"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestSecretsNeedThePasswordAgain(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1")
	b.get("/nodes.csv?secrets=1").leadsTo(t, "/reauth?next="+url.QueryEscape("/nodes.csv?secrets=1"))
	b.get("/nodes/1/password").leadsTo(t, "/reauth?next="+url.QueryEscape("/nodes/1/password"))
	b.asHTMX("span#secret").get("/nodes/1/password").hasStatus(t, http.StatusForbidden).lacks(t, "Blue:Kite")
	if strings.Contains(p.auditActs(), "reveal") || strings.Contains(p.auditActs(), "export") {
		t.Errorf("audit: %s", p.auditActs())
	}

	b.post("/reauth", "password", adminPassword, "next", "/nodes/1").leadsTo(t, "/nodes/1")
	rows, err := csv.NewReader(strings.NewReader(b.get("/nodes.csv?secrets=1").hasStatus(t, http.StatusOK).body)).ReadAll()
	if err != nil || len(rows) != 2 || rows[0][2] != "login" || rows[0][3] != "password" || rows[1][3] != "Blue:Kite 192.0.2.1" || rows[1][4] != "US" {
		t.Errorf("export %q, %v", rows, err)
	}
	b.asHTMX("span#secret").get("/nodes/1/password").hasStatus(t, http.StatusOK).contains(t, "Blue:Kite 192.0.2.1").lacks(t, "<html")
	b.get("/nodes/1/password").hasStatus(t, http.StatusOK).contains(t, "Blue:Kite 192.0.2.1").contains(t, "<html")
	b.get("/nodes/99/password").hasStatus(t, http.StatusNotFound)
	if got, want := p.auditActs(), "admin:reveal admin:reveal admin:export admin:reauth admin:node_added admin:login"; got != want {
		t.Errorf("audit: %s\nwant %s", got, want)
	}
	if strings.Contains(p.log.String(), "Blue:Kite") {
		t.Error("the password is in the log")
	}

	p.clock.passTime(provedFor + time.Second)
	b.get("/nodes.csv?secrets=1").leadsTo(t, "/reauth?next="+url.QueryEscape("/nodes.csv?secrets=1"))
	b.get("/nodes.csv").hasStatus(t, http.StatusOK)
}

func TestNodeRowsAreDrawnFresh(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1", "192.0.2.2")
	if _, err := p.app.Acts.StartAct(t.Context(), connexa.Selection{IDs: []int64{2}}, 1, connexa.Bulk{Kind: connexa.BulkDelete}); err != nil {
		t.Fatal(err)
	}
	columns := connexa.DefaultListColumns(false, false)
	parts, _, err := p.h.sharedRows(t.Context(), []int64{1, 2}, columns, time.Now())
	if err != nil || len(parts) != 2 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	var text strings.Builder
	for _, part := range parts {
		if err := part.Render(t.Context(), &text); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{`hx-target="#node-1" hx-swap="cells"`, `<tr id="node-1"`, `hx-target="#node-2" hx-swap="delete"`} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %s in\n%s", want, text.String())
		}
	}
}

func TestAListThatLostEveryRowIsAskedForAgain(t *testing.T) {
	p := startPanel(t)
	p.newBrowser().logIn().addNodes("192.0.2.1", "192.0.2.2")
	stream, err := url.Parse(nodesStreamURL(connexa.FilterText("192"), []connexa.Node{{ID: 1}, {ID: 2}}, nil, ""))
	if err != nil {
		t.Fatal(err)
	}
	f, err := p.h.nodesPageStream(stream.Query())
	if err != nil {
		t.Fatal(err)
	}
	for i, again := range []bool{false, true} {
		id := int64(i + 1)
		if _, err := p.app.Acts.StartAct(t.Context(), connexa.Selection{IDs: []int64{id}}, 1, connexa.Bulk{Kind: connexa.BulkDelete}); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		parts, err := f.row(t.Context(), []int64{id})
		for _, part := range parts {
			err = errors.Join(err, part.Render(t.Context(), &text))
		}
		if err != nil || strings.Contains(text.String(), `hx-get="/nodes?q=192"`) != again {
			t.Errorf("node %d went: %v, %s", id, err, text.String())
		}
	}
}

func TestNodePageStreamsRefuseUnsignedRows(t *testing.T) {
	p := startPanel(t)
	stream, err := url.Parse(nodesStreamURL(connexa.FilterText("x"), []connexa.Node{{ID: 3}, {ID: 9}}, nil, ""))
	if err != nil {
		t.Fatal(err)
	}
	f, err := p.h.nodesPageStream(stream.Query())
	if err != nil || len(f.rows) != 2 || !f.rows[3] || !f.rows[9] {
		t.Errorf("page stream: got %+v, %v; want one and no error", f, err)
	}
	for _, query := range []string{"rows=!", "rows=AQ&status=splendid"} {
		v, _ := url.ParseQuery(query)
		if _, err := p.h.nodesPageStream(v); connexa.CodeOf(err) != connexa.Invalid {
			t.Errorf("%s: %v", query, err)
		}
	}
	if _, err := p.h.nodePageStream(url.Values{"id": {"x"}}); connexa.CodeOf(err) != connexa.NotFound {
		t.Error(err)
	}
}

func TestNodesPageStreamDrawsTheCounts(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	f, err := p.h.nodesPageStream(url.Values{})
	if err != nil {
		t.Fatal(err)
	}
	draw := func() string {
		t.Helper()
		parts, err := f.panel(t.Context())
		if err != nil || len(parts) != 1 {
			t.Fatalf("%d parts, %v", len(parts), err)
		}
		var text strings.Builder
		if err := parts[0].Render(t.Context(), &text); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	draw()
	b.addNodes("192.0.2.1", "192.0.2.2")
	text := draw()
	if !strings.Contains(text, `hx-target="#facets"`) || !strings.Contains(text, "Not tested <b>2</b>") {
		t.Errorf("the counts are\n%s", text)
	}
}

func TestSelectionOf(t *testing.T) {
	for query, want := range map[string]connexa.Selection{
		"id=3&id=1&id=3":               {IDs: []int64{1, 3}},
		"ids=3,+1&ids=2&id=7":          {IDs: []int64{1, 2, 3, 7}},
		"all=1&q=x&id=3":               {All: true, Filter: connexa.FilterText("x")},
		"all=1":                        {All: true},
		"all=&status=ping_ok&id=5":     {IDs: []int64{5}},
		"all=1&suspect=1&tag=a&tag=b+": {All: true, Filter: connexa.FilterBy("tag", "a", "b ").And(connexa.FilterBy("is", connexa.IsSuspect))},
	} {
		v, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := selectionOf(v)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %+v, %v; want %+v", query, got, err, want)
		}
		if back, err := selectionOf(selectionValues(got)); err != nil || fmt.Sprint(back) != fmt.Sprint(got) {
			t.Errorf("%s comes back as %+v, %v", query, back, err)
		}
	}
	for _, query := range []string{"", "id=", "ids=,,", "id=-1", "id=0", "id=1.5", "ids=1;2", "all=1&step=moon", "all=1&q=speed:fast", "all=1&q=" + strings.Repeat("x", connexa.MaxFilter+1)} {
		v, _ := url.ParseQuery(query)
		if s, err := selectionOf(v); connexa.CodeOf(err) != connexa.Invalid {
			t.Errorf("%.40s: %+v, %v", query, s, err)
		}
	}
}

// A page that opens its stream gets the rows again that changed since it was drawn, or all
// if that is not known.
func TestFirstDrawingHasTheRowsThatChanged(t *testing.T) {
	p := startPanel(t)
	mark := p.h.broker.Mark()
	p.h.broker.Publish(connexa.Event{Topic: connexa.NodeChanged, ID: 2})
	p.h.broker.Publish(connexa.Event{Topic: connexa.NodeChanged, ID: 9}) // on another page
	p.h.broker.Publish(connexa.Event{Topic: connexa.ServiceChanged, ID: 3})
	for _, tt := range []struct {
		mark string
		want []int64
	}{{mark, []int64{2, 3}}, {"", []int64{1, 2, 3}}, {p.h.broker.Mark(), nil}} {
		stream, err := url.Parse(nodesStreamURL(connexa.Filter{}, []connexa.Node{{ID: 1}, {ID: 2}, {ID: 3}}, nil, tt.mark))
		if err != nil {
			t.Fatal(err)
		}
		page, err := p.h.nodesPageStream(stream.Query())
		if err != nil {
			t.Fatal(err)
		}
		v := viewer{h: p.h, page: page, rowsDue: map[int64]time.Time{}}
		v.scheduleFirst(time.Now())
		if got := slices.Sorted(maps.Keys(v.rowsDue)); !slices.Equal(got, tt.want) {
			t.Errorf("%q: got rows %v, want %v", tt.mark, got, tt.want)
		}
	}
}

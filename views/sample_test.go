package views

import (
	"fmt"
	"maps"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// now is the time of the samples.
var now = time.Date(2026, 11, 22, 14, 2, 5, 0, time.UTC)

// pageSamples returns pages full of invented data, by name.
func pageSamples(p *i18n.Printer, theme Theme) map[string]templ.Component {
	at := func(nav Nav, title string, runs ...RunBar) Page {
		return Page{Title: title, Nav: nav, Account: "admin", Here: "/", Theme: theme, Nodes: 4688, Live: len(runs), Runs: runs}
	}
	pages := map[string]templ.Component{
		"dashboard":    DashboardPage(at(NavDashboard, p.T("dash.title")), sampleDashboard()),
		"dash-empty":   DashboardPage(at(NavDashboard, p.T("dash.title")), Dashboard{}),
		"failure":      Failure(at(NavNone, p.T("failure.not_found")), 404, connexa.T("error.not_found")),
		"failure-bare": Failure(Page{Title: "x", Theme: theme}, 503, connexa.T("error.internal")),
		"confirm":      ConfirmPage(at(NavNodes, p.T("nodes.delete")), ConfirmDelete(p, 4688, connexa.FilterText("x").Values())),
	}
	maps.Copy(pages, nodeListSamples(p, at))
	maps.Copy(pages, nodeSamples(at))
	maps.Copy(pages, actSamples(p, at))
	maps.Copy(pages, nodeFormSamples(p, at))
	maps.Copy(pages, runSamples(p, at))
	maps.Copy(pages, monitorSamples(p, at))
	maps.Copy(pages, speedSamples(p, at))
	maps.Copy(pages, serviceSamples(p, at(NavServices, p.T("services.title"))))
	maps.Copy(pages, channelSamples(p, at(NavSettings, p.T("channels.title"))))
	maps.Copy(pages, clientSamples(p, at(NavClients, p.T("clients.title"))))
	maps.Copy(pages, exportSamples(at(NavNodes, p.T("export.title"))))
	maps.Copy(pages, importSamples(p, at(NavImport, p.T("import.title"))))
	maps.Copy(pages, templateSamples(at(NavImport, p.T("templates.title"))))
	return pages
}

func nodeListSamples(p *i18n.Printer, at func(nav Nav, title string, runs ...RunBar) Page) map[string]templ.Component {
	list := NodeList{
		Query:  connexa.ListQuery{Sort: connexa.Sort{Key: connexa.SortStatus, Desc: true}, Size: 50},
		Page:   connexa.NodePage{Total: 4688, From: 50, Next: "n", Prev: "p"},
		Fleet:  4688,
		Rows:   sampleRows(),
		Kinds:  []connexa.RunKind{connexa.RunPing},
		Stream: "/events?page=nodes&rows=x",

		Columns: usualColumns,
	}
	view := connexa.View{ID: 2, AccountID: 1, Owner: "admin", Name: "German nodes that answer", Shared: true, Query: "country:DE status:ping_ok", Tile: true, Start: true}
	list.Views = []connexa.View{view, {ID: 3, AccountID: 9, Owner: "jo", Name: "Old", Query: "colour:red", Shared: true}, {ID: 4, AccountID: 1, Owner: "admin", Name: "Everything"}}
	many := list
	many.View, many.OwnView = &view, true
	many.Columns, many.Chosen = nil, true
	for _, name := range connexa.ListColumnNames() {
		many.Columns = append(many.Columns, connexa.ListColumn{Name: name})
	}
	compact := many
	compact.Columns, compact.Density = connexa.ParseListColumns("server:260,tags,comment,status,provider,checked"), connexa.Compact
	chooser := ColumnChooser{Density: connexa.Compact, Back: "/nodes?q=x", Moved: "tags"}
	for i, c := range many.Columns {
		c.Width = []int{0, 0, 220}[i%3]
		chooser.Choices = append(chooser.Choices, ColumnChoice{c, i < 9})
	}
	narrowed := list
	narrowed.Query.Filter = connexa.FilterText("ops").And(connexa.FilterBy("cause", "tcp.timeout")).And(connexa.FilterBy("country", "CA"))
	narrowed.Page = connexa.NodePage{Total: 0}
	narrowed.Rows = nil
	first := list
	first.Fleet, first.Rows = 0, nil
	facets := connexa.Facets{
		Total: 4688, Suspect: 23,
		Statuses: map[connexa.Status]int{
			connexa.NotTested: 159, connexa.PingFailed: 527, connexa.PingOK: 3101, connexa.TunnelFailed: 164, connexa.LoginFailed: 311,
			connexa.LoginOK: 402, connexa.SpeedSlow: 18, connexa.SpeedOK: 6,
		},
		Countries: []connexa.Facet{{Value: "US", Count: 3100}, {Value: "DE", Count: 801}, {Value: "CA", Count: 90}, {Value: "-", Count: 7}},
		Providers: []connexa.Facet{{Value: "Example Net", Count: 2000}, {Value: "-", Count: 12}},
		Tags:      []connexa.Facet{{Value: "branch", Count: 40}, {Value: "canada", Count: 12}},
		Causes:    []connexa.Facet{{Value: "tcp.timeout", Count: 302}, {Value: "tcp.refused", Count: 141}, {Value: "control.not_pptp", Count: 84}},
	}
	bar := sampleRunBar()
	banners := at(NavNodes, p.T("nodes.title"), bar)
	banners.Banners = []Banner{{ID: "banner-key", Tone: ToneWarn, Title: connexa.T("nodes.empty.title"), Text: connexa.T("nodes.empty.text"), Action: &Action{Text: connexa.T("ui.save"), URL: "/x"}}}
	banners.Toasts = []Toast{{Tone: ToneGood, Text: connexa.T("history.added")}, {Tone: ToneBad, Text: connexa.T("error.internal")}}
	return map[string]templ.Component{
		"nodes":         NodesPage(at(NavNodes, p.T("nodes.title"), bar), Nodes{NodeFilters{Facets: facets, Fleet: 4688}, list}),
		"nodes-none":    NodesPage(at(NavNodes, p.T("nodes.title")), Nodes{NodeFilters{Filter: narrowed.Query.Filter, Facets: facets}, narrowed}),
		"nodes-many":    NodesPage(at(NavNodes, p.T("nodes.title")), Nodes{NodeFilters{Facets: facets, Fleet: 4688}, many}),
		"nodes-compact": NodesPage(at(NavNodes, p.T("nodes.title")), Nodes{NodeFilters{Facets: facets, Fleet: 4688}, compact}),
		"nodes-columns": ColumnsPage(at(NavNodes, p.T("table.columns.title")), chooser),
		"nodes-unread": NodesPage(at(NavNodes, p.T("nodes.title")), Nodes{
			NodeFilters{Facets: facets, Fleet: 4688, Text: "ops speed>fast x", Problem: connexa.FilterProblem{Text: connexa.T("filter.number", "fast"), At: 11}},
			NodeList{Fleet: 4688, Unread: true},
		}),
		"views":      ViewsPage(at(NavNodes, p.T("views.title")), list.Views, 1),
		"views-none": ViewsPage(at(NavNodes, p.T("views.title")), nil, 1),
		"views-form": ViewFormPage(at(NavNodes, p.T("view.new")), ViewForm{ID: 2, Called: view.Name, Input: connexa.ViewInput{Name: view.Name, Query: "colour:red", Columns: "server,tags,comment:300", Sort: "-latency", Shared: true},
			Errors: connexa.FieldErrors{"query": connexa.T("filter.at", 1, connexa.T("filter.field", "colour"))}}),
		"nodes-first":  NodesPage(at(NavNodes, p.T("nodes.title")), Nodes{NodeFilters{}, first}),
		"nodes-banner": NodesPage(banners, Nodes{NodeFilters{Facets: facets, Fleet: 4688}, list}),
	}
}

func sampleRunBar() RunBar {
	return RunBar{
		ID: 3, Kind: connexa.RunPing, State: connexa.RunRunning, PerSecond: 5.2, Left: 44 * time.Second,
		Tally: connexa.Tally{Total: 640, Good: 301, Slow: 24, Bad: 83, Inconclusive: 4},
	}
}

// nodeSamples returns the node page in its states.
func nodeSamples(at func(nav Nav, title string, runs ...RunBar) Page) map[string]templ.Component {
	node, good, fresh := sampleNode(), sampleNode(), sampleNode()
	good.Status, good.Failures = connexa.SpeedOK, connexa.FailureStreaks{NoAnswer: 1}
	good.Basis = &connexa.Entry{
		What: connexa.EntryProbe, At: now.Add(-2 * time.Minute), Result: connexa.ResultGood,
		Outcome: connexa.Outcome{Kind: connexa.Ping, At: now.Add(-2 * time.Minute), Reached: connexa.Control, Latency: 97 * time.Millisecond, Attempts: 3, Lost: 1},
		Trace:   sampleRungs()[:3],
	}
	good.Failures = connexa.FailureStreaks{}
	loggedIn, open := sampleNode(), sampleNode()
	loggedIn.Status, loggedIn.Failures = connexa.LoginOK, connexa.FailureStreaks{}
	loggedIn.Basis = &connexa.Entry{
		What: connexa.EntryProbe, At: now.Add(-20 * time.Minute), Result: connexa.ResultGood,
		Outcome: connexa.Outcome{Kind: connexa.Login, At: now.Add(-2 * time.Minute), Reached: connexa.IP, Latency: 97 * time.Millisecond, Attempts: 1},
		Detail: connexa.Detail{
			PeerText: "Welcome", Session: connexa.SessionFacts{Auth: "MS-CHAPv2", Encryption: "MPPE-128 stateless", Bits: 128, MTU: 1396, LocalIP: "10.8.0.14"},
			Attempts: []connexa.Text{connexa.T("attempt.bad", 1, connexa.T("attempt.broken", 1))}, Transcript: []string{"→ Start-Control-Connection-Request"},
		},
	}
	through := loggedIn
	answer := *loggedIn.Basis
	answer.Reached, answer.Latency, answer.Detail.PeerText, answer.Detail.Attempts = connexa.NoStep, 0, "", nil
	answer.Detail.Text, answer.Trace = connexa.T("probe.through.login"), []connexa.StepResult{{Step: connexa.LCP, OK: true, At: 31 * time.Millisecond, Note: connexa.T("step.note.through.lcp", 31*time.Millisecond)}}
	through.Basis = &answer
	bare := *loggedIn.Basis
	bare.Detail.Session = connexa.SessionFacts{Auth: "PAP", Encryption: "none", MTU: 1400, LocalIP: "10.8.0.14"}
	open.Status, open.Basis = connexa.LoginOK, &bare
	fresh.Basis, fresh.History, fresh.Recent, fresh.Status, fresh.Peer = nil, HistoryPage{}, nil, connexa.NotTested, connexa.Peer{}
	fresh.Charts.Buckets = nil
	pinged, suspect := sampleNode(), sampleNode()
	pinged.Later = good.Basis
	suspect.Status, suspect.Failures, suspect.Later = connexa.LoginOK, connexa.FailureStreaks{NoTunnel: 1}, suspect.Basis
	suspect.Basis = loggedIn.Basis
	return map[string]templ.Component{
		"node-bad":     NodePage(at(NavNodes, "203.0.113.77"), node),
		"node-good":    NodePage(at(NavNodes, "203.0.113.77"), good),
		"node-login":   NodePage(at(NavNodes, "203.0.113.77"), loggedIn),
		"node-open":    NodePage(at(NavNodes, "203.0.113.77"), open),
		"node-pinged":  NodePage(at(NavNodes, "203.0.113.77"), pinged),
		"node-suspect": NodePage(at(NavNodes, "203.0.113.77"), suspect),
		"node-through": NodePage(at(NavNodes, "203.0.113.77"), through),
		"node-fresh":   NodePage(at(NavNodes, "203.0.113.77"), fresh),
	}
}

func nodeFormSamples(p *i18n.Printer, at func(nav Nav, title string, runs ...RunBar) Page) map[string]templ.Component {
	form := NodeForm{
		Input:       connexa.NodeInput{Address: "192.0.2.300", Port: "99999", Login: "ops1", Country: "CA", State: "ON", City: "Toronto", Tags: "branch, canada"},
		Errors:      connexa.FieldErrors{"address": connexa.T("field.address.octet", "300"), "port": connexa.T("field.port"), "password": connexa.T("field.password.empty")},
		Suggestions: map[string][]string{"provider": {"Example Net"}, "tags": {"branch"}},
	}
	edit := NodeForm{ID: 7, Input: connexa.NodeInput{Address: "203.0.113.77", Port: "1723", Login: "ops3"}, Status: connexa.SpeedOK}
	return map[string]templ.Component{
		"form-new":  NodeFormPage(at(NavNodes, p.T("node.new")), form),
		"form-edit": NodeFormPage(at(NavNodes, p.T("node.edit", "203.0.113.77")), edit),
		"form-proof": NodeFormPage(at(NavNodes, p.T("node.edit", "192.0.2.7")), NodeForm{
			ID: 8, Revision: 2, Status: connexa.LoginOK, Input: connexa.NodeInput{Address: "192.0.2.7", Port: "1723", Login: "ops1", Encryption: "off"},
			Errors: connexa.FieldErrors{"password": connexa.T("account.proof.node")},
		}),
	}
}

func runSamples(p *i18n.Printer, at func(nav Nav, title string, runs ...RunBar) Page) map[string]templ.Component {
	paused := sampleRunBar()
	paused.State, paused.Notice = connexa.RunPaused, connexa.T("error.internal")
	run := sampleRun()
	over := run
	over.ID, over.State, over.FinishedAt, over.Retry = 2, connexa.RunCancelled, now.Add(-time.Minute), 83
	return map[string]templ.Component{
		"runs":      RunsPage(at(NavRuns, p.T("runs.title"), paused), Runs{Runs: []connexa.Run{run.Run, over.Run, {ID: 1, Kind: connexa.RunPing, State: connexa.RunDone, By: "admin", CreatedAt: now.Add(-26 * time.Hour), FinishedAt: now.Add(-25 * time.Hour), Tally: connexa.Tally{Total: 4688, Good: 4000, Bad: 688}}}, Older: "/runs?before=1"}),
		"runs-none": RunsPage(at(NavRuns, p.T("runs.title")), Runs{}),
		"run":       RunPage(at(NavRuns, p.T("kind.ping")), run),
		"run-over":  RunPage(at(NavRuns, p.T("kind.ping")), over),
	}
}

var usualColumns = connexa.DefaultListColumns(true, false)

func sampleRows() []NodeRow {
	row := func(id int64, s connexa.Status, address, login, city, state, country, provider string, o connexa.Outcome) NodeRow {
		return NodeRow{Node: connexa.Node{
			ID: id, Address: address, Port: 1723, Login: login, City: city, State: state, Country: country, Provider: provider,
			Verdict: connexa.Verdict{Status: s}, Last: o, Revision: 1,
			Basis: connexa.Basis{Kind: o.Kind, At: o.At, Reached: o.Reached, Cause: o.Cause},
		}}
	}
	probe := func(ago time.Duration, reached connexa.Step, cause connexa.Cause, ms, lost int) connexa.Outcome {
		return connexa.Outcome{Kind: connexa.Ping, At: now.Add(-ago), Reached: reached, Cause: cause, Latency: time.Duration(ms) * time.Millisecond, Attempts: 3, Lost: lost}
	}
	rows := []NodeRow{
		row(1, connexa.SpeedOK, "198.51.100.7", "edge-de-1", "Frankfurt", "HE", "DE", "Example Hosting", probe(12*time.Second, connexa.Internet, "", 18, 0)),
		row(2, connexa.SpeedOK, "203.0.113.21", "ops1", "Phoenix", "AZ", "US", "Example Cable", probe(40*time.Second, connexa.Internet, "", 142, 1)),
		row(3, connexa.SpeedOK, "203.0.113.58", "ops1", "Austin", "TX", "US", "Spectrum of Examples", probe(2*time.Minute, connexa.Resolve, "tcp.timeout", 0, 3)),
		row(4, connexa.SpeedSlow, "192.0.2.44", "branch-44", "Warszawa", "", "PL", "Orange Example", probe(3*time.Minute, connexa.Internet, "", 61, 0)),
		row(5, connexa.PingOK, "192.0.2.90", "branch-90", "Kraków", "", "PL", "Orange Example", probe(time.Second, connexa.TCP, "", 57, 0)),
		row(6, connexa.LoginOK, "a-rather-long-host-name.vpn.example.net", "office", "Amsterdam", "", "NL", "Example Lease", probe(4*time.Minute, connexa.IP, "", 22, 0)),
		row(7, connexa.LoginFailed, "198.51.100.130", "ops1", "Paris", "", "FR", "Example Cloud", probe(4*time.Minute, connexa.LCP, "auth.691", 31, 0)),
		row(8, connexa.TunnelFailed, "203.0.113.77", "ops3", "Toronto", "ON", "CA", "Example Bell", probe(5*time.Minute, connexa.Call, "gre.no_inbound", 97, 0)),
		row(9, connexa.PingFailed, "192.0.2.15", "ops1", "Newfoundland and Labrador Town", "NL", "CA", "", probe(2*time.Hour, connexa.TCP, "control.timeout", 0, 3)),
		row(10, connexa.PingFailed, "192.0.2.16", "ops1", "", "", "", "", probe(50*time.Hour, connexa.Resolve, "tcp.refused", 0, 3)),
		row(11, connexa.NotTested, "192.0.2.17", "ops1", "", "CA", "US", "Example Cable", connexa.Outcome{}),
	}
	rows[0].Last.DownBits, rows[0].Last.UpBits = 94_200_000, 41_800_000
	rows[3].Last.DownBits, rows[3].Last.UpBits = 800_000, 400_000
	rows[2].Failures = connexa.FailureStreaks{NoAnswer: 1}
	rows[2].Basis = connexa.Basis{Kind: connexa.Speed, At: now.Add(-time.Hour), Reached: connexa.Internet}
	rows[6].Basis.Kind, rows[6].Basis.At = connexa.Login, now.Add(-time.Hour) // pinged after its basis
	rows[6].Last.Reached, rows[6].Last.Cause = connexa.Control, ""
	rows[4].Testing = true
	rows[5].Basis.Reached, rows[5].Last.Reached = connexa.NoStep, connexa.NoStep // its service answered the probe
	rows[5].Port = 11723
	rows[1].Tags, rows[1].Comment = []string{"branch", "canada", "rented until March", "rack 4"}, "Rack 4, second from above; call Jo before a restart, and not on Fridays"
	rows[6].Peer, rows[6].AllowPAP, rows[6].Flapping, rows[6].Plain = connexa.Peer{Vendor: "MikroTik", Host: "edge-7", Firmware: 1}, true, true, true
	for i := int64(12); i < 24; i++ {
		rows = append(rows, row(i, connexa.PingOK, fmt.Sprintf("192.0.2.%d", 100+i), "ops1", "Phoenix", "AZ", "US", "Example Cable", probe(time.Hour, connexa.Control, "", 90+int(i), 0)))
	}
	for i := range rows {
		for n := range connexa.MaxSpark - 2*i {
			p := connexa.SparkPoint{Latency: time.Duration(20+30*i+n*7%11) * time.Millisecond}
			if n%9 == i {
				p = connexa.SparkPoint{Failed: true}
			}
			rows[i].Spark = append(rows[i].Spark, p)
		}
	}
	return rows
}

func sampleRungs() []connexa.StepResult {
	return []connexa.StepResult{
		{Step: connexa.Resolve, OK: true},
		{Step: connexa.TCP, OK: true, At: 97 * time.Millisecond},
		{Step: connexa.Control, OK: true, At: 198 * time.Millisecond},
		{Step: connexa.Call, OK: true, At: 302 * time.Millisecond},
		{Step: connexa.GRE, At: 12 * time.Second},
	}
}

func sampleNode() Node {
	entry := func(ago time.Duration, before, after connexa.Status, suspect bool, cause connexa.Cause, reached connexa.Step, result connexa.Result) connexa.Entry {
		return connexa.Entry{
			What: connexa.EntryProbe, At: now.Add(-ago), Before: before, After: after, Suspect: suspect, Result: result, By: "admin",
			Outcome: connexa.Outcome{Kind: connexa.Login, At: now.Add(-ago), Reached: reached, Cause: cause, Latency: 97 * time.Millisecond, Attempts: 1},
		}
	}
	last := entry(5*time.Minute, connexa.SpeedOK, connexa.TunnelFailed, false, "gre.no_inbound", connexa.Call, connexa.ResultBad)
	last.Trace = sampleRungs()
	last.Detail = connexa.Detail{Evidence: "0 GRE packets in 12.0 s, TCP still open", Transcript: []string{"→ Start-Control-Connection-Request", "← Start-Control-Connection-Reply result 1", "→ Outgoing-Call-Request call 16962", "← Outgoing-Call-Reply result 1"}}
	speed := entry(5*time.Hour, connexa.SpeedOK, connexa.SpeedOK, false, "", connexa.Internet, connexa.ResultGood)
	speed.Kind, speed.DownBits, speed.UpBits = connexa.Speed, 58_100_000, 10_900_000
	n := Node{
		Node: connexa.Node{
			ID: 8, Address: "203.0.113.77", Port: 1723, Login: "ops3", City: "Toronto", State: "ON", Country: "CA", Zip: "M5V 2T6", Provider: "Example Bell",
			Tags: []string{"branch", "canada"}, Comment: "Rack 4, renewed until March", Verdict: connexa.Verdict{Status: connexa.TunnelFailed},
			Peer: connexa.Peer{Vendor: "linux", Host: "local", Firmware: 1}, CreatedAt: now.AddDate(0, -2, 0), Last: last.Outcome,
		},
		Basis: &last,
		History: HistoryPage{CSV: "/nodes/8/history.csv", Older: "/nodes/8?before=1", Entries: []connexa.Entry{
			last, entry(9*time.Minute, connexa.SpeedOK, connexa.SpeedOK, true, "gre.no_inbound", connexa.Call, connexa.ResultBad), speed,
			{What: connexa.EntryEdited, At: now.Add(-30 * time.Hour), By: "admin", Before: connexa.LoginOK, After: connexa.NotTested},
			{What: connexa.EntryAdded, At: now.AddDate(0, -2, 0), By: "admin", After: connexa.NotTested},
		}},
		Kinds: []connexa.RunKind{connexa.RunPing}, Reveal: "/nodes/8/password",
	}
	for i := range 44 {
		result := map[bool]connexa.Result{true: connexa.ResultGood, false: []connexa.Result{connexa.ResultBad, connexa.ResultSlow, connexa.ResultCancelled}[i%3]}[i%7 != 0]
		n.Recent = append(n.Recent, connexa.Entry{What: connexa.EntryProbe, Result: result, Outcome: connexa.Outcome{Kind: connexa.Ping, At: now.Add(time.Duration(i-44) * time.Hour), Latency: 97 * time.Millisecond}})
	}
	n.Charts = NodeCharts{Period: connexa.LastWeek, From: now.AddDate(0, 0, -7), To: now}
	for _, period := range connexa.Periods() {
		n.Charts.Periods = append(n.Charts.Periods, PeriodLink{period, "/nodes/8?period=" + string(period)})
	}
	for i := range 7 * 24 {
		s := connexa.Bucket{At: n.Charts.From.Add(time.Duration(i) * time.Hour), Attempts: 3}
		if i%29 == 28 {
			s.Count(connexa.ResultBad)
		} else {
			s.Count(connexa.ResultGood)
			s.Latency.Add(int64(90_000 + i%13*2500))
		}
		if i%12 == 0 {
			s.Down.Add(int64(50+i%7) * 1e6)
			s.Up.Add(int64(9+i%3) * 1e6)
		}
		n.Charts.Buckets = append(n.Charts.Buckets, s)
	}
	return n
}

func sampleRun() Run {
	run := connexa.Run{
		ID: 3, Kind: connexa.RunPing, State: connexa.RunRunning, By: "admin", CreatedAt: now.Add(-80 * time.Second), Label: connexa.T("nodes.match", 640),
		Tally: connexa.Tally{Total: 640, Good: 301, Slow: 0, Bad: 107, Inconclusive: 4},
	}
	names := func(n int) (list []connexa.RunNode) {
		for i := range n {
			list = append(list, connexa.RunNode{ID: int64(i + 1), Address: fmt.Sprintf("192.0.2.%d", i+1), Port: 1723, Login: "ops1"})
		}
		return list
	}
	group := func(m connexa.Result, reached connexa.Step, c connexa.Cause, count int) RunGroup {
		return RunGroup{RunGroup: connexa.RunGroup{Result: m, Reached: reached, Cause: c, Count: count, Nodes: names(min(count, 8))}, Export: "/x.csv", Nodes: "/nodes?cause=" + string(c)}
	}
	return Run{
		Run: run,
		Bar: RunBar{PerSecond: 5.2, Left: 44 * time.Second},
		Groups: []RunGroup{
			group(connexa.ResultBad, connexa.Resolve, "tcp.timeout", 61), group(connexa.ResultBad, connexa.TCP, "control.not_pptp", 30),
			group(connexa.ResultBad, connexa.Resolve, "tcp.brand_new_cause", 16), group(connexa.ResultDeleted, connexa.NoStep, "", 4), group(connexa.ResultGood, connexa.Control, "", 301),
			group(connexa.ResultGood, connexa.NoStep, "", 3),
		},
	}
}

func sampleDashboard() Dashboard {
	v := Dashboard{
		Facets: connexa.Facets{
			Total: 4688, Suspect: 23,
			Statuses: map[connexa.Status]int{
				connexa.SpeedOK: 2914, connexa.LoginOK: 402, connexa.SpeedSlow: 188, connexa.LoginFailed: 311, connexa.TunnelFailed: 164, connexa.PingFailed: 527,
				connexa.PingOK: 23, connexa.NotTested: 159,
			},
			Causes: []connexa.Facet{{Value: "auth.691", Count: 311}, {Value: "tcp.timeout", Count: 302}, {Value: "gre.no_inbound", Count: 164}},
		},
		Uplink: connexa.Uplink{At: now, Found: connexa.Measurement{Down: 412_000_000, Up: 187_000_000}},
	}
	for i, code := range []string{"US", "DE", "-", "FR", "NL", "CA", "RU", "PL", "BR"} {
		v.Facets.Countries = append(v.Facets.Countries, connexa.Facet{Value: code, Count: 1600 / (i + 1)})
	}
	for i, from := range []int64{0, 1e6, 10e6, 100e6} {
		c := connexa.SpeedClass{From: from, To: max(from, 1e5) * 10, Count: []int{12, 400, 2600, 90}[i]}
		if i == 3 {
			c.To = 0
		}
		v.Fleet.Speeds = append(v.Fleet.Speeds, c)
	}
	for i := range 90 {
		v.Fleet.Days = append(v.Fleet.Days, connexa.FleetDay{At: now.AddDate(0, 0, i-90), Total: 4000 + 7*i, Validated: 2900 + 6*i})
	}
	n := sampleNode().Node
	n.Last.DownBits = 640_000
	v.Fleet.Slowest = []connexa.Node{n, n}
	v.Fleet.Flapping = []connexa.Flapper{{Node: n, Turns: 14}, {Node: n, Turns: 3}}
	v.Runs = []connexa.Run{sampleRun().Run}
	return v
}

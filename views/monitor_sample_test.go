package views

import (
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// monitorSamples returns pages with parts of the monitor.
func monitorSamples(p *i18n.Printer, at func(Nav, string, ...RunBar) Page) map[string]templ.Component {
	s := connexa.DefaultSettings()
	s.Monitor.On, s.Monitor.Tags, s.Monitor.Targets = true, "eu", "192.0.2.1:443, dns.example.net:53"
	set := SettingsOf(s)
	set.Monitor.Tried = []TriedTarget{{"192.0.2.1:443", true}, {"dns.example.net:53", false}}
	wrong := SettingsOf(s)
	wrong.Monitor.Values["monitor_targets"] = "192.0.2.1"
	wrong.Monitor.Errors = connexa.FieldErrors{
		"monitor_targets": connexa.T("field.monitor.target", "192.0.2.1"), "monitor_ping_minutes": connexa.T("field.bounds", 0, 1440),
	}
	board := sampleDashboard()
	board.Offer = true
	over := sampleRun()
	over.ID, over.State, over.FinishedAt, over.Offer = 2, connexa.RunDone, now.Add(-time.Minute), true
	node, down := sampleNode(), sampleNode()
	node.Flapping = true
	node.NextProbe = NextProbeOf(&connexa.Monitored{DueAt: now.Add(20 * time.Minute), LoginAt: now.Add(3 * time.Hour), Plan: connexa.PlanUp, Status: connexa.LoginOK, Tags: []string{"eu"}}, s.Monitor, now)
	down.NextProbe = NextProbeOf(&connexa.Monitored{DueAt: now.Add(26 * time.Hour), Plan: connexa.PlanRefused, Attempts: 2, Status: connexa.LoginFailed, Tags: []string{"eu"}}, s.Monitor, now)
	rows := sampleRows()
	rows[0].Flapping, rows[4].Flapping, rows[8].Flapping = true, true, true
	list := NodeList{
		Query: connexa.ListQuery{Sort: connexa.Sort{Key: connexa.SortStatus, Desc: true}, Size: 50}, Page: connexa.NodePage{Total: 11},
		Fleet: 11, Rows: rows, Kinds: []connexa.RunKind{connexa.RunPing},
	}
	facets := connexa.Facets{Total: 11, Flapping: 3, Suspect: 2, Statuses: map[connexa.Status]int{connexa.PingOK: 8, connexa.SpeedOK: 3}}
	its := []connexa.Run{
		{ID: 9, Kind: connexa.RunPing, State: connexa.RunRunning, Monitor: true, Label: connexa.T("run.label.monitor"), CreatedAt: now.Add(-time.Minute), Tally: connexa.Tally{Total: 160, Good: 90, Bad: 2}},
		{ID: 8, Kind: connexa.RunLogin, State: connexa.RunDone, Monitor: true, Label: connexa.T("run.label.monitor"), CreatedAt: now.Add(-4 * time.Minute), FinishedAt: now.Add(-3 * time.Minute), Tally: connexa.Tally{Total: 12, Good: 12}},
	}
	return map[string]templ.Component{
		"monitor-settings": Settings(at(NavSettings, p.T("settings.title")), set),
		"monitor-wrong":    Settings(at(NavSettings, p.T("settings.title")), wrong),
		"monitor-offer":    DashboardPage(at(NavDashboard, p.T("dash.title")), board),
		"monitor-run":      RunPage(at(NavRuns, p.T("kind.ping")), over),
		"monitor-node":     NodePage(at(NavNodes, "203.0.113.77"), node),
		"monitor-refused":  NodePage(at(NavNodes, "203.0.113.77"), down),
		"monitor-nodes":    NodesPage(at(NavNodes, p.T("nodes.title")), Nodes{NodeFilters{Facets: facets, Fleet: 4688}, list}),
		"monitor-runs":     RunsPage(at(NavRuns, p.T("runs.title")), Runs{Runs: its, Monitor: true, Older: "/runs?by=monitor&before=8"}),
		"monitor-none":     RunsPage(at(NavRuns, p.T("runs.title")), Runs{Monitor: true}),
	}
}

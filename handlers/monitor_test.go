package handlers

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// runMonitor stores one probe of a node, as the runner does.
func (p *panel) runMonitor(node int64, kind connexa.Kind, f connexa.Fact) {
	p.t.Helper()
	if _, err := p.db.StartRun(p.t.Context(), connexa.NewRun{Kind: connexa.RunKind(kind), By: "admin", Label: connexa.T("run.label.picked", 1), Selection: connexa.Selection{IDs: []int64{node}}}); err != nil {
		p.t.Fatal(err)
	}
	p.finishAll(kind, f)
}

func (p *panel) finishAll(kind connexa.Kind, f connexa.Fact) {
	p.t.Helper()
	jobs, err := p.db.Claim(p.t.Context(), kind, 100)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, j := range jobs {
		found := connexa.Probed{Fact: f, Result: connexa.ResultOf(f), Outcome: connexa.Outcome{Kind: kind, At: p.clock.now(), Reached: connexa.Control, Attempts: 1}}
		if _, err := p.db.Finish(p.t.Context(), j, found); err != nil {
			p.t.Fatal(err)
		}
	}
}

func TestTheMonitorIsOfferedAfterTheFirstGoodRun(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1")
	b.get("/").lacks(t, "offer-monitor")
	p.runMonitor(1, connexa.Ping, connexa.NoAnswer)
	b.get("/").lacks(t, "offer-monitor")
	b.get("/runs/1").lacks(t, "offer-monitor")
	p.runMonitor(1, connexa.Login, connexa.LoggedIn)
	b.get("/").contains(t, "Turn on automatic tests?").contains(t, `href="/settings#monitor"`)
	b.get("/runs/2").contains(t, "Turn on automatic tests?")
	b.get("/nodes").lacks(t, "offer-monitor")

	// A declined offer does not come back.
	b.post("/settings/monitor/decline").leadsTo(t, "/")
	b.get("/").lacks(t, "offer-monitor")
	b.get("/runs/2").lacks(t, "offer-monitor")
	if s, err := p.db.Settings(t.Context()); err != nil || s.Monitor.Offered.IsZero() || s.Monitor.On {
		t.Errorf("got %+v, %v; want an offered monitor that is off", s.Monitor, err)
	}
}

func TestMonitorSettings(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.get("/settings").contains(t, `id="monitor"`).contains(t, `name="monitor_ping_minutes" type="text" value="30"`).lacks(t, `value="1" checked`)
	good := []string{"monitor_on", "1", "monitor_tags", "eu,  us ", "monitor_ping_minutes", "15", "monitor_login_hours", "6", "monitor_targets", "192.0.2.1:443\n dns.example.net:53"}
	for _, bad := range []struct{ name, value, says string }{
		{"monitor_ping_minutes", "often", "from 0 to 1,440"},
		{"monitor_ping_minutes", "1441", "from 0 to 1,440"},
		{"monitor_login_hours", "-1", "from 0 to 720"},
		{"monitor_targets", "192.0.2.1", "is not a valid target"},
		{"monitor_targets", "192.0.2.1:0", "is not a valid target"},
		{"monitor_targets", "a:1,b:1,c:1,d:1,e:1,f:1,g:1,h:1,i:1", "At most 8 targets"},
	} {
		form := append([]string{}, good...)
		form[slices.Index(form, bad.name)+1] = bad.value
		b.post("/settings/monitor", form...).hasStatus(t, http.StatusUnprocessableEntity).contains(t, bad.says).contains(t, `value="eu,  us "`).contains(t, `value="1" checked`)
	}
	b.post("/settings/monitor", "monitor_on", "1", "monitor_ping_minutes", "0", "monitor_login_hours", "0").
		hasStatus(t, http.StatusUnprocessableEntity).contains(t, "interval above 0")
	if s, err := p.db.Settings(t.Context()); err != nil || s.Monitor != connexa.DefaultMonitorSettings() {
		t.Errorf("a refused form was saved: %+v, %v", s.Monitor, err)
	}

	b.post("/settings/monitor", good...).leadsTo(t, "/settings#monitor")
	s, err := p.db.Settings(t.Context())
	m := s.Monitor
	if err != nil || !m.On || m.PingInterval() != 15*time.Minute || m.LoginInterval() != 6*time.Hour || !slices.Equal(m.TagList(), []string{"eu", "us"}) ||
		!slices.Equal(m.TargetList(), []string{"192.0.2.1:443", "dns.example.net:53"}) || m.Offered.IsZero() {
		t.Errorf("got %+v, %v; want the settings of the form", m, err)
	}
	if got := p.auditActs(); got[:len("admin:settings_changed")] != "admin:settings_changed" {
		t.Errorf("audit: %s", got)
	}
	// The first form of the page does not change them.
	b.post("/settings", "concurrency", "12", "connect_rate", "50", "per_network", "8", "per_address", "1", "ping_attempts", "2", "history_raw_days", "30",
		"history_hour_days", "60", "history_day_days", "400", "encryption", "required").leadsTo(t, "/settings")
	if s, err := p.db.Settings(t.Context()); err != nil || s.Monitor != m || s.Concurrency != 12 {
		t.Errorf("%+v, %v", s, err)
	}
}

// answerFirst finds that the first target answers and the others are silent.
func answerFirst(_ context.Context, targets []string) []bool {
	answers := make([]bool, len(targets))
	answers[0] = true
	return answers
}

func TestTargetsAreTried(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.post("/settings/monitor/try", "monitor_ping_minutes", "7", "monitor_login_hours", "6", "monitor_targets", "192.0.2.1:443, 192.0.2.2:443").
		hasStatus(t, http.StatusOK).contains(t, "answers").contains(t, "silent").contains(t, `name="monitor_ping_minutes" type="text" value="7"`)
	b.post("/settings/monitor/try", "monitor_ping_minutes", "7", "monitor_targets", " ").hasStatus(t, http.StatusUnprocessableEntity).contains(t, "Enter a target")
	b.post("/settings/monitor/try", "monitor_ping_minutes", "7", "monitor_targets", "here").hasStatus(t, http.StatusUnprocessableEntity).contains(t, "is not a valid target")
	if s, err := p.db.Settings(t.Context()); err != nil || s.Monitor != connexa.DefaultMonitorSettings() {
		t.Errorf("trying has saved %+v, %v", s.Monitor, err)
	}
}

func TestRunsOfTheMonitorAreListedApart(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1")
	b.get("/runs?by=monitor").contains(t, "No monitor runs yet")
	p.runMonitor(1, connexa.Login, connexa.LoggedIn)
	runs, err := p.db.StartMonitorRun(t.Context(), connexa.MonitorRun{Ping: []int64{1}})
	if err != nil || len(runs) != 1 {
		t.Fatal(runs, err)
	}
	b.get("/runs").contains(t, "run-row-1").lacks(t, "run-row-2")
	b.get("/runs?by=monitor").contains(t, "run-row-2").contains(t, "the monitor").lacks(t, "run-row-1")
	b.get("/runs/2").contains(t, "the monitor")
	// Runs of the monitor have no bar unless they are paused and may ask something.
	b.get("/nodes").lacks(t, `id="run-bar-2"`).lacks(t, `href="/runs/2"`)
	b.get("/").lacks(t, `href="/runs/2"`)
	if err := p.db.PauseRun(t.Context(), 2, connexa.T("run.notice.uplink")); err != nil {
		t.Fatal(err)
	}
	b.get("/nodes").contains(t, `href="/runs/2"`).contains(t, "Is the panel offline?")
	b.get("/runs/2").contains(t, "Is the panel offline?")
	b.header.Set("Accept-Language", "ru")
	b.get("/runs/2").contains(t, "Панель без сети?").contains(t, "мониторинг")
}

func TestANodeSaysWhenItIsProbedNext(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1", "192.0.2.2")
	b.get("/nodes/1").contains(t, "The monitor is off.")
	err := p.db.ChangeSettings(t.Context(), func(s *connexa.Settings) error { s.Monitor.On = true; return nil })
	if err != nil {
		t.Fatal(err)
	}
	b.get("/nodes/1").contains(t, "This one has not.")
	p.runMonitor(1, connexa.Login, connexa.LoggedIn)
	b.get("/nodes/1").contains(t, "in the next run")
	plan := func(change func(*connexa.Monitored)) {
		t.Helper()
		w, err := p.db.MonitoredNode(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		next := *w
		if next.DueAt = p.clock.now().Add(time.Hour); w.DueAt.IsZero() {
			t.Fatal("it sleeps")
		}
		change(&next)
		if _, err := p.db.StartMonitorRun(t.Context(), connexa.MonitorRun{Plans: []connexa.Replan{{OldDue: w.DueAt, New: next}}}); err != nil {
			t.Fatal(err)
		}
	}
	plan(func(w *connexa.Monitored) { w.Plan = connexa.PlanUp })
	b.get("/nodes/1").contains(t, "The node is OK and is tested on schedule.").contains(t, "Ping, ")
	plan(func(w *connexa.Monitored) { w.Plan, w.Attempts = connexa.PlanDown, 4 })
	b.get("/nodes/1").contains(t, "tested 4 times since")
	plan(func(w *connexa.Monitored) { w.Earned = true })
	b.get("/nodes/1").contains(t, "a login test is due").contains(t, "Login test, ")
	plan(func(w *connexa.Monitored) { w.Earned, w.Plan, w.Attempts = false, connexa.PlanRefused, 2 })
	b.get("/nodes/1").contains(t, "tried once a day: 2 of 3")
	plan(func(w *connexa.Monitored) { w.Attempts, w.DueAt = 3, time.Time{} })
	b.get("/nodes/1").contains(t, "edit the node or test it yourself").contains(t, "not scheduled")
	err = p.db.ChangeSettings(t.Context(), func(s *connexa.Settings) error { s.Monitor.Tags = "eu"; return nil })
	if err != nil {
		t.Fatal(err)
	}
	b.get("/nodes/1").contains(t, "none of the monitored tags")
}

func TestAFlappingNodeIsMarked(t *testing.T) {
	p := startPanel(t)
	b := p.newBrowser().logIn()
	b.addNodes("192.0.2.1", "192.0.2.2")
	b.get("/nodes").lacks(t, "chip-flapping")
	for _, f := range []connexa.Fact{connexa.Answered, connexa.NoAnswer, connexa.Answered, connexa.NoAnswer} {
		p.clock.passTime(time.Minute)
		p.runMonitor(1, connexa.Ping, f)
	}
	b.get("/nodes/1").contains(t, "Flapping")
	b.get("/nodes?q=192.0.2.1").contains(t, "Failed or recovered three times")
	b.get("/nodes?flapping=1").contains(t, "192.0.2.1").lacks(t, "192.0.2.2").contains(t, "1 node")
}

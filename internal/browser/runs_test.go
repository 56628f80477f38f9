package browser

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
)

const (
	pingAll   = `#list header button[name=kind][value=ping]`
	barCancel = `#runs-bar form[action$="/cancel"] button`
)

// countRows returns an expression for the number of rows with a status.
func countRows(status string) string {
	return fmt.Sprintf(`document.querySelectorAll('#list tbody tr[data-key^=%s]').length`, quoteJS(status+"|"))
}

// addFleet starts a fleet and adds it to the panel.
func (p *panel) addFleet(nodes int, faults string) *lab.Fleet {
	p.t.Helper()
	fleet := labtest.Start(p.t, lab.Config{Nodes: nodes, Seed: 3, Faults: labtest.Faults(p.t, faults)})
	p.newClient().addNode(fleet.Nodes())
	return fleet
}

func TestRowsTurnWithoutReload(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	p.addFleet(30, "good=4,refuse=1")
	b := p.openTab(t)
	b.logIn()
	b.waitTrue(countRows("not_tested") + ` === 30`)
	b.mustRun(mark, chromedp.Evaluate[chromedp.Void](`
		window.turned = new Set();
		new MutationObserver(() => document.querySelectorAll("#list tbody tr:not([data-key^=not_tested])").forEach(row => turned.add(row.id)))
			.observe(document.querySelector("#list"), {subtree: true, childList: true, attributes: true});
		window.bars = 0;
		new MutationObserver(() => bars += document.querySelectorAll("#runs-bar .run").length)
			.observe(document.querySelector("#runs-bar").parentElement, {subtree: true, childList: true, characterData: true})`))
	b.clickOn(pingAll)
	b.waitTrue(countRows("ping_ok") + ` === 24 && ` + countRows("ping_failed") + ` === 6`)
	b.waitTrue(`window.seen && window.turned.size === 30 && window.bars > 0`)
	// The counts of the chips are updated too.
	b.waitTrue(`document.querySelector("#chip-ping_ok b").textContent === "24" && document.querySelector("#chip-ping_failed b").textContent === "6"`)
	if n := getValue[int](b, `[...document.querySelectorAll("#list tbody tr")].filter(row => row.querySelector(".why-cell").textContent.includes("connection refused")).length`); n != 6 {
		t.Errorf("%d rows say that the port is refused, want 6", n)
	}
	// A fresh page must equal the page that the stream has updated.
	const table = `[...document.querySelectorAll("#list tbody tr")].map(row => row.dataset.key).join("\n")`
	live := getValue[string](b, table)
	b.mustRun(chromedp.Reload())
	b.waitTrue(arrived)
	if fresh := getValue[string](b, table); fresh != live {
		t.Errorf("the page that was watched:\n%s\na fresh one:\n%s", live, fresh)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	p.addFleet(24, "good=1,silent=2")
	b := p.openTab(t)
	b.logIn()
	b.mustRun(mark)
	b.clickOn(pingAll)
	b.waitTrue(countRows("ping_ok") + ` === 8`) // the others are silent for 18 s
	b.clickOn(barCancel)
	// This takes 2 s on an idle machine. It must end before the first silent server has
	// failed.
	b.waitFor(6*time.Second, hasText("#runs-bar", "cancelled"))
	b.waitTrue(`window.seen && ` + countRows("not_tested") + ` === 16 && ` + countRows("ping_ok") + ` === 8`)
	b.waitTrue(`![...document.querySelectorAll("#list tbody .badge")].some(badge => badge.textContent.includes("Testing"))`)

	b.openPage("/runs")
	b.clickOn(`#list a[href^="/runs/"], .runs tbody a[href^="/runs/"]`)
	b.waitTrue(`/^\/runs\/\d+$/.test(location.pathname)`)
	b.waitTrue(hasText("main .badge", "Cancelled"))
	got := resultGroups(b)
	if total := sumCounts(got); total != 24 || got[""] != 0 {
		t.Errorf("the groups of the run are %v, together %d of 24", got, total)
	}
}

// resultGroups returns the counts on a run page by the titles of the groups.
func resultGroups(b *tab) map[string]int {
	b.t.Helper()
	return getValue[map[string]int](b, `Object.fromEntries([...document.querySelectorAll(".groups .group")].map(g => [g.querySelector("b").textContent.trim(), +g.querySelector(".n").textContent.replace(/\D/g, "")]))`)
}

func sumCounts(m map[string]int) (n int) {
	for v := range maps.Values(m) {
		n += v
	}
	return n
}

func TestTwoTabs(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	p.addFleet(12, "good=1,silent=1")
	b := p.openTab(t)
	b.logIn()
	other := b.newTab()
	other.openPage("/settings") // the bar is on every page
	other.waitLive()
	third := b.newTab()
	third.openPage("/nodes?status=not_tested")
	third.waitLive()
	other.mustRun(mark)
	third.mustRun(mark)

	b.clickOn(pingAll)
	other.waitTrue(`window.seen && ` + hasText("#runs-bar", "of 12"))
	third.waitTrue(`window.seen && ` + countRows("ping_ok") + ` === 6`)
	// A reload keeps the progress.
	b.mustRun(chromedp.Reload())
	b.waitTrue(arrived + ` && ` + hasText("#runs-bar", "6 of 12"))
	b.waitLive()
	// A cancel in one tab is visible in the others.
	other.clickOn(barCancel)
	b.waitTrue(hasText("#runs-bar", "cancelled"))
	third.waitTrue(hasText("#runs-bar", "cancelled") + ` && window.seen`)
}

// causes are the sentences for the causes that simulated servers produce.
var causes = map[string]string{
	"tcp.refused":      "connection refused",
	"control.timeout":  "port open, no PPTP answer",
	"control.not_pptp": "not a PPTP server",
	"control.half":     "answer cut short",
	"control.reset":    "control connection reset",
	"control.rejected": "the server refused the control connection",
	"control.version":  "another protocol version",
}

// nodeVerdicts checks that every row of the node list shows the expected status and
// cause of its server.
func nodeVerdicts(b *tab, fleet *lab.Fleet) {
	b.t.Helper()
	type row struct{ Key, Why, Badge string }
	got := getValue[map[string]row](b, `Object.fromEntries([...document.querySelectorAll("#list tbody tr")].map(row => [
		row.querySelector(".where a").textContent.trim(),
		{Key: row.dataset.key, Why: row.querySelector(".why-cell").textContent.trim(), Badge: row.querySelector(".badge").textContent.trim()}]))`)
	for _, n := range fleet.Nodes() {
		want := n.Behaviour.Expect()
		r, ok := got[n.Addr.Addr().String()]
		if !ok {
			b.t.Errorf("%v (%v) is missing", n.Addr, n.Behaviour)
			continue
		}
		key := strings.Split(r.Key, "|") // status, step, cause, …
		if key[0] != want.Status || key[2] != want.Cause {
			b.t.Errorf("%v (%v) ended as %s %s, want %s %s", n.Addr, n.Behaviour, key[0], key[2], want.Status, want.Cause)
		}
		if badge := map[string]string{"ping_ok": "Ping OK", "ping_failed": "Ping failed"}[want.Status]; r.Badge != badge {
			b.t.Errorf("%v (%v) has the badge %q, want %q", n.Addr, n.Behaviour, r.Badge, badge)
		}
		if want.Cause != "" && !strings.Contains(r.Why, causes[want.Cause]) {
			b.t.Errorf("%v (%v) gives the reason %q, want %q", n.Addr, n.Behaviour, r.Why, causes[want.Cause])
		}
		delete(got, n.Addr.Addr().String())
	}
	for _, address := range slices.Sorted(maps.Keys(got)) {
		b.t.Errorf("%s is no server of the fleet", address)
	}
}

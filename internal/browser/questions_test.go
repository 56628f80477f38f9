package browser

import (
	"context"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

const (
	loginAll = `#list header button[name=kind][value=login]`
	ended    = `[...document.querySelectorAll("main .head .badge")].some(badge => badge.textContent.includes("Done"))`
	// silence is the maximum time until a silent server has failed.
	silence = time.Minute
)

// needTunnels skips a test if this machine cannot open tunnels, or fails it if
// skipping is forbidden.
func needTunnels(t *testing.T) {
	t.Helper()
	needProgram(t)
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	if err := gre.SelfTest(ctx, gre.Raw); err != nil {
		if os.Getenv("CONNEXA_NO_SKIP") != "" {
			t.Fatal(err)
		}
		t.Skipf("tunnels need raw sockets: %v", err)
	}
}

// groupButton returns an expression for an element of the run group with a title.
func groupButton(title, selector string) string {
	return `[...document.querySelectorAll(".groups .group")].find(g => g.querySelector("b").textContent.trim() === ` + quoteJS(title) + `)?.querySelector(` + quoteJS(selector) + `)`
}

// pressIn clicks the element of an expression when it exists.
func (b *tab) pressIn(expression string) {
	b.t.Helper()
	b.waitTrue(`!!` + expression)
	b.mustRun(chromedp.Evaluate[chromedp.Void](expression + `.click()`))
}

// Before any session from this machine has passed GRE, failures at GRE may be caused
// by a firewall in front of this machine.
func TestManyServersThatStopAtGRE(t *testing.T) {
	t.Parallel()
	needTunnels(t)
	p := startPanel(t)
	p.addFleet(24, "gre:silent=1")
	b := p.openTab(t)
	b.logIn()
	b.openPage("/nodes")
	b.waitLive()
	b.waitTrue(countRows("not_tested") + ` === 24`)
	b.clickOn(loginAll)
	b.waitTrue(hasText("#runs-bar", "of 24"))
	list := b.newTab()
	list.openPage("/nodes")
	list.waitLive()

	b.openPage("/runs/1")
	b.waitLive()
	b.mustRun(mark)
	b.waitFor(silence, hasText(".run-page .banner", "IP protocol 47")+` && `+hasText("main .head .badge", "Paused"))
	b.waitTrue(`window.seen && ` + hasText("#runs-bar", "0 of 24"))
	// The results are not applied to the nodes yet.
	list.waitTrue(countRows("not_tested") + ` === 24`)

	b.clickOn(`form[action$="/decide/discard"] button`)
	b.waitFor(silence, `window.seen && `+ended)
	if got := resultGroups(b); got["Inconclusive."] != 24 || sumCounts(got) != 24 {
		t.Errorf("after they were discarded the groups are %v", got)
	}
	list.waitTrue(countRows("not_tested") + ` === 24 && ![...document.querySelectorAll("#list tbody .badge")].some(badge => badge.textContent.includes("Testing"))`)

	b.clickOn(`.top form[action$="/retry"] button`)
	b.waitTrue(pathIs("/runs/2"))
	b.waitLive()
	b.waitFor(silence, `!!document.querySelector('form[action$="/decide/accept"] button')`)
	b.clickOn(`form[action$="/decide/accept"] button`)
	b.waitFor(silence, ended)
	const cause = "No GRE came: blocked on the path, or the server is slow."
	if got := resultGroups(b); got[cause] != 24 || sumCounts(got) != 24 {
		t.Errorf("after they were accepted the groups are %v", got)
	}
	list.waitTrue(countRows("tunnel_failed") + ` === 24`)
	// The group links to its nodes.
	b.pressIn(groupButton(cause, `a[href^="/nodes?"]`))
	b.waitTrue(`location.pathname === "/nodes" && ` + countRows("tunnel_failed") + ` === 24 && ` + hasText("#list header", "no GRE came: blocked on the path, or the server is slow"))
}

// addRefusedLogins adds the nodes of the fleet, and eight more logins at each server that
// refuses them.
func addRefusedLogins(c *client, fleet *lab.Fleet) {
	c.addNode(fleet.Nodes())
	for _, n := range fleet.Nodes() {
		if n.Behaviour.Session.Refuse == 0 {
			continue
		}
		for _, login := range []string{"one", "two", "three", "four", "five", "six", "seven", "eight"} {
			c.postForm("/nodes", url.Values{"address": {n.Addr.Addr().String()}, "port": {"1723"}, "login": {login}, "password": {"Blue-Kite-7"}, "encryption": {""}})
		}
	}
}

// TestLoginsThatAreHeldBack checks that several refused logins in a row at one address
// hold the other logins of that address, until the admin continues.
func TestLoginsThatAreHeldBack(t *testing.T) {
	t.Parallel()
	needTunnels(t)
	p := startPanel(t)
	fleet := labtest.Start(t, lab.Config{Nodes: 3, Seed: 3, Faults: labtest.Faults(t, "login-refused:691=1,silent=1,mppe:none=1")})
	addRefusedLogins(p.newClient(), fleet)
	b := p.openTab(t)
	b.logIn()
	b.openPage("/nodes")
	b.waitLive()
	b.waitTrue(countRows("not_tested") + ` === 11`)
	b.mustRun(mark)
	b.clickOn(loginAll)
	b.waitTrue(countRows("login_failed") + ` === 5 && ` + countRows("login_ok") + ` === 1 && window.seen`)
	// The row of a session without encryption shows that.
	if n := getValue[int](b, `[...document.querySelectorAll("#list tbody tr")].filter(row => row.querySelector(".why-cell").textContent.includes("no encryption")).length`); n != 1 {
		t.Errorf("got %d rows without encryption, want 1", n)
	}

	// The silent server keeps the run running.
	b.openPage("/runs/1")
	b.waitLive()
	b.waitTrue(hasText(".run-page .banner", "held after five refusals"))
	if got := resultGroups(b); got["Held."] != 4 {
		t.Errorf("the groups are %v", got)
	}
	b.mustRun(mark)
	b.clickOn(`.run-page .banner form[action$="/decide/go"] button`)
	b.waitTrue(`!document.querySelector('.run-page .banner form[action$="/decide/go"]') && window.seen`)
	b.openPage("/runs/2")
	b.waitTrue(ended)
	const cause = "Wrong login or password."
	if got := resultGroups(b); got[cause] != 4 || sumCounts(got) != 4 {
		t.Errorf("after the answer the groups are %v", got)
	}

	// A finished run can be decided too: its group has the button.
	b.openPage("/nodes?status=login_failed")
	b.waitTrue(countRows("login_failed") + ` === 9`)
	b.waitLive()
	b.clickOn(loginAll)
	b.waitTrue(hasText("#runs-bar", "of 9"))
	b.openPage("/runs/3")
	b.waitTrue(ended)
	held := resultGroups(b)["Held."]
	if held == 0 {
		t.Fatalf("the groups of the third run are %v", resultGroups(b))
	}
	b.pressIn(groupButton("Held.", `form[action$="/decide/go"] button`))
	b.waitTrue(pathIs("/runs/4"))
	b.waitTrue(ended)
	if got := resultGroups(b); sumCounts(got) != held {
		t.Errorf("%d were held back, and the groups of the run that follows are %v", held, got)
	}
}

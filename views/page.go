// Package views draws the pages: templ components over view models. A view
// model is a plain struct of values that are ready to be shown; components know
// no store, no request and no session. Words, numbers and times come from the
// i18n.Printer in the context.
package views

import (
	"context"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// Nav names an entry of the main menu.
type Nav string

// The entries. NavNone marks none of them.
const (
	NavNone      Nav = ""
	NavDashboard Nav = "dashboard"
	NavNodes     Nav = "nodes"
	NavImport    Nav = "import"
	NavRuns      Nav = "runs"
	NavServices  Nav = "services"
	NavClients   Nav = "clients"
	NavAudit     Nav = "audit"
	NavSettings  Nav = "settings"
	NavAccount   Nav = "account"
)

// Theme is the reader's choice of colours. The empty theme follows the system.
type Theme string

// The themes.
const (
	ThemeSystem Theme = ""
	ThemeLight  Theme = "light"
	ThemeDark   Theme = "dark"
)

// Page is what surrounds the content of every page.
type Page struct {
	Title   string // in the reader's language
	Nav     Nav
	Account string // name of the person logged in
	Here    string // path and query of this page, to come back to
	Theme   Theme
	Stream  string // address of the page's events; empty: none, or the content has its own Stream
	Narrow  bool   // content is read rather than scanned
	Charts  bool   // it has some
	Nodes   int    // counts beside the menu's entries; zero shows nothing
	Live    int    // runs that are going on
	Serving int    // services that are wanted
	Runs    []RunBar
	Banners []Banner
	Toasts  []Toast

	Deletion Deletion // of many nodes, behind the pages
}

// Tone is what a colour means.
type Tone string

// The tones.
const (
	ToneNone Tone = ""
	ToneInfo Tone = "info"
	ToneGood Tone = "good"
	ToneWarn Tone = "warn"
	ToneBad  Tone = "bad"
)

// Toast is a short word about an outcome. It goes away by itself, unless it is
// bad news.
type Toast struct {
	Tone Tone
	Text connexa.Text
}

// Banner stays on every page until its reason is gone.
type Banner struct {
	ID     string // of the element, "banner-key"
	Tone   Tone
	Title  connexa.Text
	Text   connexa.Text
	Action *Action // may be nil
}

// Action is a button that posts to URL, or a link when Get is set.
type Action struct {
	Text connexa.Text
	URL  string
	Get  bool
}

// entry is one line of the main menu.
type entry struct {
	nav   Nav
	url   string
	icon  string
	name  string
	count int
}

func (pg Page) menuEntries(ctx context.Context) []entry {
	p := i18n.From(ctx)
	return []entry{
		{NavDashboard, "/", "dashboard", p.T("nav.dashboard"), 0},
		{NavNodes, "/nodes", "nodes", p.T("nav.nodes"), pg.Nodes},
		{NavImport, "/imports", "import", p.T("nav.import"), 0},
		{NavRuns, "/runs", "runs", p.T("nav.runs"), pg.Live},
		{NavServices, "/services", "services", p.T("services.title"), pg.Serving},
		{NavClients, "/clients", "people", p.T("nav.clients"), 0},
		{NavAudit, "/audit", "audit", p.T("nav.audit"), 0},
		{NavSettings, "/settings", "settings", p.T("nav.settings"), 0},
	}
}

// iconName is the sign of a tone, so that colour is never alone.
func (t Tone) iconName() string {
	switch t {
	case ToneGood:
		return "success"
	case ToneWarn:
		return "warning"
	case ToneBad:
		return "error"
	default:
		return "info"
	}
}

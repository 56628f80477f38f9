// Package views renders the pages with templ components from view models. A view model
// is a plain struct of values that are ready to show; components use no store, request
// or session. Texts, numbers and times come from the i18n.Printer in the context.
package views

import (
	"context"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// Nav identifies an entry of the main menu.
type Nav string

// These are the entries of the main menu. NavNone marks none of them as current.
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

const (
	ThemeSystem Theme = ""
	ThemeLight  Theme = "light"
	ThemeDark   Theme = "dark"
)

// Page holds what surrounds the content of every page.
type Page struct {
	Title   string // in the reader's language
	Nav     Nav
	Account string // name of the account
	Here    string // path and query of this page, for the return from a form
	Theme   Theme
	Stream  string // URL of the page's event stream; empty if there is none, or the content has its own Stream
	Narrow  bool   // limit the width, for pages with running text
	Charts  bool   // the page has charts
	Nodes   int    // counts beside the menu entries; 0 is not shown
	Live    int    // running runs
	Serving int    // enabled services
	Runs    []RunBar
	Banners []Banner
	Acts    []connexa.BulkAct // that are going on
	Toasts  []Toast
}

// Tone is the meaning of a colour.
type Tone string

const (
	ToneNone Tone = ""
	ToneInfo Tone = "info"
	ToneGood Tone = "good"
	ToneWarn Tone = "warn"
	ToneBad  Tone = "bad"
)

// Toast is a short message about an outcome. It disappears by itself unless its Tone
// is ToneBad.
type Toast struct {
	Tone Tone
	Text connexa.Text
	Undo int64 `json:",omitempty"` // id of the act that a button undoes; zero: no button
}

// Banner is shown on every page as long as its reason lasts.
type Banner struct {
	ID     string // id of the element, "banner-key"
	Tone   Tone
	Title  connexa.Text
	Text   connexa.Text
	Action *Action // optional
}

// Action is a button that posts to URL, or a link if Get is set.
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

// iconName returns the icon of a tone, because colour alone is not accessible.
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

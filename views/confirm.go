package views

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// ConfirmDeleteOne is ConfirmDelete for a single node, whose name it shows.
func ConfirmDeleteOne(p *i18n.Printer, n connexa.Node, selection url.Values) Confirm {
	c := ConfirmDelete(p, 1, selection)
	c.Text = p.T("acts.delete.one", serverText(n.Address, n.Port), n.Login)
	return c
}

// ConfirmDelete asks for confirmation before n nodes are deleted. selection is the
// posted form that chose them. The confirmed form contains it, together with "yes" and
// n, so that no more than n nodes are deleted.
func ConfirmDelete(p *i18n.Printer, n int, selection url.Values) Confirm {
	fields := slices.DeleteFunc(hiddenFields(selection), func(h Hidden) bool { return h.Name == "yes" || h.Name == "count" })
	return Confirm{
		Title:  p.T("nodes.delete.title", n),
		Text:   p.T("acts.delete.text"),
		URL:    "/nodes/delete",
		Button: p.T("nodes.delete.button", n),
		Danger: true,
		Fields: append(fields, Hidden{"count", strconv.Itoa(n)}, Hidden{"yes", "1"}),
	}
}

// ConfirmPurge asks for confirmation before n nodes of the bin are deleted for good.
// selection is as in ConfirmDelete.
func ConfirmPurge(p *i18n.Printer, n int, selection url.Values) Confirm {
	return Confirm{
		Title: p.T("bin.purge.title", n), Text: p.T("bin.purge.text"), Warning: p.T("bin.purge.warning"), URL: "/bin/purge", Button: p.T("bin.purge.button"), Danger: true,
		Fields: append(hiddenFields(selection), Hidden{"count", strconv.Itoa(n)}, Hidden{"yes", "1"}),
	}
}

// submitAttrs returns the attributes of the button that answers.
func (c Confirm) submitAttrs() templ.Attributes {
	if !c.InDialog {
		return nil
	}
	return asksText(c.URL)
}

// ConfirmRemoveEndpoint asks for confirmation before a speed endpoint and its token
// are removed.
func ConfirmRemoveEndpoint(p *i18n.Printer, e connexa.Endpoint) Confirm {
	return Confirm{
		Title: p.T("speed.remove.title", e.Name()), Text: p.T("speed.remove.text"), Warning: p.T("speed.remove.warning"),
		URL: "/speed/endpoints/remove", Button: p.T("speed.remove"), Danger: true, Fields: append(endpointFields(e), Hidden{"yes", "1"}),
	}
}

// ConfirmDeleteProfile asks for confirmation before an unusable profile is removed
// from the list.
func ConfirmDeleteProfile(p *i18n.Printer, x connexa.Profile) Confirm {
	return Confirm{
		Title: p.T("profile.delete.title", x.Label, x.Client), Text: p.T("profile.delete.text"), Warning: p.T("profile.delete.warning"),
		URL: profileURL(x.ID) + "/delete", Button: p.T("profile.delete"), Danger: true, Fields: []Hidden{{"yes", "1"}},
	}
}

// ConfirmUndo asks for confirmation before an import is undone. The confirmed form
// contains the plan, so that nothing else is done than what the question said.
func ConfirmUndo(p *i18n.Printer, i connexa.Import, plan connexa.UndoPlan) Confirm {
	c := Confirm{
		Title: p.T("import.undo.title", importName(p, i)), Text: countsText(p, keyCount{"import.undo.remove", plan.Remove}, keyCount{"import.undo.restore", plan.Restore}, keyCount{"import.undo.keep", plan.Keep}),
		URL: importURL(i.ID) + "/undo", Button: p.T("import.undo"), Danger: true,
		Fields: []Hidden{{"yes", "1"}, {"remove", strconv.Itoa(plan.Remove)}, {"restore", strconv.Itoa(plan.Restore)}, {"keep", strconv.Itoa(plan.Keep)}},
	}
	if plan.Restore > 0 {
		c.Warning = p.T("import.undo.warning")
	}
	return c
}

// keyCount is a sentence of the catalogue about a number of nodes.
type keyCount struct {
	key string
	n   int
}

// countsText joins sentences, without those about no node.
func countsText(p *i18n.Printer, counts ...keyCount) string {
	var said []string
	for _, c := range counts {
		if c.n > 0 {
			said = append(said, p.T(c.key, c.n))
		}
	}
	return strings.Join(said, " ")
}

package handlers

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// copiedNodes is the maximum number of nodes whose lines a page offers to copy. An export
// has no limit.
const copiedNodes = 1000

// copyNodes answers POST /nodes/copy with the lines of a selection in one shape, to be
// copied. A shape with passwords requires a recent authentication.
func (h *Handlers) copyNodes(w http.ResponseWriter, r *http.Request) error {
	s, err := formSelection(r)
	if err != nil {
		return err
	}
	c := views.CopyForm{Shape: views.CopyShape(r.PostForm.Get("shape")), Fields: views.HiddenOf(selectionValues(s)), Back: pageBefore(r)}
	if !slices.Contains(views.CopyShapes(), c.Shape) {
		c.Shape = views.CopyHostPort
	}
	if c.Shape.Secret() && !h.recentlyAuthenticated(w, r) {
		return nil
	}
	n, err := h.nodes.CountNodes(r.Context(), s)
	switch {
	case err != nil:
		return err
	case n > copiedNodes:
		return connexa.Errorf(connexa.Invalid, "copy.many", copiedNodes)
	case n == 0:
		return connexa.Errorf(connexa.NotFound, "nodes.select.none")
	}
	c.Count = n
	if c.Text, err = h.linesOf(r, s, c); err != nil {
		return err
	}
	if isHTMX(r) {
		if r.PostForm.Has("shape") {
			return h.renderFragment(w, r, views.CopyFormPart(c))
		}
		return h.renderFragment(w, r, views.CopyDialog(c))
	}
	return h.renderPage(w, r, views.CopyPage(h.layoutData(w, r, connexa.T("copy.title", n), views.NavNodes), c))
}

// linesOf returns the nodes of a selection in a shape, one a line.
func (h *Handlers) linesOf(r *http.Request, s connexa.Selection, c views.CopyForm) (string, error) {
	ctx := r.Context()
	if c.Shape == views.CopyCSV {
		return h.tableLines(r, s, c.Back)
	}
	var b strings.Builder
	write := func(n *connexa.Node, password connexa.Secret) {
		switch c.Shape {
		case views.CopyAddress:
			b.WriteString(n.Address)
		case views.CopyLogin:
			b.WriteString(n.Login + ":" + password.Reveal())
		case views.CopyFull:
			b.WriteString(n.HostPort() + ":" + n.Login + ":" + password.Reveal())
		default:
			b.WriteString(n.HostPort())
		}
		b.WriteByte('\n')
	}
	passwords := make(map[int64]connexa.Secret)
	if c.Shape.Secret() {
		exported, err := h.nodes.ExportNodes(ctx, s, true)
		if err != nil {
			return "", err
		}
		for e, err := range exported {
			if err != nil {
				return "", err
			}
			passwords[e.ID] = e.Password
		}
	}
	nodes, err := h.selectedNodes(ctx, s, c.Back)
	for i := range nodes {
		write(&nodes[i], passwords[nodes[i].ID])
	}
	return b.String(), err
}

// tableLines returns rows of the table as CSV, with the columns of the list that the
// reader sees.
func (h *Handlers) tableLines(r *http.Request, s connexa.Selection, back string) (string, error) {
	ctx := r.Context()
	nodes, err := h.selectedNodes(ctx, s, back)
	if err != nil {
		return "", err
	}
	rows, err := h.rowsOf(ctx, nodes)
	if err != nil {
		return "", err
	}
	d, err := h.readDisplay(r, queryOf(listPath(back)))
	if err != nil {
		return "", err
	}
	list := views.NodeList{Page: connexa.NodePage{Nodes: nodes}, Serves: h.services.Serves()}
	d.setDisplay(&list)
	var b strings.Builder
	w := csv.NewWriter(&b)
	for i := range rows {
		cells := views.TableLine(i18n.From(ctx), list.Columns, &rows[i])
		for k, cell := range cells {
			cells[k] = connexa.EscapeCell(cell)
		}
		if err := w.Write(cells); err != nil {
			return "", fmt.Errorf("write a line: %w", err)
		}
	}
	w.Flush()
	return b.String(), w.Error()
}

// selectedNodes returns the nodes of a selection in the order of the list that the reader
// sees.
func (h *Handlers) selectedNodes(ctx context.Context, s connexa.Selection, back string) ([]connexa.Node, error) {
	return h.nodes.OrderedNodes(ctx, s, connexa.ParseSort(queryOf(listPath(back)).Get("sort")), copiedNodes)
}

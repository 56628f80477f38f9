package handlers

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// facetsEvery is the minimum interval between two drawings of the counts beside the
// filters.
const facetsEvery = 500 * time.Millisecond

// nodesStreamURL returns the stream URL of a list with exactly these rows and columns. The
// rows were read after mark.
func nodesStreamURL(f connexa.Filter, nodes []connexa.Node, columns []connexa.ListColumn, mark string) string {
	v := f.Values()
	v.Set("mark", mark)
	v.Set("page", "nodes")
	v.Set("rows", encodeRows(idsOf(nodes)))
	v.Set("cols", connexa.FormatListColumns(columns))
	return "/events?" + v.Encode()
}

// nodesPageStream returns the page stream of the node list. v is the query of nodesStreamURL.
func (h *Handlers) nodesPageStream(v url.Values) (*pageStream, error) {
	ids, err := decodeRows(v.Get("rows"))
	if err != nil {
		return nil, err
	}
	filter, err := connexa.ParseFilter(v)
	if err != nil {
		return nil, err
	}
	f := &pageStream{rows: make(map[int64]bool, len(ids)), mark: v.Get("mark"), services: true, every: facetsEvery}
	for _, id := range ids {
		f.rows[id] = true
	}
	columns := connexa.ParseListColumns(v.Get("cols"))
	if columns == nil {
		columns = connexa.DefaultListColumns(false, h.services.Serves())
	}
	f.panelName = "nodes " + filter.String()
	left := make(map[int64]bool, len(ids))
	for _, id := range ids {
		left[id] = true
	}
	f.row = func(ctx context.Context, ids []int64) ([]templ.Component, error) {
		parts, gone, err := h.sharedRows(ctx, ids, columns, f.since)
		for _, id := range gone {
			delete(left, id)
		}
		if err == nil && len(gone) > 0 && len(left) == 0 {
			parts = append(parts, views.NodesAgain(views.NodesURL(connexa.ListQuery{Filter: filter})))
		}
		return parts, err
	}
	// A run publishes its progress far less often than its nodes.
	f.wants = func(e connexa.Event) bool { return e.Topic == connexa.FleetChanged || e.Topic == connexa.RunChanged }
	f.panel = func(ctx context.Context) ([]templ.Component, error) {
		filters, err := h.nodeFilters(ctx, filter)
		if err != nil {
			return nil, err
		}
		return []templ.Component{views.FacetsPartial(filters)}, nil
	}
	return f, nil
}

// firstStream is the stream URL of a node list without nodes.
const firstStream = "/events?page=first"

// emptyNodesPageStream returns the page stream of a node list without nodes, which waits for the
// first node.
func (h *Handlers) emptyNodesPageStream() *pageStream {
	return &pageStream{
		every: time.Second,
		wants: func(e connexa.Event) bool { return e.Topic == connexa.FleetChanged },
		panel: func(ctx context.Context) ([]templ.Component, error) {
			n, err := h.nodes.CountNodes(ctx, connexa.Selection{All: true})
			if err != nil || n == 0 {
				return nil, err
			}
			return []templ.Component{views.NodesAgain("/nodes")}, nil
		},
	}
}

// sharedRows draws the current rows of the node list, to be swapped in, from values that
// were read at since or later. The rows of deleted nodes are removed.
func (h *Handlers) sharedRows(ctx context.Context, ids []int64, columns []connexa.ListColumn, since time.Time) (parts []templ.Component, gone []int64, err error) {
	prefix := sharedName(ctx, "row", connexa.FormatListColumns(columns)) + " "
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = prefix + strconv.FormatInt(id, 10)
	}
	rows, err := h.shared.get(ctx, names, since, func(ctx context.Context, missing []string) (map[string]sharedPart, error) {
		ids := make([]int64, len(missing))
		for i, name := range missing {
			if ids[i], err = strconv.ParseInt(strings.TrimPrefix(name, prefix), 10, 64); err != nil {
				return nil, err
			}
		}
		rows, err := h.nodeRows(ctx, ids, columns)
		if err != nil {
			return nil, err
		}
		drawn := make(map[string]sharedPart, len(rows))
		for id, html := range rows {
			drawn[prefix+strconv.FormatInt(id, 10)] = sharedPart{html: html}
		}
		return drawn, nil
	})
	if err != nil {
		return nil, nil, err
	}
	for i, id := range ids {
		if row, ok := rows[names[i]]; ok {
			parts = append(parts, templ.Raw(row.html))
		} else {
			gone = append(gone, id)
			parts = append(parts, views.RowGone(id))
		}
	}
	return parts, gone, nil
}

// nodeRows draws the current rows of nodes that exist.
func (h *Handlers) nodeRows(ctx context.Context, ids []int64, columns []connexa.ListColumn) (map[int64]string, error) {
	nodes, err := h.nodes.NodesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	rows, err := h.rowsOf(ctx, nodes)
	if err != nil {
		return nil, err
	}
	drawn := make(map[int64]string, len(rows))
	for _, row := range rows {
		if drawn[row.ID], err = renderParts(ctx, views.RowSwap(columns, row)); err != nil {
			return nil, err
		}
	}
	return drawn, nil
}

// nodeStreamURL returns the stream URL of a node page with that part of its history.
func nodeStreamURL(id int64, at historyQuery) string {
	v := at.queryValues()
	v.Set("page", "node")
	v.Set("id", strconv.FormatInt(id, 10))
	return "/events?" + v.Encode()
}

// nodePageStream returns the page stream of a node page. v is the query of nodeStreamURL.
func (h *Handlers) nodePageStream(v url.Values) (*pageStream, error) {
	id, err := strconv.ParseInt(v.Get("id"), 10, 64)
	if err != nil || id <= 0 {
		return nil, connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	at := readHistoryQuery(v)
	return &pageStream{
		rows: map[int64]bool{id: true}, services: true,
		row: func(ctx context.Context, _ []int64) ([]templ.Component, error) {
			n, err := h.nodeView(ctx, id, at)
			if connexa.CodeOf(err) == connexa.NotFound {
				gone := views.Toast{Tone: views.ToneWarn, Text: connexa.T("node.gone")}
				return []templ.Component{views.ToastPartial(gone)}, nil
			}
			if err != nil {
				return nil, err
			}
			return []templ.Component{views.NodePartial(n)}, nil
		},
	}, nil
}

package handlers

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// clientsSize is the number of clients per page.
const clientsSize = 100

// clientList says which clients are listed.
type clientList struct {
	text  string
	state string // one of views.ClientStates; empty: all
	page  int    // from 1
}

func readClientList(v url.Values) clientList {
	l := clientList{text: strings.TrimSpace(v.Get("q")), state: v.Get("state"), page: 1}
	if !slices.Contains(views.ClientStates(), l.state) {
		l.state = ""
	}
	if page, err := strconv.Atoi(v.Get("page")); err == nil && page > 1 {
		l.page = page
	}
	return l
}

// listClients answers GET /clients: the whole page, or only the list when htmx requests
// another part of it.
func (h *Handlers) listClients(w http.ResponseWriter, r *http.Request) error {
	v, err := h.clientsView(r.Context(), readClientList(r.URL.Query()))
	if err != nil {
		return err
	}
	if isHTMX(r) && strings.HasSuffix(r.Header.Get("HX-Target"), "#clients") {
		return h.renderFragment(w, r, views.ClientListPart(v))
	}
	pg := h.layoutData(w, r, connexa.T("clients.title"), views.NavClients)
	pg.Stream = "" // the list has a stream of its own for its rows
	return h.renderPage(w, r, views.ClientListPage(pg, v))
}

func (h *Handlers) clientsView(ctx context.Context, l clientList) (views.ClientList, error) {
	v := views.ClientList{Text: l.text, State: l.state, Counts: map[string]int{}}
	all, err := h.clients.Clients(ctx)
	if err != nil {
		return v, err
	}
	text := strings.ToLower(l.text)
	var match []views.ClientRow
	for _, u := range all {
		state := views.ClientState(u.Live.State)
		v.Counts[state]++
		if (l.state == "" || l.state == state) && (strings.Contains(strings.ToLower(u.Name), text) || strings.Contains(strings.ToLower(u.Note), text)) {
			match = append(match, views.ClientRow(u))
		}
	}
	v.Total = len(match)
	last := max(1, (len(match)+clientsSize-1)/clientsSize)
	page := min(l.page, last)
	v.From = (page - 1) * clientsSize
	v.Rows = match[v.From:min(v.From+clientsSize, len(match))]
	if page > 1 {
		v.Prev = views.ClientListURL(l.text, l.state, page-1)
	}
	if page < last {
		v.Next = views.ClientListURL(l.text, l.state, page+1)
	}
	v.Stream = clientsStreamURL(clientList{l.text, l.state, page}, clientIDs(v.Rows))
	return v, nil
}

func clientIDs(rows []views.ClientRow) []int64 {
	ids := make([]int64, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	return ids
}

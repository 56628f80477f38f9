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

// peopleSize is how many access users are on a page.
const peopleSize = 100

// peopleList says which access users are listed.
type peopleList struct {
	text  string
	state string // one of views.AccessStates; empty: all
	page  int    // from 1
}

func readPeopleList(v url.Values) peopleList {
	l := peopleList{text: strings.TrimSpace(v.Get("q")), state: v.Get("state"), page: 1}
	if !slices.Contains(views.AccessStates(), l.state) {
		l.state = ""
	}
	if page, err := strconv.Atoi(v.Get("page")); err == nil && page > 1 {
		l.page = page
	}
	return l
}

// listPeople answers GET /access: the whole page, or the list alone when htmx asks
// for another part of it.
func (h *Handlers) listPeople(w http.ResponseWriter, r *http.Request) {
	v, err := h.peopleView(r.Context(), readPeopleList(r.URL.Query()))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if isHTMX(r) && strings.HasSuffix(r.Header.Get("HX-Target"), "#people") {
		h.fragment(w, r, views.AccessListPart(v))
		return
	}
	pg := h.frame(w, r, connexa.T("access.title"), views.NavAccess)
	pg.Stream = "" // the list has its own, of the rows that it drew
	h.page(w, r, views.AccessListPage(pg, v))
}

func (h *Handlers) peopleView(ctx context.Context, l peopleList) (views.AccessList, error) {
	v := views.AccessList{Text: l.text, State: l.state, Counts: map[string]int{}}
	all, err := h.app.AccessUsers(ctx)
	if err != nil {
		return v, err
	}
	text := strings.ToLower(l.text)
	var match []views.AccessRow
	for _, u := range all {
		state := views.AccessState(u.Live.State)
		v.Counts[state]++
		if (l.state == "" || l.state == state) && (strings.Contains(strings.ToLower(u.Name), text) || strings.Contains(strings.ToLower(u.Note), text)) {
			match = append(match, views.AccessRow(u))
		}
	}
	v.Total = len(match)
	last := max(1, (len(match)+peopleSize-1)/peopleSize)
	page := min(l.page, last)
	v.From = (page - 1) * peopleSize
	v.Rows = match[v.From:min(v.From+peopleSize, len(match))]
	if page > 1 {
		v.Prev = views.AccessListURL(l.text, l.state, page-1)
	}
	if page < last {
		v.Next = views.AccessListURL(l.text, l.state, page+1)
	}
	v.Stream = peopleStream(peopleList{l.text, l.state, page}, peopleIDs(v.Rows))
	return v, nil
}

func peopleIDs(rows []views.AccessRow) []int64 {
	ids := make([]int64, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	return ids
}

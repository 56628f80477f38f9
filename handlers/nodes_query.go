package handlers

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// listQuery returns the query of the node list. A page size in the URL is stored in the
// preferences, so that other URLs need not carry it.
func (h *Handlers) listQuery(w http.ResponseWriter, r *http.Request) (connexa.ListQuery, error) {
	v := r.URL.Query()
	f, err := connexa.ParseFilter(v)
	if err != nil {
		return connexa.ListQuery{}, err
	}
	q := connexa.ListQuery{Filter: f, Sort: connexa.ParseSort(v.Get("sort")), Cursor: v.Get("cursor"), Size: h.readPreferences(r).Size}
	if size, err := strconv.Atoi(v.Get("size")); err == nil && slices.Contains(views.Sizes, size) && size != q.Size {
		q.Size = size
		h.savePreference(w, r, func(p *preferences) { p.Size = size })
	}
	if !slices.Contains(views.Sizes, q.Size) {
		q.Size = views.DefaultSize
	}
	return q, nil
}

// selectionOf returns the selection in a form: the nodes of "id" and "ids"
// (comma-separated), or with "all" those of the filter in the same form. An empty
// selection is Invalid.
func selectionOf(form url.Values) (connexa.Selection, error) {
	if form.Get("all") == "1" {
		f, err := connexa.ParseFilter(form)
		return connexa.Selection{All: true, Filter: f}, err
	}
	var s connexa.Selection
	texts := slices.Clone(form["id"])
	for _, list := range form["ids"] {
		texts = append(texts, strings.Split(list, ",")...)
	}
	for _, text := range texts {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id <= 0 {
			return connexa.Selection{}, connexa.Errorf(connexa.Invalid, "nodes.select.id", text)
		}
		s.IDs = append(s.IDs, id)
	}
	if len(s.IDs) == 0 {
		return connexa.Selection{}, connexa.Errorf(connexa.Invalid, "nodes.select.none")
	}
	slices.Sort(s.IDs)
	s.IDs = slices.Compact(s.IDs)
	return s, nil
}

// selectionValues returns the form values of s, the inverse of selectionOf.
func selectionValues(s connexa.Selection) url.Values {
	if s.All {
		v := s.Filter.Values()
		v.Set("all", "1")
		return v
	}
	ids := make([]string, len(s.IDs))
	for i, id := range s.IDs {
		ids[i] = strconv.FormatInt(id, 10)
	}
	return url.Values{"ids": {strings.Join(ids, ",")}}
}

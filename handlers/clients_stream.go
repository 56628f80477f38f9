package handlers

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// clientsEvery is the minimum interval between two drawings of the clients. Traffic is
// reported every five seconds.
const clientsEvery = time.Second

// clientsStreamURL returns the stream URL of a list with exactly these clients.
func clientsStreamURL(l clientList, ids []int64) string {
	v := url.Values{"page": {"clients"}, "rows": {encodeRows(ids)}}
	for name, value := range map[string]string{"q": l.text, "state": l.state} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if l.page > 1 {
		v.Set("at", strconv.Itoa(l.page))
	}
	return "/events?" + v.Encode()
}

// clientsPageStream returns the page stream of the list of clients. v is the query of
// clientsStreamURL.
func (h *Handlers) clientsPageStream(v url.Values) (*pageStream, error) {
	ids, err := decodeRows(v.Get("rows"))
	if err != nil {
		return nil, err
	}
	l := readClientList(url.Values{"q": v["q"], "state": v["state"], "page": v["at"]})
	f := &pageStream{every: clientsEvery}
	f.wants = func(e connexa.Event) bool {
		return e.Topic == connexa.ClientChanged || e.Topic == connexa.ClientTraffic && (slices.Contains(ids, e.ID) || l.state != "")
	}
	drawn := map[int64]string{} // the last drawn state of each row
	f.panel = func(ctx context.Context) ([]templ.Component, error) {
		v, err := h.clientsView(ctx, l)
		if err != nil {
			return nil, err
		}
		parts := []templ.Component{views.ClientChipsPartial(v)}
		for _, r := range v.Rows {
			if shows := fmt.Sprint(r); drawn[r.ID] != shows {
				drawn[r.ID] = shows
				parts = append(parts, views.ClientTableRowSwap(r))
			}
		}
		shown := clientIDs(v.Rows)
		slices.Sort(shown)             // ids is sorted, too
		if !slices.Equal(shown, ids) { // the page requests the list again, which opens another stream
			parts = append(parts, views.ClientListPoll(views.ClientListURL(l.text, l.state, l.page)))
		}
		return parts, nil
	}
	return f, nil
}

// clientPageStream returns the page stream of a client page.
func (h *Handlers) clientPageStream(v url.Values) (*pageStream, error) {
	id, err := strconv.ParseInt(v.Get("id"), 10, 64)
	if err != nil {
		return nil, connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	f := &pageStream{every: clientsEvery}
	f.wants = func(e connexa.Event) bool {
		return (e.Topic == connexa.ClientChanged || e.Topic == connexa.ClientTraffic) && e.ID == id
	}
	f.panel = func(ctx context.Context) ([]templ.Component, error) {
		a, err := h.clientView(ctx, id)
		switch {
		case connexa.CodeOf(err) == connexa.NotFound: // it was deleted; the page stays unchanged
			return nil, nil
		case err != nil:
			return nil, err
		}
		return []templ.Component{views.ClientPartial(a)}, nil
	}
	return f, nil
}

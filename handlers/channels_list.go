package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// listChannels answers GET /channels.
func (h *Handlers) listChannels(w http.ResponseWriter, r *http.Request) error {
	list, err := h.channels.AllChannels(r.Context())
	if err != nil {
		return err
	}
	pg := h.layoutData(w, r, connexa.T("channels.title"), views.NavSettings)
	return h.renderPage(w, r, views.Channels(pg, views.ChannelsPage{List: list, NoLink: h.public == nil}))
}

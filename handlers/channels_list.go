package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// listChannels answers GET /channels.
func (h *Handlers) listChannels(w http.ResponseWriter, r *http.Request) {
	list, err := h.channels.AllChannels(r.Context())
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	pg := h.layoutData(w, r, connexa.T("channels.title"), views.NavSettings)
	h.renderPage(w, r, views.Channels(pg, views.ChannelsPage{List: list, NoLink: h.public == nil}))
}

package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// listChannels answers GET /channels.
func (h *Handlers) listChannels(w http.ResponseWriter, r *http.Request) {
	list, err := h.app.AllChannels(r.Context())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	pg := h.frame(w, r, connexa.T("channels.title"), views.NavSettings)
	h.page(w, r, views.Channels(pg, views.ChannelsPage{List: list, NoLink: h.public == nil}))
}

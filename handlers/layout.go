package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// layoutData returns the parts of a page around its content, such as the account and
// the banners. It consumes the waiting toasts, so a page that is not drawn loses them.
func (h *Handlers) layoutData(w http.ResponseWriter, r *http.Request, title connexa.Text, nav views.Nav) views.Page {
	who := accountOf(r.Context())
	pg := views.Page{
		Title:   i18n.From(r.Context()).Text(title),
		Nav:     nav,
		Account: who.name,
		Here:    localPath(r.URL.RequestURI()),
		Theme:   views.Theme(h.readPreferences(r).Theme),
		Toasts:  h.takeFlashes(w, r),
	}
	if r.Method != http.MethodGet { // a form that was drawn again: its URL answers no GET
		pg.Here = ownPath(r.Referer(), r.Host)
	}
	if who.id != 0 {
		pg.Banners = h.pageBanners(r)
		pg.Stream = "/events"
		runs, err := h.runBars(r.Context())
		if err != nil && r.Context().Err() == nil { // otherwise nobody reads the page
			h.log.Error("read the runs for the bar", "err", err)
		}
		pg.Runs = runs
		if pg.Acts, _, err = h.actBars(r.Context()); err != nil && r.Context().Err() == nil {
			h.log.Error("read the bulk acts for the bar", "err", err)
		}
		if n, err := h.nodes.CountNodes(r.Context(), connexa.Selection{All: true}); err == nil { // otherwise the page itself reports the error
			pg.Nodes = n
		}
		if services, err := h.services.ServiceCounts(r.Context()); err == nil {
			for _, n := range services {
				pg.Serving += n
			}
		}
		for _, run := range runs {
			if run.State.Live() {
				pg.Live++
			}
		}
	}
	return pg
}

// pageBanners returns the banners that stay on all pages until their cause is resolved.
func (h *Handlers) pageBanners(r *http.Request) []views.Banner {
	var list []views.Banner
	s, err := h.settings.CurrentSettings(r.Context())
	if err != nil {
		if r.Context().Err() == nil {
			h.log.Error("read the settings for the banners", "err", err)
		}
		return nil
	}
	if h.inClear {
		list = append(list, views.Banner{ID: "banner-clear", Tone: views.ToneBad, Title: connexa.T("banner.clear.title"), Text: connexa.T("banner.clear.text")})
	}
	if h.asRoot {
		list = append(list, views.Banner{ID: "banner-root", Tone: views.ToneWarn, Title: connexa.T("banner.root.title"), Text: connexa.T("banner.root.text")})
	}
	if !h.noTunnels.IsZero() {
		list = append(list, views.Banner{
			ID: "banner-gre", Tone: views.ToneWarn,
			Title: connexa.T("banner.gre.title"), Text: h.noTunnels,
		})
	}
	if s.KeyConfirmed.IsZero() {
		list = append(list, views.Banner{
			ID:     "banner-key",
			Tone:   views.ToneWarn,
			Title:  connexa.T("banner.key.title"),
			Text:   connexa.T("banner.key.text"),
			Action: &views.Action{Text: connexa.T("banner.key.done"), URL: "/settings/key"},
		})
	}
	return list
}

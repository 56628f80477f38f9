package handlers

import (
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// showProfile answers GET /profiles/{id} with a profile and its files.
func (h *Handlers) showProfile(w http.ResponseWriter, r *http.Request) error {
	v, err := h.profileView(r)
	if err != nil {
		return err
	}
	return h.renderPage(w, r, views.ProfileFilesPage(h.layoutData(w, r, connexa.T("profile.page", v.Label), views.NavServices), v))
}

func (h *Handlers) profileView(r *http.Request) (v views.ProfilePage, err error) {
	id, err := pathID(r)
	if err != nil {
		return v, err
	}
	if !h.vpns.Exits() {
		return v, connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	v.Now = h.now()
	nodes, p, err := h.profiles.ProfileNodes(r.Context(), id)
	if err != nil {
		return v, err
	}
	v.Profile = p
	for _, n := range nodes {
		v.Nodes = append(v.Nodes, views.ProfileNode{Node: n.Node, VPN: n.VPN, May: n.May})
	}
	if v.Host, v.Elsewhere, err = h.vpnHost(r); err != nil {
		return v, err
	}
	v.Picked = map[int64]bool{wantedNode(r): true}
	if len(v.Nodes) == 1 {
		v.Picked[v.Nodes[0].Node.ID] = true
	}
	return v, nil
}

// vpnHost returns the address of the OpenVPN exits for clients.
func (h *Handlers) vpnHost(r *http.Request) (host string, elsewhere bool, err error) {
	s, err := h.settings.CurrentSettings(r.Context())
	if err != nil {
		return "", false, err
	}
	host, elsewhere = s.Service.ForVPNClients()
	return h.asReached(r, host), elsewhere, nil
}

// fileHost is vpnHost for a file, which needs a specific address.
func (h *Handlers) fileHost(r *http.Request) (string, error) {
	host, _, err := h.vpnHost(r)
	if err != nil {
		return "", err
	}
	if a, notIP := netip.ParseAddr(host); notIP == nil && a.IsUnspecified() {
		return "", connexa.Errorf(connexa.Conflict, "profile.file.where")
	}
	return host, nil
}

// revokeProfile answers POST /profiles/{id}/revoke, first with a question.
func (h *Handlers) revokeProfile(w http.ResponseWriter, r *http.Request) error {
	v, err := h.profileView(r)
	if err == nil {
		err = parseForm(r)
	}
	if err != nil {
		return err
	}
	if !isConfirmed(r) {
		return h.askConfirm(w, r, http.StatusOK, views.ConfirmRevoke(i18n.From(r.Context()), v.Profile), connexa.T("profiles.title"), views.NavServices)
	}
	if err := h.profiles.RevokeProfile(r.Context(), v.ID); err != nil {
		return err
	}
	return h.redirectDone(w, r, connexa.T("profile.revoked.now", v.Label), "/profiles")
}

// deleteProfile answers POST /profiles/{id}/delete, first with a question.
func (h *Handlers) deleteProfile(w http.ResponseWriter, r *http.Request) error {
	v, err := h.profileView(r)
	if err == nil {
		err = parseForm(r)
	}
	if err != nil {
		return err
	}
	if !isConfirmed(r) && !v.Good(h.now()) {
		return h.askConfirm(w, r, http.StatusOK, views.ConfirmDeleteProfile(i18n.From(r.Context()), v.Profile), connexa.T("profiles.title"), views.NavServices)
	}
	if err := h.profiles.DeleteProfile(r.Context(), v.ID); err != nil {
		return err
	}
	return h.redirectTo(w, r, "/profiles")
}

// linkProfile answers POST /profiles/{id}/link, after a recent authentication, with a
// link that downloads the file for one node once. The link is shown only on this page.
func (h *Handlers) linkProfile(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	v, err := h.profileView(r)
	if err != nil {
		return err
	}
	if len(r.PostForm["node"]) != 1 {
		return connexa.Errorf(connexa.Invalid, "profile.link.one")
	}
	node, err := strconv.ParseInt(r.PostForm.Get("node"), 10, 64)
	if err != nil {
		return connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	for _, n := range v.Nodes {
		if n.Node.ID == node {
			v.LinkFor = n.Node.Address
		}
	}
	base, known := h.baseURL(r)
	if !known {
		return connexa.Errorf(connexa.Conflict, "profile.link.where")
	}
	hours, err := strconv.Atoi(r.PostForm.Get("hours"))
	if err != nil {
		hours = 24
	}
	token, until, err := h.profiles.LinkProfile(r.Context(), v.ID, node, time.Duration(hours)*time.Hour)
	if err != nil {
		return err
	}
	v.Link = base + "/profile#" + token // browsers do not send a fragment to servers, so it is in no log
	v.LinkUntil, v.Picked = until, map[int64]bool{node: true}
	return h.renderPage(w, r, views.ProfileFilesPage(h.layoutData(w, r, connexa.T("profile.page", v.Label), views.NavServices), v))
}

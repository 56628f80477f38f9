package handlers

import (
	"context"
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// switchVPN answers POST /nodes/{id}/vpn: it switches the OpenVPN exit of a node and
// sets its protocol.
func (h *Handlers) switchVPN(w http.ResponseWriter, r *http.Request) error {
	id, err := formID(r)
	if err != nil {
		return err
	}
	on := r.PostForm.Get("on") == "1"
	if r.PostForm.Has("shape") {
		err = h.vpns.ShapeVPN(r.Context(), id, on, connexa.VPNProtocol(r.PostForm.Get("protocol")), r.PostForm.Get("together") == "1")
	} else {
		_, err = h.vpns.SwitchVPNs(r.Context(), connexa.Selection{IDs: []int64{id}}, on)
	}
	if err != nil {
		return err
	}
	return h.redirectDone(w, r, connexa.T("settings.saved"), nodePath(id)+"#vpn")
}

// switchVPNs answers POST /services/vpn with a selection. It starts a bulk act.
func (h *Handlers) switchVPNs(w http.ResponseWriter, r *http.Request) error {
	s, err := formSelection(r)
	if err != nil {
		return err
	}
	act, err := h.vpns.SwitchVPNs(r.Context(), s, r.PostForm.Get("on") == "1")
	if err != nil {
		return err
	}
	return h.actStarted(w, r, act, pageAfterServices(r))
}

// disconnectVPN answers POST /nodes/{id}/vpn/disconnect.
func (h *Handlers) disconnectVPN(w http.ResponseWriter, r *http.Request) error {
	id, err := formID(r)
	if err != nil {
		return err
	}
	if err := h.vpns.Disconnect(r.Context(), id, r.PostForm.Get("name")); err != nil {
		return err
	}
	return h.doneInPlace(w, r, views.ToneInfo, connexa.T("vpn.disconnected"), nodePath(id)+"#vpn")
}

// addVPN adds the OpenVPN exit of a node to the node page.
func (h *Handlers) addVPN(ctx context.Context, v *views.Node) error {
	if !h.vpns.Exits() {
		return nil
	}
	id := v.Node.ID
	rows, err := h.vpns.VPNRows(ctx, []int64{id})
	if err != nil {
		return err
	}
	v.VPN = &views.VPN{VPNRow: rows[id]}
	if v.VPN.Seen, err = h.vpns.SeenVPN(ctx, id); err != nil {
		return err
	}
	if v.VPN.Wanted {
		v.VPN.Lacks = h.vpns.VPNLacks(ctx)
	}
	return nil
}

// vpnsOf returns the OpenVPN exits of services, by node.
func (h *Handlers) vpnsOf(ctx context.Context, ids []int64) (map[int64]*views.VPN, error) {
	if !h.vpns.Exits() || len(ids) == 0 {
		return nil, nil
	}
	rows, err := h.vpns.VPNRows(ctx, ids)
	if err != nil {
		return nil, err
	}
	seen := h.vpns.SeenVPNs(ids)
	list := make(map[int64]*views.VPN, len(rows))
	for id, row := range rows {
		list[id] = &views.VPN{VPNRow: row, Seen: seen[id]}
	}
	return list, nil
}

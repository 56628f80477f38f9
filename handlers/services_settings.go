package handlers

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// saveServiceSettings answers POST /settings/services.
func (h *Handlers) saveServiceSettings(w http.ResponseWriter, r *http.Request) error {
	return saveForm(h, w, r, readServiceSettings, h.settings.ChangeServiceSettings, "/settings#services")
}

// readServiceSettings returns the values of the form.
func readServiceSettings(f url.Values) connexa.ServiceSettings {
	return connexa.ServiceSettings{
		Listen: strings.TrimSpace(f.Get("service_listen")), Clients: strings.TrimSpace(f.Get("service_clients")),
		FirstPort: formNumber(f, "service_first_port"), LastPort: formNumber(f, "service_last_port"),
		VPNListen: strings.TrimSpace(f.Get("vpn_listen")), VPNFirstPort: formNumber(f, "vpn_first_port"), VPNLastPort: formNumber(f, "vpn_last_port"),
	}
}

package handlers

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// saveServiceSettings answers POST /settings/services.
func (h *Handlers) saveServiceSettings(w http.ResponseWriter, r *http.Request) error {
	return saveForm(h, w, r, readServiceSettings, h.settings.ChangeServiceSettings, "/settings#services")
}

// readServiceSettings returns the values of the form. An invalid number becomes -1,
// which is out of all bounds, so that its field gets an error.
func readServiceSettings(f url.Values) connexa.ServiceSettings {
	port := func(name string) int {
		n, err := strconv.Atoi(strings.TrimSpace(f.Get(name)))
		if err != nil {
			return -1
		}
		return n
	}
	return connexa.ServiceSettings{
		Listen: strings.TrimSpace(f.Get("service_listen")), Clients: strings.TrimSpace(f.Get("service_clients")),
		FirstPort: port("service_first_port"), LastPort: port("service_last_port"),
		VPNListen: strings.TrimSpace(f.Get("vpn_listen")), VPNFirstPort: port("vpn_first_port"), VPNLastPort: port("vpn_last_port"),
	}
}

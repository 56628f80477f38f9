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

// readServiceSettings reads the form. What is no number becomes one that is out
// of every bound, so that it is complained about.
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

package handlers

import (
	"io"
	"net/http"
	"testing"
)

func TestMetricsAreForWhoHasTheToken(t *testing.T) {
	const token = "Blue-Kite-7-Blue-Kite"
	figures := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "connexa_nodes 3\n") })
	with := func(b *browser, header string) answer {
		b.header.Set("Authorization", header)
		return b.get("/metrics")
	}
	p := startPanel(t, func(d *Deps) { d.Metrics, d.MetricsToken = figures, token })
	b := p.newBrowser()
	with(b, "Bearer "+token).hasStatus(t, http.StatusOK).contains(t, "connexa_nodes 3")
	for _, header := range []string{"", token, "Basic " + token, "Bearer ", "Bearer " + token[1:], "Bearer " + token + "x", "bearer"} {
		with(b, header).hasStatus(t, http.StatusUnauthorized).lacks(t, "connexa_nodes")
	}
	b.header.Del("Authorization")
	b.logIn().get("/metrics").hasStatus(t, http.StatusUnauthorized) // a login is not the token
	for name, change := range map[string]func(*Deps){
		"no token":   func(d *Deps) { d.Metrics = figures },
		"no metrics": func(d *Deps) { d.MetricsToken = token },
	} {
		if a := with(startPanel(t, change).newBrowser(), "Bearer "+token); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d", name, a.StatusCode)
		}
		if a := with(startPanel(t, change).newBrowser(), "Bearer "); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s, and an empty one: status %d", name, a.StatusCode)
		}
	}
}

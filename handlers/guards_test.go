package handlers

import (
	"net/http"
	"testing"
)

func TestAddressesOfEarlierVersionsRedirect(t *testing.T) {
	_, b, _ := startServing(t)
	for old, want := range map[string]string{
		"/access":                    "/clients",
		"/access?state=active&q=ann": "/clients?state=active&q=ann",
		"/access/7":                  "/clients/7",
		"/access/7/edit":             "/clients/7/edit",
		"/access/7/lines":            "/clients/7/credentials",
		"/access/new?node=2":         "/clients/new?node=2",
		"/notifications":             "/channels",
		"/notifications/3/edit":      "/channels/3/edit",
		"/nodes/2/service/access":    "/nodes/2/service/credentials",
		"/import":                    "/imports",
	} {
		if a := b.get(old); a.StatusCode != http.StatusMovedPermanently || a.Header.Get("Location") != want {
			t.Errorf("GET %s: got %d to %q, want 301 to %q", old, a.StatusCode, a.Header.Get("Location"), want)
		}
	}
}

package speed

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestExit(t *testing.T) {
	silent := httptest.NewServer(http.NotFoundHandler())
	defer silent.Close()
	own := httptest.NewServer(NewServer(ServerOptions{}))
	defer own.Close()
	refuses := connexa.Endpoint{Kind: connexa.EndpointOwn, URL: silent.URL}
	a, err := Exit(t.Context(), &Direct{}, []connexa.Endpoint{refuses, {Kind: connexa.EndpointOwn, URL: own.URL}})
	if err != nil || a.String() != "127.0.0.1" {
		t.Errorf("got %v, %v; want 127.0.0.1", a, err)
	}
	var no *Refused
	if a, err := Exit(t.Context(), &Direct{}, []connexa.Endpoint{refuses}); !errors.As(err, &no) || a.IsValid() {
		t.Errorf("got %v, %v; want an error and no address", a, err)
	}
	if _, err := Exit(t.Context(), &Direct{}, nil); !errors.Is(err, ErrExitUnknown) {
		t.Error(err)
	}
}

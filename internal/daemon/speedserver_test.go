package daemon

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"github.com/connexa-panel/connexa/internal/config"
)

// heard is what a program says, for who waits for it.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case h.more <- struct{}{}:
	default:
	}
	return h.text.Write(b)
}

// find waits until what re finds was said.
func (h *heard) find(ctx context.Context, re *regexp.Regexp) string {
	for {
		h.mu.Lock()
		m := re.FindStringSubmatch(h.text.String())
		h.mu.Unlock()
		if m != nil {
			return m[1]
		}
		select {
		case <-h.more:
		case <-ctx.Done():
			return ""
		}
	}
}

func TestSpeedServerServes(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out := &heard{more: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() {
		ended <- SpeedServer(ctx, config.SpeedServer{Listen: "127.0.0.1:0", RequestMB: 1, AtOnce: 4, PerAddr: 4}, out)
	}()
	defer stop()
	url := out.find(t.Context(), regexp.MustCompile(`(http://\S+)`))
	token := out.find(t.Context(), regexp.MustCompile(`token: (\S+)`))
	for _, tt := range []struct {
		token, path string
		status      int
	}{
		{token, "/echo", http.StatusOK}, {token, "/down?bytes=1000", http.StatusOK},
		{"", "/echo", http.StatusUnauthorized}, {token, "/down?bytes=2000000", http.StatusForbidden},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+tt.token)
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tt.status || resp.ProtoMajor != 1 {
			t.Errorf("%s: %s %s", tt.path, resp.Proto, resp.Status)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("the end: %v", err)
	}
}

func TestSpeedServerCannotStart(t *testing.T) {
	if err := SpeedServer(t.Context(), config.SpeedServer{Listen: "192.0.2.1:1"}, io.Discard); err == nil {
		t.Error("it listens where it cannot")
	}
	none := filepath.Join(t.TempDir(), "none.pem")
	if err := os.WriteFile(none, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := SpeedServer(t.Context(), config.SpeedServer{Listen: "127.0.0.1:0", TLSCert: none, TLSKey: none}, io.Discard); err == nil {
		t.Error("it serves TLS with no certificate")
	}
}

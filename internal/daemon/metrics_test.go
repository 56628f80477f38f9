package daemon

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// getWithToken returns the status and the body of a page.
func getWithToken(t *testing.T, client *http.Client, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// TestPanelMetrics scrapes a running panel.
func TestPanelMetrics(t *testing.T) {
	const token = "Blue-Kite-7-Blue-Kite"
	dir := t.TempDir()
	p, err := New(t.Context(), config.Serve{
		Listen: "127.0.0.1:0", Data: dir, AdminPassword: "Copper-Lantern-42", MetricsListen: "127.0.0.1:0", MetricsToken: token,
	}, gre.NewSwitch().Open, "1.2.3", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	node, password, err := connexa.ParseNode(connexa.NodeInput{Address: "192.0.2.77", Login: "somebody", Password: "Copper-Lantern-42"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.db.AddNode(t.Context(), node, password, "admin"); err != nil {
		t.Fatal(err)
	}
	own := "http://" + p.metricsListener.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	client := &http.Client{Transport: new(http.Transport)} // notifications replace the default transport
	for url, token := range map[string]string{own + "/metrics": "", p.URL() + "/metrics": token} {
		status, text := getWithToken(t, client, url, token)
		if status != http.StatusOK {
			t.Errorf("%s: status = %d, want 200", url, status)
		}
		for _, want := range []string{
			`connexa_build_info{version="1.2.3"} 1`, `connexa_nodes{status="not_tested"} 1`, `connexa_sessions{state="up"} 0`,
			`connexa_jobs_live{kind="speed",state="queued"} 0`, "connexa_db_write_seconds_count ", "connexa_stream_readers 0",
		} {
			if !strings.Contains(text, "\n"+want) {
				t.Errorf("%s: no line %s", url, want)
			}
		}
		for _, secret := range []string{"192.0.2.77", "somebody", "Copper-Lantern-42", token} {
			if secret != "" && strings.Contains(text, secret) {
				t.Errorf("%s contains %s", url, secret)
			}
		}
		if strings.Contains(text, "connexa_db_write_seconds_count 0\n") {
			t.Errorf("%s: no write was counted", url)
		}
	}
	if status, _ := getWithToken(t, client, own+"/nodes", ""); status != http.StatusNotFound {
		t.Errorf("the port of the metrics shows pages: status %d", status)
	}
	if status, _ := getWithToken(t, client, p.URL()+"/metrics", ""); status != http.StatusUnauthorized {
		t.Errorf("without the token: status %d", status)
	}
	client.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

package daemon

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// TestKilledPanelRestoresServices kills a panel repeatedly during downloads through
// its services. They must come back on the same ports.
func TestKilledPanelRestoresServices(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := gre.SelfTest(ctx, gre.Raw); err != nil {
		if os.Getenv("CONNEXA_NO_SKIP") != "" {
			t.Fatal(err)
		}
		t.Skip("GRE between two processes needs CAP_NET_RAW: ", err)
	}
	fleet := labtest.Start(t, lab.Config{Nodes: 3, Seed: 11})
	dir := t.TempDir()
	services := wantServices(t, dir, fleet.Nodes())
	c := startChild(t, dir)
	defer func() { c.kill() }()
	for range 2 {
		for _, s := range services {
			want := sha256.New()
			const size = 1 << 20
			if err := lab.Bytes(t.Context(), want, size); err != nil {
				t.Fatal(err)
			}
			res, done := askUntilBack(t, s, fmt.Sprintf("http://only-in-here.example/bytes/%d", size))
			got := sha256.New()
			if n, err := io.Copy(got, res.Body); err != nil || [32]byte(got.Sum(nil)) != [32]byte(want.Sum(nil)) {
				t.Errorf("%d bytes came through %s, with another sum: %v", n, s.Name, err)
			}
			done()
		}
		res, done := askUntilBack(t, services[0], fmt.Sprintf("http://only-in-here.example/bytes/%d", int64(1)<<38))
		if _, err := io.CopyN(io.Discard, res.Body, 1<<20); err != nil {
			t.Fatal(err)
		}
		c.kill()
		if _, err := io.Copy(io.Discard, res.Body); err == nil {
			t.Error("a download that was cut off has an end")
		}
		done()
		c = startChild(t, dir)
	}
}

// wantServices adds nodes to a fresh data folder and enables their services.
func wantServices(t *testing.T, dir string, nodes []lab.Node) []connexa.Service {
	t.Helper()
	d, err := db.Open(t.Context(), db.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, n := range nodes {
		node, password, err := connexa.ParseNode(connexa.NodeInput{Address: n.Addr.Addr().String(), Login: n.Login, Password: n.Password})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.AddNode(t.Context(), node, password, ""); err != nil {
			t.Fatal(err)
		}
	}
	err = d.ChangeSettings(t.Context(), func(s *connexa.Settings) error {
		s.Service.FirstPort = 29000 // avoids the ports of another panel on this machine
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ids, err := d.SelectNodes(t.Context(), connexa.Selection{All: true})
	if err != nil {
		t.Fatal(err)
	}
	a, err := d.StartAct(t.Context(), connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkStart}, IDs: ids})
	if err == nil {
		_, err = d.AdvanceAct(t.Context(), a.ID, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	services, err := d.WantedServices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return services
}

// askUntilBack requests a page through a service until it succeeds, for at most a
// minute. done ends the request.
func askUntilBack(t *testing.T, s connexa.Service, page string) (res *http.Response, done func()) {
	t.Helper()
	at := &url.URL{Scheme: "socks5", Host: s.Listen.String(), User: url.UserPassword(s.User, s.Secret.Reveal())}
	tr := &http.Transport{Proxy: http.ProxyURL(at)}
	late := time.Now().Add(time.Minute)
	for {
		res, err := (&http.Client{Transport: tr}).Get(page)
		if err == nil {
			return res, func() {
				res.Body.Close()
				tr.CloseIdleConnections()
			}
		}
		if time.Now().After(late) {
			t.Fatalf("%s is not back after a minute: %v", s.Name, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

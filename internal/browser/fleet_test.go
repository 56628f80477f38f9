package browser

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"mime/multipart"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/db/dbtest"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
)

// liveCountry is the country of the servers of a large fleet that run. They are its fastest
// ones.
const liveCountry = "FI"

// addTestedFleet imports n nodes, whose results are stored as if all of them had been
// tested during the last three days. Some of them are running servers with faults. It returns those that run and the others.
func (p *panel) addTestedFleet(n, running int, faults string) (live, silent *lab.Fleet) {
	p.t.Helper()
	silent, err := lab.New(lab.Config{Nodes: n - running, Seed: 7}) // these do not run
	if err != nil {
		p.t.Fatal(err)
	}
	live = labtest.Start(p.t, lab.Config{Nodes: running, Seed: 11, Faults: labtest.Faults(p.t, faults)})
	var list bytes.Buffer
	if err := silent.WriteCSV(&list); err != nil {
		p.t.Fatal(err)
	}
	out := csv.NewWriter(&list)
	for _, n := range live.Nodes() {
		_ = out.Write([]string{n.Addr.Addr().String(), "1723", n.Login, n.Password, liveCountry, "18", "Helsinki", "00100", n.Provider, "runs", "prod"}) // to memory
	}
	out.Flush()
	p.newClient().importFile(&list)
	path := filepath.Join(p.data, db.File)
	pool, err := dbtest.Open(path)
	if err != nil {
		p.t.Fatal(err)
	}
	waitUntil(p.t, 3*time.Minute, func() error {
		var state string
		if err := pool.QueryRow(`SELECT state FROM imports WHERE id = 1`).Scan(&state); err != nil || state != "done" {
			return fmt.Errorf("the import is %q, %w", state, err)
		}
		return nil
	})
	p.stopProcess()
	if _, err := pool.Exec(testedFleet, time.Now().UnixMilli(), n-running); err != nil {
		p.t.Fatal(err)
	}
	if err := pool.Close(); err != nil {
		p.t.Fatal(err)
	}
	p.restartProcess()
	return live, silent
}

// testedFleet stores a result for each node.
const testedFleet = `
	WITH outcome (least, below, status, kind, reached, cause) AS (VALUES
		(60, 130, 'ping_failed', 'ping', 1, 'tcp.timeout'), (130, 160, 'ping_failed', 'ping', 1, 'tcp.refused'),
		(160, 180, 'ping_failed', 'ping', 2, 'control.silent'), (180, 400, 'ping_ok', 'ping', 3, ''),
		(400, 440, 'tunnel_failed', 'login', 4, 'gre.no_inbound'), (440, 500, 'login_failed', 'login', 6, 'auth.691'),
		(500, 700, 'login_ok', 'login', 9, ''), (700, 740, 'speed_slow', 'speed', 10, ''), (740, 1000, 'speed_ok', 'speed', 10, ''))
	UPDATE nodes SET status = o.status, kind = o.kind, reached = o.reached, cause = o.cause, attempts = 3, lost = iif(o.reached < 3, 3, nodes.id % 13 = 0),
		latency = iif(o.reached > 2, 8000 + nodes.id * 7919 % 180000, NULL), control = iif(o.reached > 2, 9000 + nodes.id * 7919 % 190000, NULL),
		down = CASE WHEN nodes.id > ?2 THEN 90000000 + nodes.id % 100 * 100000 WHEN o.status = 'speed_ok' THEN 2000000 + nodes.id * 10007 % 80000000 WHEN o.status = 'speed_slow' THEN 100000 + nodes.id * 10007 % 800000 END,
		up = CASE WHEN o.kind = 'speed' THEN 500000 + nodes.id * 6007 % 20000000 END,
		checked_at = ?1 - nodes.id * 7919 % 259200000, basis_kind = o.kind, basis_reached = o.reached, basis_cause = o.cause, basis_at = ?1 - nodes.id * 7919 % 259200000
	FROM outcome o WHERE iif(nodes.id > ?2, 999, nodes.id * 2654435761 / 1024 % 1000) >= o.least AND iif(nodes.id > ?2, 999, nodes.id * 2654435761 / 1024 % 1000) < o.below`

// importFile uploads and confirms an import.
func (c *client) importFile(file io.Reader) {
	c.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if err := form.WriteField("test", "none"); err != nil {
		c.t.Fatal(err)
	}
	part, err := form.CreateFormFile("file", "fleet.csv")
	if err == nil {
		_, err = io.Copy(part, file)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.http.Timeout = time.Minute
	answer, err := c.http.Post(c.url+"/imports", form.FormDataContentType(), &body)
	if err != nil {
		c.t.Fatal(err)
	}
	answer.Body.Close()
	c.postForm("/imports/1/confirm", map[string][]string{"test": {"none"}})
}

// loginList returns a list with a new password for each node of a provider.
func loginList(t testing.TB, nodes []lab.Node, provider string) (list string, lines int) {
	t.Helper()
	var b strings.Builder
	for _, n := range nodes {
		if n.Provider == provider {
			fmt.Fprintf(&b, "%s,%s,New-Kite-%d\n", n.Addr.Addr(), n.Login, lines)
			lines++
		}
	}
	return b.String(), lines
}

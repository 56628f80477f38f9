package daemon

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/openvpn"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// childVar names the environment variable that makes the test program run a panel. Its
// value is the data folder.
const childVar = "CONNEXA_TEST_PANEL"

func TestMain(m *testing.M) {
	if openvpn.IsHelper() {
		os.Exit(openvpn.RunHelper(os.Stderr))
	}
	if dir := os.Getenv(childVar); dir != "" {
		if err := serveChild(dir); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	if config := os.Getenv(readersVar); config != "" {
		if err := readStreams(config); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func serveChild(dir string) error {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	p, err := New(context.Background(), config.Serve{Listen: "127.0.0.1:0", Data: dir, AdminPassword: adminPassword}, gre.Raw, "test", log)
	if err != nil {
		return err
	}
	log.Info("ready", "url", p.URL())
	return p.Run(context.Background())
}

// childPanel is a panel in its own process, so that it can be killed.
type childPanel struct {
	t      testing.TB
	cmd    *exec.Cmd
	url    string
	ready  time.Time // when it served
	client *http.Client
}

func startChild(t testing.TB, dir string) *childPanel {
	t.Helper()
	c := &childPanel{t: t, cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), childVar+"="+dir)
	out, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	go func() {
		for sc := bufio.NewScanner(out); sc.Scan(); {
			var line struct{ Msg, URL string }
			if json.Unmarshal(sc.Bytes(), &line) == nil && line.URL != "" {
				ready <- line.URL
			} else if strings.Contains(sc.Text(), `"level":"ERROR"`) || !strings.HasPrefix(sc.Text(), "{") {
				t.Log(sc.Text())
			}
		}
		close(ready)
	}()
	select {
	case u, ok := <-ready:
		if !ok {
			t.Fatal("the panel did not start")
		}
		c.url, c.ready = u, time.Now()
	case <-time.After(30 * time.Second):
		t.Fatal("the panel is not ready after 30 s")
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.client = &http.Client{Jar: jar, Transport: new(http.Transport)}
	c.postForm("/login", "application/x-www-form-urlencoded", strings.NewReader(url.Values{"username": {"admin"}, "password": {adminPassword}}.Encode()))
	return c
}

func (c *childPanel) postForm(path, kind string, body io.Reader) string {
	c.t.Helper()
	res, err := c.client.Post(c.url+path, kind, body)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode >= 400 {
		text, _ := io.ReadAll(res.Body)
		c.t.Fatalf("POST %s: %s %s", path, res.Status, text)
	}
	return res.Request.URL.Path
}

// kill ends the process at once, as kill -9 does.
func (c *childPanel) kill() {
	c.t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		c.t.Error(err)
	}
	_ = c.cmd.Wait() // "signal: killed"
}

func TestPanelKilledTenTimesLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	faults := labtest.Faults(t, "good=86,slow:1s=4,refuse=4,ssh=2,garbage=2,denied=2")
	fleet := labtest.Start(t, lab.Config{Nodes: 1500, Seed: 7, Faults: faults})
	var file bytes.Buffer
	if err := fleet.WriteCSV(&file); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := startChild(t, dir)
	var form bytes.Buffer
	mw := multipart.NewWriter(&form)
	if err := mw.WriteField("test", "ping"); err != nil {
		t.Fatal(err)
	}
	part, err := mw.CreateFormFile("file", "fleet.csv")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(file.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := mw.Close(); err != nil {
		t.Fatal(err)
	}
	page := c.postForm("/imports", mw.FormDataContentType(), &form)
	c.postForm(page+"/confirm", "application/x-www-form-urlencoded", nil)

	ledger := openLedger(t, dir)
	known := map[int64]string{}
	for i := range 10 {
		time.Sleep(time.Duration(20+rand.IntN(350)) * time.Millisecond) // the kill must come at a random moment
		maps.Copy(known, ledger.readHistory())
		c.kill()
		after := ledger.readHistory()
		for id, row := range known {
			if after[id] != row {
				t.Fatalf("kill %d: the committed result %d was %q and is %q", i+1, id, row, after[id])
			}
		}
		c = startChild(t, dir)
	}
	defer c.kill()
	deadline := time.Now().Add(2 * time.Minute)
	for !ledger.isSettled() {
		if time.Now().After(deadline) {
			t.Fatal("the import or its run has not ended after two minutes")
		}
		time.Sleep(50 * time.Millisecond)
	}
	ledger.checkNodes(fleet.Nodes())
	t.Logf("%d results were committed before a kill", len(known))
}

// An undo of an import that is killed again and again ends as a whole.
func TestPanelKilledDuringUndo(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	const nodes, kills = 6000, 20
	dir := t.TempDir()
	c := startChild(t, dir)
	importText := func(password string, choice string) string {
		t.Helper()
		var text strings.Builder
		text.WriteString("address,login,password\n")
		for i := range nodes {
			if i%2 == 0 || choice == "theirs" {
				fmt.Fprintf(&text, "10.9.%d.%d,ops,%s%d\n", i>>8, i&255, password, i)
			}
		}
		var form bytes.Buffer
		mw := multipart.NewWriter(&form)
		if err := errors.Join(mw.WriteField("test", "none"), mw.WriteField("text", text.String()), mw.Close()); err != nil {
			t.Fatal(err)
		}
		page := c.postForm("/imports", mw.FormDataContentType(), &form)
		c.postForm(page+"/confirm", "application/x-www-form-urlencoded", strings.NewReader("choice="+choice))
		return page
	}
	ledger := openLedger(t, dir)
	wait := func(done int, query string) {
		t.Helper()
		deadline := time.Now().Add(2 * time.Minute)
		for ledger.countRows(query) != done {
			if time.Now().After(deadline) {
				t.Fatalf("%s is %d, want %d", query, ledger.countRows(query), done)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	importText("before", "mine") // every second node
	wait(1, `SELECT count(*) FROM imports WHERE state = 'done'`)
	page := importText("after", "theirs") // changes these and adds the others
	wait(2, `SELECT count(*) FROM imports WHERE state = 'done'`)
	c.postForm(page+"/undo", "application/x-www-form-urlencoded", strings.NewReader(fmt.Sprintf("yes=1&remove=%d&restore=%d&keep=0", nodes/2, nodes/2)))
	for range kills {
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond) // the kill must come at a random moment
		c.kill()
		c = startChild(t, dir)
	}
	defer c.kill()
	wait(1, `SELECT count(*) FROM imports WHERE undo = 'done'`)
	if n := ledger.countRows(`SELECT count(*) FROM imports WHERE undo = 'done' AND undo_removed = ? AND undo_restored = ? AND undo_kept = 0`, nodes/2, nodes/2); n != 1 {
		t.Error("the counts of the undo are wrong")
	}
	if n := ledger.countRows(`SELECT count(*) FROM nodes WHERE import_id = 1 AND changed_at = created_at`); n != nodes/2 {
		t.Errorf("%d nodes are restored, want %d", n, nodes/2)
	}
	if n := ledger.countRows(`SELECT count(*) FROM nodes`); n != nodes/2 {
		t.Errorf("%d nodes are left, want %d", n, nodes/2)
	}
	if n := ledger.countRows(`SELECT (SELECT count(*) FROM import_changes) + (SELECT count(*) FROM import_added WHERE import_id = 2)`); n != 0 {
		t.Errorf("%d records are left", n)
	}
}

// storedState reads the database of a panel in another process.
type storedState struct {
	t  *testing.T
	db *sql.DB
}

func openLedger(t *testing.T, dir string) storedState {
	t.Helper()
	d, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "connexa.db")+"?_busy_timeout=5000&_query_only=on")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return storedState{t, d}
}

// readHistory returns the history rows of all probes as text, by id.
func (l storedState) readHistory() map[int64]string {
	l.t.Helper()
	rows, err := l.db.Query(`SELECT id, node_id || ' ' || fact || ' ' || after || ' ' || cause FROM history WHERE what = 'probe'`)
	if err != nil {
		l.t.Fatal(err)
	}
	defer rows.Close()
	all := map[int64]string{}
	for rows.Next() {
		var (
			id  int64
			row string
		)
		if err := rows.Scan(&id, &row); err != nil {
			l.t.Fatal(err)
		}
		all[id] = row
	}
	if err := rows.Err(); err != nil {
		l.t.Fatal(err)
	}
	return all
}

func (l storedState) countRows(query string, args ...any) (n int) {
	l.t.Helper()
	if err := l.db.QueryRow(query, args...).Scan(&n); err != nil {
		l.t.Fatal(query, err)
	}
	return n
}

func (l storedState) isSettled() bool {
	return l.countRows(`SELECT count(*) FROM imports WHERE state <> 'done'`) == 0 &&
		l.countRows(`SELECT count(*) FROM runs WHERE state = 'done'`) == 1
}

// checkNodes checks the fleet after the run.
func (l storedState) checkNodes(nodes []lab.Node) {
	l.t.Helper()
	if n := l.countRows(`SELECT count(*) FROM nodes`); n != len(nodes) {
		l.t.Errorf("%d nodes, want %d", n, len(nodes))
	}
	if n := l.countRows(`SELECT count(*) FROM (SELECT address FROM nodes GROUP BY address, port HAVING count(*) > 1)`); n != 0 {
		l.t.Errorf("%d servers are there twice", n)
	}
	if n := l.countRows(`SELECT count(*) FROM runs WHERE total <> ? OR good + slow + bad + inconclusive <> total`, len(nodes)); n != 0 {
		l.t.Error("the counts of the run do not add up")
	}
	if n := l.countRows(`SELECT count(*) FROM jobs WHERE state <> 'done'`); n != 0 {
		l.t.Errorf("%d jobs are left", n)
	}
	for _, n := range nodes {
		var status, result string
		if err := l.db.QueryRow(`SELECT n.status, j.result FROM nodes n JOIN jobs j ON j.node_id = n.id WHERE n.address = ?`, n.Addr.Addr().String()).
			Scan(&status, &result); err != nil {
			l.t.Fatal(n.Addr, err)
		}
		want := n.Behaviour.Expect().Status
		if result == string(connexa.ResultInternalError) {
			want = string(connexa.NotTested) // it was interrupted three times
		}
		if status != want {
			l.t.Errorf("%s (%s) is %s, want %s", n.Addr, n.Behaviour, status, want)
		}
	}
	// Ten kills in a row interrupt some jobs three times; most jobs end normally.
	if n := l.countRows(`SELECT count(*) FROM jobs WHERE result = 'internal_error'`); n > len(nodes)/2 {
		l.t.Errorf("%d of %d jobs gave up", n, len(nodes))
	}
}

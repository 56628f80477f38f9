package daemon

import (
	"bytes"
	"database/sql"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/speed"
)

// mixed has servers of all kinds that matter to a speed test. Servers with 300 kbit/s
// are below the threshold for slow.
const mixed = "good=58,rate:300k/300k=2,refuse=12,ssh=4,silent=1,login-refused:691=8,no-internet=3,endpoint:429=5,endpoint:503=3,gre:silent=2,terminate:Too_many_users=2"

// prepareData creates the data folder of a panel with small speed tests against the
// endpoint inside the tunnels.
func prepareData(t *testing.T, dir string) {
	t.Helper()
	d, err := db.Open(t.Context(), db.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	err = d.ChangeSpeedEndpoints(t.Context(), func([]connexa.Endpoint) ([]connexa.Endpoint, error) {
		return []connexa.Endpoint{{Kind: connexa.EndpointOwn, URL: "http://" + tunnelEndpoint, Token: "blue-kite"}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = d.ChangeSettings(t.Context(), func(s *connexa.Settings) error {
		s.Speed.AtOnce, s.Speed.QuickMB = mixedAtOnce, 1
		return s.Check()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// importFile imports a file and starts the test that follows it.
func (c *childPanel) importFile(file []byte, test string) {
	c.t.Helper()
	var form bytes.Buffer
	mw := multipart.NewWriter(&form)
	if err := mw.WriteField("test", test); err != nil {
		c.t.Fatal(err)
	}
	part, err := mw.CreateFormFile("file", "fleet.csv")
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := part.Write(file); err != nil {
		c.t.Fatal(err)
	}
	if err := mw.Close(); err != nil {
		c.t.Fatal(err)
	}
	page := c.postForm("/imports", mw.FormDataContentType(), &form)
	c.postForm(page+"/confirm", "application/x-www-form-urlencoded", nil)
}

// TestKilledPingSpeedRunEndsCorrectly kills the panel during a ping and speed run over
// a mixed fleet. Committed results must stay, the run must end with each node counted
// once, and each node must have the status that fits its server.
func TestKilledPingSpeedRunEndsCorrectly(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	if err := gre.SelfTest(t.Context(), gre.Raw); err != nil {
		t.Skipf("the panel is a process of its own, and reaches the fleet through raw sockets: %v", err)
	}
	server := speed.NewServer(speed.ServerOptions{Token: "blue-kite", MaxAtOnce: 1000})
	fleet := labtest.Start(t, lab.Config{
		Nodes: mixedNodes, Seed: 11, Faults: labtest.Faults(t, mixed), Sites: map[string]http.Handler{tunnelEndpoint: server},
	})
	var file bytes.Buffer
	if err := fleet.WriteCSV(&file); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	prepareData(t, dir)
	c := startChild(t, dir)
	c.importFile(file.Bytes(), string(connexa.RunPingSpeed))

	ledger := openLedger(t, dir)
	measured := `SELECT count(*) FROM history WHERE kind = 'speed'`
	ledger.awaitState("half of the speed tests", 4*time.Minute, func() bool { return ledger.countRows(measured) >= 3*mixedNodes/10 })
	known := ledger.readHistory()
	c.kill()
	after := ledger.readHistory()
	for id, row := range known {
		if after[id] != row {
			t.Fatalf("the committed result %d was %q and is %q", id, row, after[id])
		}
	}
	c = startChild(t, dir)
	defer c.kill()
	ledger.awaitState("the end of the run", 8*time.Minute, ledger.isSettled)

	nodes := fleet.Nodes()
	if n := ledger.countRows(`SELECT count(*) FROM runs WHERE total <> ? OR good + slow + bad + inconclusive <> total`, len(nodes)); n != 0 {
		t.Error("the counts of the run do not add up")
	}
	if n := ledger.countRows(`SELECT count(*) FROM run_jobs WHERE chained = 0`); n != len(nodes) {
		t.Errorf("%d jobs tell of %d nodes", n, len(nodes))
	}
	if n := ledger.countRows(`SELECT count(*) FROM jobs WHERE state <> 'done' OR result = 'internal_error'`); n != 0 {
		t.Errorf("%d jobs are left or gave up", n)
	}
	if n := ledger.countRows(`SELECT coalesce(sum(bytes), 0) FROM speed_spent`); n < 300_000*mixedNodes {
		t.Errorf("%d bytes were counted", n)
	}
	for _, n := range nodes {
		ledger.checkDeserved(n)
	}
}

// awaitState waits at most most until come returns true.
func (l storedState) awaitState(what string, most time.Duration, come func() bool) {
	l.t.Helper()
	for deadline := time.Now().Add(most); !come(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("%s has not come after %s", what, most)
		}
	}
}

// checkDeserved compares a node with the expected result of a ping and a speed test.
func (l storedState) checkDeserved(n lab.Node) {
	l.t.Helper()
	want := n.Behaviour.ExpectSpeed(lab.Policy{})
	var (
		status, cause string
		down          sql.NullInt64
	)
	if err := l.db.QueryRow(`SELECT status, cause, down FROM nodes WHERE address = ?`, n.Addr.Addr().String()).Scan(&status, &cause, &down); err != nil {
		l.t.Fatal(n.Addr, err)
	}
	measured := want.Status == string(connexa.SpeedOK)
	limited := strings.HasPrefix(n.Behaviour.String(), "rate:")
	if measured && (limited || down.Int64 < 1_000_000) { // a busy machine may be slower than the line
		want.Status = string(connexa.SpeedSlow)
	}
	if limited && down.Int64 > 330_000 {
		l.t.Errorf("%s (%s) has %d bit/s", n.Addr, n.Behaviour, down.Int64)
	}
	if status != want.Status || cause != want.Cause || measured != (down.Int64 > 0) {
		l.t.Errorf("%s (%s) is %s, %q, %d bit/s; want %+v", n.Addr, n.Behaviour, status, cause, down.Int64, want)
	}
}

package handlers

import (
	"context"
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// startMeasuring starts a panel that can start speed tests but runs none.
func startMeasuring(t *testing.T) (*panel, *browser) {
	t.Helper()
	p := startPanel(t)
	p.parts.kinds = []connexa.RunKind{connexa.RunPing, connexa.RunSpeed, connexa.RunPingSpeed}
	p.rewire()
	return p, p.newBrowser().logIn()
}

// hiddenOf are the hidden fields of the form that posts to action.
func (a answer) hiddenOf(action string) url.Values {
	_, form, _ := strings.Cut(a.body, `action="`+action+`"`)
	form, _, _ = strings.Cut(form, "</form>")
	v := url.Values{}
	for _, m := range regexp.MustCompile(`type="hidden" name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(form, -1) {
		v.Add(m[1], html.UnescapeString(m[2]))
	}
	return v
}

func TestTheFirstSpeedTestAsksWhatToMeasureAgainst(t *testing.T) {
	p, b := startMeasuring(t)
	b.addNodes("192.0.2.1", "192.0.2.2", "198.51.100.1")

	// A browser gets a page, htmx a dialog, both with the run.
	asked := b.post("/runs", "kind", "speed", "all", "1", "q", "192.0.2").hasStatus(t, http.StatusOK).contains(t, "<html").contains(t, "Choose a speed endpoint")
	for _, text := range []string{"It uses that machine’s traffic", "Cloudflare sees the addresses of your nodes", "The owner sees the addresses", "pays for the traffic"} {
		asked.contains(t, text)
	}
	b.asHTMX("button").post("/runs", "kind", "speed", "id", "1").hasStatus(t, http.StatusOK).lacks(t, "<html").contains(t, "<dialog").contains(t, "#dialog")

	// The form shows the error and keeps the run.
	form := asked.hiddenOf("/speed/endpoints")
	form.Set("endpoint_url", "speed.example.net")
	bad := b.doRequest(http.MethodPost, "/speed/endpoints", form).hasStatus(t, http.StatusUnprocessableEntity).contains(t, "Enter a full URL").contains(t, `value="speed.example.net"`)
	form = bad.hiddenOf("/speed/endpoints")
	if form.Get("kind") != "speed" || form.Get("q") != "192.0.2" {
		t.Fatalf("the run is lost: %v", form)
	}

	// A valid endpoint leads back to the run, which first shows its cost.
	form.Set("endpoint_url", "https://speed.example.net")
	form.Set("endpoint_token", "blue-kite-7")
	cost := b.doRequest(http.MethodPost, "/speed/endpoints", form).hasStatus(t, http.StatusOK).contains(t, "2 nodes × (25 MB down + 25 MB up) ≈ 100 MB").contains(t, "20 GB of the budget is left")
	cost.lacks(t, "blue-kite-7")
	runs, err := p.db.Runs(t.Context(), false, 0, 10)
	if err != nil || len(runs) != 0 {
		t.Fatalf("%d runs began before anybody agreed, %v", len(runs), err)
	}
	b.doRequest(http.MethodPost, "/runs", cost.hiddenOf("/runs")).leadsTo(t, "/runs/1")
	run, err := p.db.Run(t.Context(), 1)
	if err != nil || run.Kind != connexa.RunSpeed || run.Total != 2 {
		t.Errorf("got %+v, %v; want a speed run of 2 nodes", run, err)
	}

	// One node is not worth a question.
	b.asHTMX("button").post("/runs", "kind", "speed", "id", "3").hasStatus(t, http.StatusOK).contains(t, "toast").lacks(t, "<dialog")
	if got := p.auditActs(); !strings.HasPrefix(got, "admin:run_started admin:run_started admin:settings_changed ") {
		t.Errorf("audit: %s", got)
	}
}

func TestABigRunSaysWhatItCostsOfTheBudget(t *testing.T) {
	p, b := startMeasuring(t)
	b.addNodes("192.0.2.1", "192.0.2.2")
	b.post("/speed/endpoints", "endpoint_kind", "cloudflare").leadsTo(t, "/settings#endpoints")
	if err := p.db.SpendSpeed(t.Context(), 19_950_000_000); err != nil {
		t.Fatal(err)
	}
	b.asHTMX("button").post("/runs", "kind", "ping+speed", "all", "1").hasStatus(t, http.StatusOK).
		contains(t, "Ping 2 nodes").contains(t, "50 MB of the budget is left").contains(t, "the remaining tests wait and continue by themselves")
	b.get("/settings").contains(t, "20 GB of 20 GB")
}

func TestSpeedSettings(t *testing.T) {
	p, b := startMeasuring(t)
	good := []string{"speed_mode", "full", "speed_at_once", "3", "speed_quick_mb", "10", "speed_full_mb", "100", "speed_slow_kbit", "2000", "speed_hour_gb", "5", "speed_month_gb", "50"}
	b.post("/settings/speed", append(good, "speed_at_once", "99")[2:]...).hasStatus(t, http.StatusUnprocessableEntity).contains(t, "Choose quick or full.")
	bad := append([]string{}, good...)
	bad[3] = "many"
	b.post("/settings/speed", bad...).hasStatus(t, http.StatusUnprocessableEntity).contains(t, `value="many"`).contains(t, "from 1 to 50").contains(t, `name="concurrency" type="text" value="256"`)
	b.post("/settings/speed", good...).leadsTo(t, "/settings#speed")
	s, err := p.db.Settings(t.Context())
	want := connexa.SpeedSettings{Mode: connexa.SpeedFull, AtOnce: 3, QuickMB: 10, FullMB: 100, SlowKbit: 2000, HourGB: 5, MonthGB: 50}
	if err != nil || s.Speed != want {
		t.Errorf("%+v, %v", s.Speed, err)
	}
	// The other form of the page leaves them alone.
	b.post("/settings", "concurrency", "12", "connect_rate", "50", "per_network", "8", "per_address", "1", "ping_attempts", "2", "history_raw_days", "30",
		"history_hour_days", "60", "history_day_days", "400", "encryption", "required").leadsTo(t, "/settings")
	if s, err := p.db.Settings(t.Context()); err != nil || s.Speed != want || s.Concurrency != 12 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestEndpointsAreListedOrderedAndTried(t *testing.T) {
	p, b := startMeasuring(t)
	b.post("/speed/endpoints", "endpoint_kind", "own", "endpoint_url", "http://192.0.2.8:8081", "endpoint_token", "blue-kite-7").leadsTo(t, "/settings#endpoints")
	b.post("/speed/endpoints", "endpoint_kind", "urls", "endpoint_url", "https://files.example.net/big", "endpoint_up_url", "https://files.example.net/up").leadsTo(t, "/settings#endpoints")
	list := func() string {
		endpoints, err := p.db.SpeedEndpoints(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range endpoints {
			names = append(names, e.Name())
		}
		return strings.Join(names, " ")
	}
	if got := list(); got != "192.0.2.8:8081 files.example.net" {
		t.Errorf("endpoints: %s", got)
	}
	b.get("/settings").contains(t, "192.0.2.8:8081").contains(t, "files.example.net").lacks(t, "blue-kite-7")
	urls := []string{"endpoint_kind", "urls", "endpoint_url", "https://files.example.net/big", "endpoint_up_url", "https://files.example.net/up"}
	b.post("/speed/endpoints/first", urls...).leadsTo(t, "/settings#endpoints")
	if got := list(); got != "files.example.net 192.0.2.8:8081" {
		t.Errorf("endpoints: %s", got)
	}
	b.post("/speed/endpoints/remove", urls...).hasStatus(t, http.StatusOK).contains(t, "Remove the speed endpoint")
	b.post("/speed/endpoints/remove", append(urls, "yes", "1")...).leadsTo(t, "/settings#endpoints")
	b.post("/speed/endpoints/remove", append(urls, "yes", "1")...).hasStatus(t, http.StatusNotFound)
	if got := list(); got != "192.0.2.8:8081" {
		t.Errorf("endpoints: %s", got)
	}

	// The test of a stored endpoint uses its token and shows the result.
	var asked connexa.Endpoint
	var fails error
	p.parts.try = func(_ context.Context, e connexa.Endpoint) (connexa.Measurement, error) {
		asked = e
		return connexa.Measurement{Endpoint: e.Name(), Latency: 12 * time.Millisecond}, fails
	}
	p.rewire()
	own := []string{"endpoint_kind", "own", "endpoint_url", "http://192.0.2.8:8081"}
	b.asHTMX("button").post("/speed/endpoints/test", own...).hasStatus(t, http.StatusOK).contains(t, "192.0.2.8:8081 answers in 12")
	if asked.Token.Reveal() != "blue-kite-7" {
		t.Error("it was asked without its token")
	}
	fails = refused{}
	b.asHTMX("button").post("/speed/endpoints/test", own...).hasStatus(t, http.StatusOK).contains(t, "the speed endpoint refused").contains(t, "status 429")
	fails = errors.New("out of order")
	b.asHTMX("button").post("/speed/endpoints/test", own...).hasStatus(t, http.StatusOK).contains(t, "out of order")
	b.asHTMX("button").post("/speed/endpoints/test", "endpoint_kind", "own", "endpoint_url", "").hasStatus(t, http.StatusUnprocessableEntity).contains(t, "Enter the address.")
}

type refused struct{}

func (refused) Error() string        { return "status 429" }
func (refused) Cause() connexa.Cause { return "internet.refused" }

func TestARowShowsTheFigureOfItsRunningTest(t *testing.T) {
	p, b := startMeasuring(t)
	b.addNodes("192.0.2.1")
	if _, err := p.db.StartRun(t.Context(), connexa.NewRun{Kind: connexa.RunSpeed, Selection: connexa.Selection{All: true}}); err != nil {
		t.Fatal(err)
	}
	jobs, err := p.db.Claim(t.Context(), connexa.Speed, 1)
	if err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	box, done := p.h.broker.Subscribe(func(e connexa.Event) bool { return e.Topic == connexa.NodeChanged })
	defer done()
	for i := range 100 { // only one event is published
		p.app.Speed.NoteSpeed(1, connexa.SpeedLive{Phase: connexa.PhaseDownload, Bits: int64(i) * 1e6})
	}
	if list := box.Drain(); len(list) != 1 {
		t.Errorf("%d events", len(list))
	}
	b.get("/nodes").contains(t, "↓ 99.0").contains(t, "Mbit/s")
	b.get("/nodes/1").contains(t, "↓ 99.0")
	p.app.Speed.NoteSpeed(1, connexa.SpeedLive{})

	at := p.clock.now()
	_, err = p.db.Finish(t.Context(), jobs[0], connexa.Probed{
		Fact: connexa.Fast, Result: connexa.ResultGood,
		Outcome: connexa.Outcome{Kind: connexa.Speed, At: at, Reached: connexa.Internet, Attempts: 1, DownBits: 43_100_000, UpBits: 12_000_000},
		Detail: connexa.Detail{Speed: &connexa.Measurement{
			Endpoint: "speed.example.net", ExitIP: "203.0.113.7", Mode: connexa.SpeedQuick, Down: 43_100_000, Up: 12_000_000, DownBytes: 25e6, UpBytes: 8e6,
			Latency: 20 * time.Millisecond, Jitter: 2 * time.Millisecond, LoadedDown: 45 * time.Millisecond, Grade: "B", Confidence: connexa.ConfidenceMedium, Spread: 0.2, Limited: true,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	page := b.get("/nodes/1").lacks(t, "↓ 99.0")
	for _, text := range []string{"43.1", "12.0", "203.0.113.7", "speed.example.net · Quick", "grade B", "medium", "Probably limited by this machine", "jitter 2", "25 MB down, 8 MB up"} {
		page.contains(t, text)
	}
	b.get("/nodes").contains(t, "43.1")
}

func TestAnImportSaysWhatItsSpeedTestCosts(t *testing.T) {
	p, b := startMeasuring(t)
	p.startImports()
	page := importPath(1)
	b.uploadFile(part{"file", "fleet.csv", "address,login,password\n192.0.2.1,ops,Blue-Kite-7\n192.0.2.2,ops,Blue-Kite-7\n"}).leadsTo(t, page)
	p.waitUntil(1, connexa.ImportReady)
	b.get(page).lacks(t, "waits until you choose a speed endpoint")
	b.post(page+"/test", "test", "speed").leadsTo(t, page)
	b.get(page).contains(t, "waits until you choose a speed endpoint")
	b.post("/speed/endpoints", "endpoint_kind", "cloudflare").leadsTo(t, "/settings#endpoints")
	b.get(page).contains(t, "2 nodes × (25 MB down + 25 MB up) ≈ 100 MB").contains(t, `value="ping+speed"`)
	b.post(page+"/test", "test", "ping").leadsTo(t, page)
	b.get(page).lacks(t, "≈ 100 MB")
}

func TestTryingARunAgainSaysWhatItCosts(t *testing.T) {
	p, b := startMeasuring(t)
	b.addNodes("192.0.2.1", "192.0.2.2")
	b.post("/speed/endpoints", "endpoint_kind", "cloudflare").leadsTo(t, "/settings#endpoints")
	run, err := p.db.StartRun(t.Context(), connexa.NewRun{Kind: connexa.RunSpeed, Selection: connexa.Selection{All: true}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.db.CancelRun(t.Context(), run.ID); err != nil {
		t.Fatal(err)
	}
	asked := b.post("/runs/1/retry").hasStatus(t, http.StatusOK).contains(t, "2 nodes × (25 MB down")
	b.doRequest(http.MethodPost, "/runs/1/retry", asked.hiddenOf("/runs/1/retry")).leadsTo(t, "/runs/2")
	if run, err := p.db.Run(t.Context(), 2); err != nil || run.Total != 2 || run.Label.Key != "run.label.retry" {
		t.Errorf("got %+v, %v; want a retry of 2 nodes", run, err)
	}
}

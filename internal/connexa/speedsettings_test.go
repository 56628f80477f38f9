package connexa

import (
	"testing"
	"time"
)

func TestABudgetMakesTestsWaitForTheNextHourOrMonth(t *testing.T) {
	s := DefaultSpeedSettings() // 50 MB per test, 20 GB per hour, 500 GB per month
	now := time.Date(2026, 11, 30, 14, 20, 0, 0, time.FixedZone("", 3*3600))
	next := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	december := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	soon := now.UTC().Add(s.Deadline())
	for _, c := range []struct {
		name   string
		spent  SpeedSpent
		inHand int
		want   time.Time
	}{
		{"nothing spent", SpeedSpent{}, 0, time.Time{}},
		{"just enough", SpeedSpent{Hour: 19_950_000_000, Month: 19_950_000_000}, 0, time.Time{}},
		{"not enough", SpeedSpent{Hour: 19_950_000_001, Month: 19_950_000_001}, 0, next},
		{"what runs may still take it", SpeedSpent{Hour: 19_900_000_000, Month: 19_900_000_000}, 2, soon},
		{"the month", SpeedSpent{Month: 499_990_000_000}, 0, december},
	} {
		if got := s.Wait(c.spent, c.inHand, now.UTC()); !got.Equal(c.want) {
			t.Errorf("%s: until %s, want %s", c.name, got, c.want)
		}
	}
	// The month begins in the panel's time zone.
	if got, want := s.Wait(SpeedSpent{Month: 499_990_000_000}, 0, now), december.Add(-3*time.Hour); !got.Equal(want) {
		t.Errorf("the month three hours ahead: until %s, want %s", got, want)
	}
	small := s
	small.Mode, small.FullMB, small.HourGB = SpeedFull, 10_000, 1
	if got := small.Wait(SpeedSpent{}, 0, now); !got.IsZero() {
		t.Errorf("a budget smaller than one test waits until %s, for ever", got)
	}
	if got := small.Wait(SpeedSpent{Hour: 1, Month: 1}, 0, now); !got.Equal(next) {
		t.Errorf("and the second waits until %s", got)
	}
}

func TestEstimate(t *testing.T) {
	bytes, took := DefaultSpeedSettings().Estimate(300)
	if bytes != 15_000_000_000 || took != 25*time.Minute {
		t.Errorf("%d bytes, %s", bytes, took)
	}
}

func TestParseEndpoint(t *testing.T) {
	for _, c := range []struct {
		in    Endpoint
		field string // field with the error, or empty
	}{
		{Endpoint{Kind: EndpointOwn, URL: " https://speed.example.net:8081 ", Token: "blue"}, ""},
		{Endpoint{Kind: EndpointCloudflare, URL: "javascript:1"}, ""}, // the URL is dropped
		{Endpoint{Kind: EndpointURLs, URL: "http://a.example/x"}, ""},
		{Endpoint{Kind: EndpointURLs, URL: "http://a.example/x", UpURL: "ftp://a.example"}, "up_url"},
		{Endpoint{Kind: EndpointOwn}, "url"},
		{Endpoint{Kind: EndpointOwn, URL: "speed.example.net"}, "url"},
		{Endpoint{Kind: EndpointLibreSpeed, URL: "https://ann:kite@speed.example.net"}, "url"},
		{Endpoint{Kind: EndpointOwn, URL: "https://speed.example.net", Token: "two words"}, "token"},
		{Endpoint{Kind: "faster", URL: "https://speed.example.net"}, "kind"},
	} {
		got, err := ParseEndpoint(c.in)
		errs, _ := err.(FieldErrors)
		if c.field == "" && err != nil || c.field != "" && errs[c.field].IsZero() {
			t.Errorf("%+v: %+v, %v", c.in, got, err)
		}
		if c.in.Kind == EndpointCloudflare && got != (Endpoint{Kind: EndpointCloudflare}) {
			t.Errorf("%+v", got)
		}
	}
}

func TestMaskURL(t *testing.T) {
	for address, want := range map[string]string{
		"https://a.example/f?sig=1":             "https://a.example/f?•••",
		"https://a.example?sig=1":               "https://a.example?•••",
		"https://user:pw@a.example/f":           "https://•••@a.example/f",
		"https://user:p/w@a.example/f":          "https://user:p/w@a.example/f", // no user part, as in net/url
		"https://user:pw@a.example:8443/f?x=@y": "https://•••@a.example:8443/f?•••",
		"https://a.example/@file":               "https://a.example/@file",
		"https://a.example/f":                   "https://a.example/f",
		"":                                      "",
	} {
		if got := MaskURL(address); got != want || MaskURL(got) != got {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}

// TestMaskedEndpointsAreFound looks up endpoints by what a page knows of them.
func TestMaskedEndpointsAreFound(t *testing.T) {
	stored := []Endpoint{
		{Kind: EndpointURLs, URL: "https://a.example/f?sig=1", UpURL: "https://a.example/up?k=2"},
		{Kind: EndpointOwn, URL: "https://b.example", Token: "Blue-Kite-7"},
	}
	for i, e := range stored {
		if got := e.Masked().Completed(stored); got != e {
			t.Errorf("%d: %+v", i, got)
		}
		if e.Masked().Token != "" {
			t.Error("a token is shown")
		}
	}
	other := Endpoint{Kind: EndpointOwn, URL: "https://b.example/elsewhere"}
	if got := other.Completed(stored); got != other {
		t.Errorf("a token for another address: %+v", got)
	}
	if _, err := ParseEndpoint(Endpoint{Kind: EndpointURLs, URL: "https://c.example/f?•••"}); err == nil {
		t.Error("a masked address was taken for one")
	}
}

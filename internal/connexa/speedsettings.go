package connexa

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// SpeedSettings are the settings of speed tests.
type SpeedSettings struct {
	Mode     SpeedMode
	AtOnce   int // concurrent tests, besides pings and logins, 1 to 50
	QuickMB  int // limit of a quick test in each direction, in 10^6 bytes, 1 to 1000
	FullMB   int // the same for a full test, 1 to 10000
	SlowKbit int // a download below this many kbit/s is slow, 1 to 10^7
	HourGB   int // budget of all tests per hour, in 10^9 bytes, 1 to 10^5
	MonthGB  int // the same per month, 1 to 10^7
}

// DefaultSpeedSettings returns the settings of a new panel.
func DefaultSpeedSettings() SpeedSettings {
	return SpeedSettings{Mode: SpeedQuick, AtOnce: 2, QuickMB: 25, FullMB: 250, SlowKbit: 1000, HourGB: 20, MonthGB: 500}
}

func (s SpeedSettings) checkSpeed(errs FieldErrors) {
	for _, f := range []struct {
		name             string
		value, low, high int
	}{
		{"speed_at_once", s.AtOnce, 1, 50},
		{"speed_quick_mb", s.QuickMB, 1, 1000},
		{"speed_full_mb", s.FullMB, 1, 10_000},
		{"speed_slow_kbit", s.SlowKbit, 1, 10_000_000},
		{"speed_hour_gb", s.HourGB, 1, 100_000},
		{"speed_month_gb", s.MonthGB, 1, 10_000_000},
	} {
		if f.value < f.low || f.value > f.high {
			errs.Add(f.name, "field.bounds", f.low, f.high)
		}
	}
	if !s.Mode.Known() {
		errs.Add("speed_mode", "field.speed_mode")
	}
}

// Cap returns the maximum number of bytes of one test in each direction.
func (s SpeedSettings) Cap() int64 {
	if s.Mode == SpeedFull {
		return int64(s.FullMB) * 1e6
	}
	return int64(s.QuickMB) * 1e6
}

// Cost returns the maximum total number of bytes of one test.
func (s SpeedSettings) Cost() int64 { return 2 * s.Cap() }

// Deadline returns the maximum time of one measurement, once the tunnel is up.
func (s SpeedSettings) Deadline() time.Duration {
	if s.Mode == SpeedFull {
		return 90 * time.Second
	}
	return 45 * time.Second
}

// usualCost returns the typical time of a test, including the time to set up the
// tunnel. Tests that reach the cap end early.
func (s SpeedSettings) usualCost() time.Duration {
	if s.Mode == SpeedFull {
		return 20 * time.Second
	}
	return 10 * time.Second
}

// Estimate returns the maximum cost of tests of n nodes and about how long they take.
func (s SpeedSettings) Estimate(n int) (bytes int64, took time.Duration) {
	rounds := (n + s.AtOnce - 1) / max(1, s.AtOnce)
	return int64(n) * s.Cost(), time.Duration(rounds) * s.usualCost()
}

// Slow reports whether a download in bits per second is below the threshold.
func (s SpeedSettings) Slow(bits int64) bool { return bits < int64(s.SlowKbit)*1000 }

// HourBudget returns how many bytes all tests may move per hour.
func (s SpeedSettings) HourBudget() int64 { return int64(s.HourGB) * 1e9 }

// MonthBudget returns how many bytes all tests may move per calendar month.
func (s SpeedSettings) MonthBudget() int64 { return int64(s.MonthGB) * 1e9 }

// SpeedSpent is the traffic of speed tests, in bytes.
type SpeedSpent struct {
	Hour  int64 // since the current hour began
	Month int64 // since the current month did
}

// Left returns how many more bytes tests may move now; never negative.
func (s SpeedSettings) Left(spent SpeedSpent) int64 {
	return max(0, min(s.HourBudget()-spent.Hour, s.MonthBudget()-spent.Month))
}

// Wait returns until when another test must wait while inHand tests run, each of which
// may still use its full cost; zero: no wait. A budget smaller than one test allows
// one if nothing was spent. The month is in the zone of now.
func (s SpeedSettings) Wait(spent SpeedSpent, inHand int, now time.Time) time.Time {
	over := func(spent, budget int64) bool {
		busy := spent + int64(inHand)*s.Cost()
		return busy > 0 && busy+s.Cost() > budget
	}
	switch {
	case over(spent.Month, s.MonthBudget()):
		if spent.Month+s.Cost() <= s.MonthBudget() { // the running tests may turn out cheaper
			return now.Add(s.Deadline())
		}
		return beginOfDay(now.Year(), now.Month()+1, 1, now.Location())
	case over(spent.Hour, s.HourBudget()):
		if spent.Hour+s.Cost() <= s.HourBudget() {
			return now.Add(s.Deadline())
		}
		return now.Truncate(time.Hour).Add(time.Hour)
	}
	return time.Time{}
}

// maxToken is the maximum length of the token of an endpoint, in bytes.
const maxToken = 200

// maxEndpointURL is the maximum length of each URL of an endpoint, in bytes.
const maxEndpointURL = 500

// ParseEndpoint checks an endpoint from a form; the error is FieldErrors with the
// names "kind", "url", "up_url" and "token".
func ParseEndpoint(e Endpoint) (Endpoint, error) {
	errs := FieldErrors{}
	e.URL, e.UpURL = strings.TrimSpace(e.URL), strings.TrimSpace(e.UpURL)
	switch e.Kind {
	case EndpointOwn:
		e.UpURL = ""
		checkURL(errs, "url", e.URL)
	case EndpointLibreSpeed:
		e.UpURL, e.Token = "", ""
		checkURL(errs, "url", e.URL)
	case EndpointCloudflare:
		e = Endpoint{Kind: EndpointCloudflare}
	case EndpointURLs:
		e.Token = ""
		checkURL(errs, "url", e.URL)
		if e.UpURL != "" { // without it only the download is measured
			checkURL(errs, "up_url", e.UpURL)
		}
	default:
		errs.Add("kind", "field.endpoint.kind")
	}
	if len(e.Token) > maxToken || strings.ContainsAny(e.Token.Reveal(), " \r\n\t") {
		errs.Add("token", "field.endpoint.token", maxToken)
	}
	return e, errs.OrNil()
}

func checkURL(errs FieldErrors, field, text string) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		errs.Add(field, "field.endpoint.empty")
	case len(text) > maxEndpointURL || err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		errs.Add(field, "field.endpoint.url")
	case u.User != nil || u.Fragment != "" || strings.Contains(text, unseen):
		errs.Add(field, "field.endpoint.plain")
	}
}

// Same reports whether e and o are the same endpoint, ignoring tokens and the masked
// parts of their addresses: pages identify an endpoint by its masked addresses, and
// one with another signature replaces the old one.
func (e Endpoint) Same(o Endpoint) bool {
	e, o = e.Masked(), o.Masked()
	return e.Kind == o.Kind && e.URL == o.URL && e.UpURL == o.UpURL
}

// unseen replaces the masked part of an address.
const unseen = "•••"

// HasSecret reports whether an address may contain a secret: it has a user, or a
// query, which may have signatures and keys.
func HasSecret(address string) bool { return MaskURL(address) != address }

// MaskURL returns an address without its query and its user.
func MaskURL(address string) string {
	front, _, has := strings.Cut(address, "?")
	if has {
		front += "?" + unseen
	}
	scheme, rest, ok := strings.Cut(front, "://")
	if !ok {
		return front
	}
	host, path, isPath := strings.Cut(rest, "/")
	if i := strings.LastIndex(host, "@"); i >= 0 {
		host = unseen + host[i:]
	}
	if isPath {
		host += "/"
	}
	return scheme + "://" + host + path
}

// Masked returns e for pages: without its token and the secrets in its addresses.
func (e Endpoint) Masked() Endpoint {
	e.URL, e.UpURL, e.Token = MaskURL(e.URL), MaskURL(e.UpURL), ""
	return e
}

// isMasked reports whether e has a masked address.
func (e Endpoint) isMasked() bool { return strings.Contains(e.URL+e.UpURL, unseen) }

// Completed returns e with its masked parts and token from the same endpoint in list.
func (e Endpoint) Completed(list []Endpoint) Endpoint {
	i := slices.IndexFunc(list, e.Same)
	if i < 0 {
		return e
	}
	if e.isMasked() {
		e.URL, e.UpURL = list[i].URL, list[i].UpURL
	}
	if e.Token == "" && e.URL == list[i].URL {
		e.Token = list[i].Token
	}
	return e
}

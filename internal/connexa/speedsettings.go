package connexa

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// SpeedSettings are what an admin may turn about speed tests.
type SpeedSettings struct {
	Mode     SpeedMode
	AtOnce   int // tests at once, beside pings and logins, 1 to 50
	QuickMB  int // what a quick test moves at most each way, in 10^6 bytes, 1 to 1000
	FullMB   int // and a full one, 1 to 10000
	SlowKbit int // a download below so many kbit/s is slow, 1 to 10^7
	HourGB   int // what all tests may move in an hour, in 10^9 bytes, 1 to 10^5
	MonthGB  int // and in a month, 1 to 10^7
}

// DefaultSpeedSettings are those of a new panel.
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

// Cap is how many bytes one test moves at most each way.
func (s SpeedSettings) Cap() int64 {
	if s.Mode == SpeedFull {
		return int64(s.FullMB) * 1e6
	}
	return int64(s.QuickMB) * 1e6
}

// Cost is how many bytes one test moves at most in all.
func (s SpeedSettings) Cost() int64 { return 2 * s.Cap() }

// Deadline bounds one measurement, once the tunnel is up.
func (s SpeedSettings) Deadline() time.Duration {
	if s.Mode == SpeedFull {
		return 90 * time.Second
	}
	return 45 * time.Second
}

// usualCost is how long a test takes mostly, the way into the tunnel included: those
// that meet the cap end early.
func (s SpeedSettings) usualCost() time.Duration {
	if s.Mode == SpeedFull {
		return 20 * time.Second
	}
	return 10 * time.Second
}

// Estimate says what tests of n nodes cost at most, and how long they take about.
func (s SpeedSettings) Estimate(n int) (bytes int64, took time.Duration) {
	rounds := (n + s.AtOnce - 1) / max(1, s.AtOnce)
	return int64(n) * s.Cost(), time.Duration(rounds) * s.usualCost()
}

// Slow says whether a download of so many bits a second is under the threshold.
func (s SpeedSettings) Slow(bits int64) bool { return bits < int64(s.SlowKbit)*1000 }

// HourBudget and MonthBudget are in bytes.
func (s SpeedSettings) HourBudget() int64 { return int64(s.HourGB) * 1e9 }

// MonthBudget is what all tests may move in a calendar month.
func (s SpeedSettings) MonthBudget() int64 { return int64(s.MonthGB) * 1e9 }

// SpeedSpent is what speed tests have moved, in bytes.
type SpeedSpent struct {
	Hour  int64 // since the current hour began
	Month int64 // since the current month did
}

// Left is how much more tests may move now, in bytes; never negative.
func (s SpeedSettings) Left(spent SpeedSpent) int64 {
	return max(0, min(s.HourBudget()-spent.Hour, s.MonthBudget()-spent.Month))
}

// Wait says until when one more test has to wait while inHand others run, of
// which each may still move all that it may; zero: it need not. A budget that is
// smaller than one test lets one through when nothing was spent. The month is one of
// the zone of now.
func (s SpeedSettings) Wait(spent SpeedSpent, inHand int, now time.Time) time.Time {
	over := func(spent, budget int64) bool {
		busy := spent + int64(inHand)*s.Cost()
		return busy > 0 && busy+s.Cost() > budget
	}
	switch {
	case over(spent.Month, s.MonthBudget()):
		if spent.Month+s.Cost() <= s.MonthBudget() { // what is in hand may turn out cheaper
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

// maxToken bounds the token of an endpoint, in bytes.
const maxToken = 200

// maxEndpointURL bounds each address of an endpoint, in bytes.
const maxEndpointURL = 500

// ParseEndpoint checks what a person says of an endpoint; the error is
// FieldErrors with the names "kind", "url", "up_url" and "token".
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

// Same says whether e and o are the same place, whatever their tokens and what is
// masked in their addresses: pages know an endpoint by its masked addresses, and one
// that comes with another signature takes the place of the old one.
func (e Endpoint) Same(o Endpoint) bool {
	e, o = e.Masked(), o.Masked()
	return e.Kind == o.Kind && e.URL == o.URL && e.UpURL == o.UpURL
}

// unseen stands for what is not shown of an address.
const unseen = "•••"

// HasSecret says whether there may be a secret in an address: it has a query, where
// signatures and keys stand, or a user.
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

// Masked returns e as pages may show it: without its token and what is secret in
// its addresses.
func (e Endpoint) Masked() Endpoint {
	e.URL, e.UpURL, e.Token = MaskURL(e.URL), MaskURL(e.UpURL), ""
	return e
}

// isMasked says whether e came from a page that did not show all of it.
func (e Endpoint) isMasked() bool { return strings.Contains(e.URL+e.UpURL, unseen) }

// Completed returns e with what a page did not show of it, from the one in list that it is.
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

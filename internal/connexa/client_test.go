package connexa

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseClient(t *testing.T) {
	zone := time.FixedZone("", 3*3600)
	u, password, err := ParseClient(ClientInput{
		Name: " ann.k-1_x ", Password: "Blue-Kite-7", Enabled: true, Scope: "nodes", Nodes: []string{"7", "3", "7"}, Quota: "1,5", Unit: "GB", Period: "week",
		Sources: "192.0.2.7, 198.51.100.9/24\n::ffff:203.0.113.5;2001:db8::/32 192.0.2.7", Expires: "2026-12-31", Note: "an\noffice",
	}, zone)
	if err != nil {
		t.Fatal(err)
	}
	var sources []string
	for _, p := range u.Sources {
		sources = append(sources, SourceText(p))
	}
	if u.Name != "ann.k-1_x" || password != "Blue-Kite-7" || !slices.Equal(u.Nodes, []int64{3, 7}) || u.Quota != 1.5e9 || u.Note != "an office" ||
		!u.Expires.Equal(time.Date(2027, 1, 1, 0, 0, 0, 0, zone)) || strings.Join(sources, " ") != "192.0.2.7 198.51.100.0/24 203.0.113.5 2001:db8::/32" {
		t.Errorf("%+v, sources %v", u, sources)
	}
}

func TestParseClientRefuses(t *testing.T) {
	good := ClientInput{Name: "ann", Scope: "all"}
	if _, _, err := ParseClient(good, time.UTC); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		field string
		bad   func(*ClientInput)
	}{
		{"name", func(in *ClientInput) { in.Name = "" }},
		{"name", func(in *ClientInput) { in.Name = "ann:b" }},
		{"name", func(in *ClientInput) { in.Name = "анна" }},
		{"name", func(in *ClientInput) { in.Name = "-ann" }},
		{"name", func(in *ClientInput) { in.Name = ".." }},
		{"name", func(in *ClientInput) { in.Name = "Exit-17" }},
		{"name", func(in *ClientInput) { in.Name = strings.Repeat("a", 65) }},
		{"password", func(in *ClientInput) { in.Password = "short" }},
		{"password", func(in *ClientInput) { in.Password = strings.Repeat("a", 121) }},
		{"password", func(in *ClientInput) { in.Password = "line\nbreak" }},
		{"password", func(in *ClientInput) { in.Password = " Blue-Kite-7" }},
		{"scope", func(in *ClientInput) { in.Scope = "" }},
		{"nodes", func(in *ClientInput) { in.Scope = "nodes" }},
		{"nodes", func(in *ClientInput) { in.Scope, in.Nodes = "nodes", []string{"1", "x"} }},
		{"tags", func(in *ClientInput) { in.Scope, in.Tags = "tags", " , " }},
		{"sources", func(in *ClientInput) { in.Sources = "192.0.2.7 nonsense" }},
		{"sources", func(in *ClientInput) { in.Sources = "192.0.2.0/33" }},
		{"sources", func(in *ClientInput) { in.Sources = "fe80::1%eth0" }},
		{"expires", func(in *ClientInput) { in.Expires = "tomorrow" }},
		{"quota", func(in *ClientInput) { in.Quota, in.Unit = "0", "GB" }},
		{"quota", func(in *ClientInput) { in.Quota, in.Unit = "NaN", "GB" }},
		{"quota", func(in *ClientInput) { in.Quota, in.Unit = "1e300", "GB" }},
		{"quota", func(in *ClientInput) { in.Quota, in.Unit = "1", "PB" }},
		{"period", func(in *ClientInput) { in.Period = "year" }},
	} {
		in := good
		tt.bad(&in)
		_, _, err := ParseClient(in, time.UTC)
		if errs, ok := err.(FieldErrors); !ok || len(errs) != 1 || errs[tt.field].IsZero() {
			t.Errorf("%+v: %v; want a complaint about %s alone", in, err, tt.field)
		}
	}
}

func TestClientMay(t *testing.T) {
	nodes := Client{Scope: ScopeNodes, Nodes: []int64{2, 5}}
	tags := Client{Scope: ScopeTags, Tags: []string{"fast"}}
	for _, tt := range []struct {
		name string
		got  bool
		want bool
	}{
		{"all", (&Client{Scope: ScopeAll}).MayUse(1, nil), true},
		{"no scope", (&Client{}).MayUse(1, nil), false},
		{"named", nodes.MayUse(5, nil), true},
		{"not named", nodes.MayUse(4, nil), false},
		{"tag", tags.MayUse(1, []string{"eu", "fast"}), true},
		{"part of a tag", tags.MayUse(1, []string{"faster"}), false},
		{"anywhere", tags.MayComeFrom(netip.MustParseAddr("192.0.2.1")), true},
		{"mapped", (&Client{Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}).MayComeFrom(netip.MustParseAddr("::ffff:192.0.2.1")), true},
		{"elsewhere", (&Client{Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}).MayComeFrom(netip.MustParseAddr("192.0.3.1")), false},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %v", tt.name, tt.got)
		}
	}
	now := time.Now()
	for want, u := range map[ClientRefusal]Client{
		ClientDisabled: {Expires: now, Quota: 5}, ClientExpired: {Enabled: true, Expires: now, Quota: 5},
		ClientOverQuota: {Enabled: true, Expires: now.Add(1), Quota: 5}, ClientGranted: {Enabled: true, Expires: now.Add(1), Quota: 6},
	} {
		if got := u.State(now, 5); got != want {
			t.Errorf("%+v is %q, want %q", u, got, want)
		}
	}
}

func TestQuotaPeriodStarts(t *testing.T) {
	at := time.Date(2026, 11, 29, 1, 2, 3, 0, time.UTC) // a Sunday
	for p, want := range map[QuotaPeriod]string{QuotaDaily: "2026-11-29", QuotaWeekly: "2026-11-23", QuotaMonthly: "2026-11-01"} {
		if got := p.Start(at); got.Format(time.DateTime) != want+" 00:00:00" {
			t.Errorf("%s began %s, want %s", p, got, want)
		}
	}
	if !QuotaOnce.Start(at).IsZero() {
		t.Error("QuotaOnce starts again, want never")
	}
}

func TestFormTextsOfClient(t *testing.T) {
	zone := time.FixedZone("", -5*3600)
	for _, n := range []uint64{0, 1, 1500, 5e8, 1e9, 2.5e9, 1e12, 12345678901234} {
		text, unit := QuotaText(n)
		u, _, err := ParseClient(ClientInput{Name: "ann", Scope: "all", Quota: text, Unit: unit}, zone)
		if err != nil || u.Quota != n {
			t.Errorf("%d is %q %s in the form and comes back as %d, %v", n, text, unit, u.Quota, err)
		}
	}
	for _, day := range []string{"", "2026-12-31", "2028-02-29"} {
		u, _, err := ParseClient(ClientInput{Name: "ann", Scope: "all", Expires: day}, zone)
		if err != nil || ExpiryDay(u.Expires, zone) != day {
			t.Errorf("%q comes back as %q, %v", day, ExpiryDay(u.Expires, zone), err)
		}
	}
}

func TestServiceFilterRoundTrip(t *testing.T) {
	f := ServiceFilter{Text: "rack 4", State: ServiceOnline, Tags: []string{"eu", "fast"}}
	if got, err := ParseServiceFilter(f.Values()); err != nil || got.Text != f.Text || got.State != f.State || !slices.Equal(got.Tags, f.Tags) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []url.Values{{"state": {"off"}}, {"state": {"x"}}, {"q": {strings.Repeat("x", 201)}}, {"tag": slices.Repeat([]string{"x"}, MaxChoices+1)}} {
		if _, err := ParseServiceFilter(bad); CodeOf(err) != Invalid {
			t.Errorf("%.40v: %v", bad, err)
		}
	}
}

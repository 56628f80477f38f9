package connexa

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of a client.
const (
	MaxClientName     = 64
	MinClientPassword = 8   // bytes of a password
	MaxClientPassword = 120 // OpenVPN takes 127, RFC 1929 255
	MaxClientSources  = 64
	MaxClientNodes    = 5000
	MaxClientQuota    = 1 << 50 // bytes
)

// ClientScope says which nodes a client may use.
type ClientScope string

// The scopes.
const (
	ScopeAll   ClientScope = "all"
	ScopeNodes ClientScope = "nodes" // the listed nodes
	ScopeTags  ClientScope = "tags"  // nodes with one of the tags
)

// ClientScopes lists every scope.
func ClientScopes() []ClientScope { return []ClientScope{ScopeAll, ScopeNodes, ScopeTags} }

// QuotaPeriod is the interval at which the counters of a client are reset.
type QuotaPeriod string

// The periods. They begin at midnight of the panel's zone, see Settings.Location.
const (
	QuotaOnce    QuotaPeriod = ""
	QuotaDaily   QuotaPeriod = "day"
	QuotaWeekly  QuotaPeriod = "week" // on Monday
	QuotaMonthly QuotaPeriod = "month"
)

// QuotaPeriods lists every period.
func QuotaPeriods() []QuotaPeriod {
	return []QuotaPeriod{QuotaOnce, QuotaDaily, QuotaWeekly, QuotaMonthly}
}

// Start returns the start of the period that contains t, in the zone of t; zero for
// QuotaOnce.
func (p QuotaPeriod) Start(t time.Time) time.Time {
	year, month, day := t.Date()
	switch p {
	case QuotaDaily:
	case QuotaWeekly:
		day -= (int(t.Weekday()) + 6) % 7
	case QuotaMonthly:
		day = 1
	default:
		return time.Time{}
	}
	return beginOfDay(year, month, day, t.Location())
}

// IsOver reports whether the period that began at from has ended in zone, which is in
// force since the given time. A boundary of this zone before that time does not count.
func (p QuotaPeriod) IsOver(from, now time.Time, zone *time.Location, since time.Time) bool {
	start := p.Start(now.In(zone))
	return from.Before(start) && since.Before(start)
}

// Client is a person or a program that uses services. Its password is stored
// separately.
type Client struct {
	ID       int64
	Name     string // permanent, because certificates and client programs contain it
	Enabled  bool
	Scope    ClientScope
	Nodes    []int64        // when Scope is ScopeNodes, in order
	Tags     []string       // when Scope is ScopeTags
	Sources  []netip.Prefix // allowed source addresses; empty: any
	Expires  time.Time      // zero: never
	Quota    uint64         // bytes up and down together; 0: none
	Period   QuotaPeriod    // after which the counters are reset
	Note     string
	Revision int64 // incremented by each edit

	Up, Down    uint64    // bytes since CountedFrom
	CountedFrom time.Time // when the counters began
	SeenAt      time.Time // zero: never
	SeenFrom    string    // address
	CreatedAt   time.Time
	ChangedAt   time.Time
}

// ClientLogin is a client with its password.
type ClientLogin struct {
	Client
	Password Secret
}

// ClientLive is the current state of a client.
type ClientLive struct {
	State    ClientRefusal // disabled, expired or spent; ClientGranted: it may use services
	Up, Down uint64        // bytes since the last reset
	Open     int64         // open connections
	SeenAt   time.Time
	SeenFrom string
	// The last refusal of a login with the right password, or of an open connection.
	Refused     ClientRefusal
	RefusedAt   time.Time
	RefusedFrom string
}

// ClientCount is the traffic of a client since the last ClientCount.
type ClientCount struct {
	ClientID int64
	Up, Down uint64
	SeenAt   time.Time // zero: not since then
	SeenFrom string
}

// ClientRefusal is the reason why a client may not use a service. Empty means that it
// may.
type ClientRefusal string

// The refusals. Only the admin, and a login with the right password, may learn the
// reason.
const (
	ClientGranted     ClientRefusal = ""
	ClientUnknown     ClientRefusal = "unknown"  // unknown name or wrong password
	ClientGone        ClientRefusal = "gone"     // was deleted while connected
	ClientOutdated    ClientRefusal = "outdated" // the password changed while it was connected
	ClientDisabled    ClientRefusal = "disabled"
	ClientExpired     ClientRefusal = "expired"
	ClientOverQuota   ClientRefusal = "spent"  // its quota
	ClientWrongSource ClientRefusal = "source" // not from this address
	ClientWrongNode   ClientRefusal = "node"   // not this service
)

// ClientRefusals lists every refusal.
func ClientRefusals() []ClientRefusal {
	return []ClientRefusal{ClientUnknown, ClientGone, ClientOutdated, ClientDisabled, ClientExpired, ClientOverQuota, ClientWrongSource, ClientWrongNode}
}

// Text returns the sentence for the refused client.
func (r ClientRefusal) Text() Text { return T("clients.refused." + string(r)) }

// State returns why u may not use any service after it has used that many bytes:
// disabled, expired or over quota. ClientGranted means that it may.
func (u *Client) State(now time.Time, used uint64) ClientRefusal {
	switch {
	case !u.Enabled:
		return ClientDisabled
	case !u.Expires.IsZero() && !now.Before(u.Expires):
		return ClientExpired
	case u.Quota > 0 && used >= u.Quota:
		return ClientOverQuota
	}
	return ClientGranted
}

// MayUse reports whether u may use the service of a node.
func (u *Client) MayUse(node int64, tags []string) bool {
	switch u.Scope {
	case ScopeAll:
		return true
	case ScopeNodes:
		_, found := slices.BinarySearch(u.Nodes, node)
		return found
	case ScopeTags:
		return slices.ContainsFunc(u.Tags, func(t string) bool { return slices.Contains(tags, t) })
	}
	return false
}

// MayComeFrom reports whether u may connect from an address.
func (u *Client) MayComeFrom(a netip.Addr) bool {
	if len(u.Sources) == 0 {
		return true
	}
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(u.Sources, func(p netip.Prefix) bool { return p.Contains(a) })
}

// ClientInput is the content of the form of a client, not yet checked.
type ClientInput struct {
	Name     string
	Password string // empty: generate one, or keep the old one
	Enabled  bool
	Scope    string
	Nodes    []string // ids
	Tags     string   // separated by commas or semicolons
	Sources  string   // separated by commas, semicolons or white space
	Expires  string   // the last day, as 2026-12-31; empty: never
	Quota    string   // a number, with a comma or a point
	Unit     string   // of Quota: MB, GB or TB
	Period   string
	Note     string
}

// ClientUnits are the units of a quota, with their bytes.
var ClientUnits = map[string]uint64{"MB": 1e6, "GB": 1e9, "TB": 1e12}

// ParseClient checks in and returns the client and its password, or FieldErrors keyed
// by the field's name in lower case. Days end at midnight in zone. An empty password
// is not an error.
func ParseClient(in ClientInput, zone *time.Location) (Client, Secret, error) {
	errs := FieldErrors{}
	u := Client{Name: strings.TrimSpace(in.Name), Enabled: in.Enabled, Scope: ClientScope(in.Scope), Period: QuotaPeriod(in.Period)}
	checkClientName(u.Name, errs)
	checkClientPassword(in.Password, errs)
	if !slices.Contains(ClientScopes(), u.Scope) {
		errs.Add("scope", "field.client.scope")
	}
	if !slices.Contains(QuotaPeriods(), u.Period) {
		errs.Add("period", "field.client.period")
	}
	switch u.Scope {
	case ScopeNodes:
		for _, s := range in.Nodes {
			id, err := strconv.ParseInt(s, 10, 64)
			if err != nil || id <= 0 {
				errs.Add("nodes", "field.client.nodes")
				continue
			}
			u.Nodes = append(u.Nodes, id)
		}
		slices.Sort(u.Nodes)
		u.Nodes = slices.Compact(u.Nodes)
		switch {
		case len(u.Nodes) == 0:
			errs.Add("nodes", "field.client.nodes")
		case len(u.Nodes) > MaxClientNodes:
			errs.Add("nodes", "field.client.nodes.many", MaxClientNodes)
		}
	case ScopeTags:
		if u.Tags = parseTags(in.Tags, errs); len(u.Tags) == 0 {
			errs.Add("tags", "field.client.tags")
		}
	default: // ScopeAll names nothing
	}
	u.Sources = parseSources(in.Sources, errs)
	if day := strings.TrimSpace(in.Expires); day != "" {
		t, err := time.ParseInLocation(time.DateOnly, day, zone)
		if err != nil || t.Year() < 2000 || t.Year() > 9999 {
			errs.Add("expires", "field.client.expires")
		} else {
			u.Expires = EndOfDay(t).UTC()
		}
	}
	u.Quota = parseQuota(in.Quota, in.Unit, errs)
	u.Note = strings.TrimSpace(strings.Map(newlineToSpace, in.Note))
	switch {
	case !isLine(u.Note):
		errs.Add("note", "field.control")
	case utf8.RuneCountInString(u.Note) > MaxComment:
		errs.Add("note", "field.long", MaxComment)
	}
	if len(errs) > 0 {
		return Client{}, "", errs
	}
	return u, Secret(in.Password), nil
}

// checkClientName checks that a name is safe in RFC 1929, in a certificate and as a
// file name.
func checkClientName(name string, errs FieldErrors) {
	switch {
	case name == "":
		errs.Add("name", "field.client.name.empty")
	case len(name) > MaxClientName || strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	}) || name[0] == '.' || name[0] == '-':
		errs.Add("name", "field.client.name", MaxClientName)
	case reservedClientName(name):
		errs.Add("name", "field.client.name.reserved")
	}
}

// reservedClientName reports whether a name has the form of the credentials of
// services.
func reservedClientName(name string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(name), "exit-")
	return ok && rest != "" && strings.Trim(rest, "0123456789") == ""
}

func checkClientPassword(p string, errs FieldErrors) {
	switch {
	case p == "":
	case len(p) < MinClientPassword:
		errs.Add("password", "field.password.short", MinClientPassword)
	case len(p) > MaxClientPassword:
		errs.Add("password", "field.password.long", MaxClientPassword)
	case !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl):
		errs.Add("password", "field.control")
	case strings.TrimSpace(p) != p:
		errs.Add("password", "field.client.password.space")
	}
}

func parseSources(s string, errs FieldErrors) []netip.Prefix {
	var list []netip.Prefix
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ';' || unicode.IsSpace(r) })
	for _, w := range words {
		p, err := netip.ParsePrefix(w)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(w); err == nil && a.Zone() == "" {
				a = a.Unmap()
				p = netip.PrefixFrom(a, a.BitLen())
			}
		}
		if err != nil || !p.IsValid() || p.Addr().Is4In6() {
			errs.Add("sources", "field.client.sources", w)
			continue
		}
		if p = p.Masked(); !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	if len(list) > MaxClientSources {
		errs.Add("sources", "field.client.sources.many", MaxClientSources)
	}
	return list
}

// SourceText formats a prefix; a prefix of one address is written as the address.
func SourceText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// EndOfDay returns the end of the day that contains t, in the zone of t.
func EndOfDay(t time.Time) time.Time {
	year, month, day := t.Date()
	return beginOfDay(year, month, day+1, t.Location())
}

// ExpiryDay returns the last day before an expiry, in zone, in the format of
// ClientInput.
func ExpiryDay(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	return t.Add(-time.Second).In(zone).Format(time.DateOnly)
}

// QuotaText returns a quota in the format of ClientInput.
func QuotaText(n uint64) (number, unit string) {
	unit = "GB"
	if n == 0 {
		return "", unit
	}
	switch {
	case n >= 1e12:
		unit = "TB"
	case n < 1e9:
		unit = "MB"
	}
	return strconv.FormatFloat(float64(n)/float64(ClientUnits[unit]), 'f', -1, 64), unit
}

func parseQuota(s, unit string, errs FieldErrors) uint64 {
	s = strings.ReplaceAll(strings.Join(strings.Fields(s), ""), ",", ".")
	if s == "" {
		return 0
	}
	n, err := strconv.ParseFloat(s, 64)
	size, ok := ClientUnits[unit]
	// NaN fails both comparisons.
	if err != nil || !ok || !(n > 0 && n*float64(size) >= 1 && n*float64(size) <= MaxClientQuota) {
		errs.Add("quota", "field.client.quota")
		return 0
	}
	return uint64(n * float64(size))
}

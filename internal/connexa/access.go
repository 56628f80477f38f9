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

// Limits of an access user.
const (
	MaxAccessName     = 64
	LeastAccessSecret = 8   // bytes of a password
	MaxAccessSecret   = 120 // OpenVPN takes 127, RFC 1929 255
	MaxAccessSources  = 64
	MaxAccessNodes    = 5000
	MaxAccessQuota    = 1 << 50 // bytes
)

// AccessScope says how the nodes that an access user may use are chosen.
type AccessScope string

// The scopes.
const (
	AccessAll   AccessScope = "all"
	AccessNodes AccessScope = "nodes" // those that are named
	AccessTags  AccessScope = "tags"  // those that have one of the tags
)

// AccessScopes lists every scope.
func AccessScopes() []AccessScope { return []AccessScope{AccessAll, AccessNodes, AccessTags} }

// QuotaPeriod is how often the counters of an access user begin anew by
// themselves.
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

// Start is when the period began in which t lies, in the zone of t; zero for
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

// IsOver says whether the period has ended that began at from, by the zone that is
// in force since a time. Before that the zone was another one: a boundary of this
// one that lies there is none.
func (p QuotaPeriod) IsOver(from, now time.Time, zone *time.Location, since time.Time) bool {
	start := p.Start(now.In(zone))
	return from.Before(start) && since.Before(start)
}

// AccessUser is a person or a program that uses exits. Its password is kept
// apart: who needs it asks for it by name.
type AccessUser struct {
	ID       int64
	Name     string // for good: it stands in certificates and in the programs of others
	Enabled  bool
	Scope    AccessScope
	Nodes    []int64        // when Scope is AccessNodes, in order
	Tags     []string       // when Scope is AccessTags
	Sources  []netip.Prefix // from which it may come; none: from anywhere
	Expires  time.Time      // zero: never
	Quota    uint64         // bytes up and down together; 0: none
	Period   QuotaPeriod    // after which the counters begin anew
	Note     string
	Revision int64 // raised by every edit

	Up, Down    uint64    // bytes since CountedFrom
	CountedFrom time.Time // when the counters began
	SeenAt      time.Time // zero: never
	SeenFrom    string    // address
	CreatedAt   time.Time
	ChangedAt   time.Time
}

// AccessLogin is an access user with its password.
type AccessLogin struct {
	AccessUser
	Password Secret
}

// AccessLive is what is known of an access user at this moment.
type AccessLive struct {
	State    AccessRefusal // disabled, expired or spent; AccessGranted: it may use services
	Up, Down uint64        // bytes since the counters began
	Open     int64         // connections as they stand
	SeenAt   time.Time
	SeenFrom string
	// The last refusal of one who knew the password, or was connected.
	Refused     AccessRefusal
	RefusedAt   time.Time
	RefusedFrom string
}

// AccessCount is what an access user moved since the last one was written.
type AccessCount struct {
	UserID   int64
	Up, Down uint64
	SeenAt   time.Time // zero: not since then
	SeenFrom string
}

// AccessRefusal is why an access user may not use a service. The empty one says
// that it may.
type AccessRefusal string

// The refusals. Only the admin, and who has proven the password, may learn which
// it is.
const (
	AccessGranted  AccessRefusal = ""
	AccessUnknown  AccessRefusal = "unknown"  // no such user, or another password
	AccessGone     AccessRefusal = "gone"     // was deleted while connected
	AccessOutdated AccessRefusal = "outdated" // has another password than when it came
	AccessDisabled AccessRefusal = "disabled"
	AccessExpired  AccessRefusal = "expired"
	AccessSpent    AccessRefusal = "spent"  // its quota
	AccessSource   AccessRefusal = "source" // not from this address
	AccessNode     AccessRefusal = "node"   // not this service
)

// AccessRefusals lists every refusal.
func AccessRefusals() []AccessRefusal {
	return []AccessRefusal{AccessUnknown, AccessGone, AccessOutdated, AccessDisabled, AccessExpired, AccessSpent, AccessSource, AccessNode}
}

// Text is the sentence for the person who is refused.
func (r AccessRefusal) Text() Text { return T("access.refused." + string(r)) }

// State says what keeps u from every service, by what it has used: disabled,
// expired or spent; AccessGranted: nothing.
func (u *AccessUser) State(now time.Time, used uint64) AccessRefusal {
	switch {
	case !u.Enabled:
		return AccessDisabled
	case !u.Expires.IsZero() && !now.Before(u.Expires):
		return AccessExpired
	case u.Quota > 0 && used >= u.Quota:
		return AccessSpent
	}
	return AccessGranted
}

// MayUse says whether the service of a node is among those that u may use.
func (u *AccessUser) MayUse(node int64, tags []string) bool {
	switch u.Scope {
	case AccessAll:
		return true
	case AccessNodes:
		_, found := slices.BinarySearch(u.Nodes, node)
		return found
	case AccessTags:
		return slices.ContainsFunc(u.Tags, func(t string) bool { return slices.Contains(tags, t) })
	}
	return false
}

// MayComeFrom says whether u may come from an address.
func (u *AccessUser) MayComeFrom(a netip.Addr) bool {
	if len(u.Sources) == 0 {
		return true
	}
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(u.Sources, func(p netip.Prefix) bool { return p.Contains(a) })
}

// AccessInput is an access user as a form gives it: strings, not yet checked.
type AccessInput struct {
	Name     string
	Password string // empty: one is made, or the old one is kept
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

// AccessUnits are the units of a quota, with their bytes.
var AccessUnits = map[string]uint64{"MB": 1e6, "GB": 1e9, "TB": 1e12}

// ParseAccess checks in and returns the access user and its password, or
// FieldErrors keyed by the field's name in lower case. A day ends in zone. An
// empty password is no error here.
func ParseAccess(in AccessInput, zone *time.Location) (AccessUser, Secret, error) {
	errs := FieldErrors{}
	u := AccessUser{Name: strings.TrimSpace(in.Name), Enabled: in.Enabled, Scope: AccessScope(in.Scope), Period: QuotaPeriod(in.Period)}
	checkAccessName(u.Name, errs)
	checkAccessPassword(in.Password, errs)
	if !slices.Contains(AccessScopes(), u.Scope) {
		errs.Add("scope", "field.access.scope")
	}
	if !slices.Contains(QuotaPeriods(), u.Period) {
		errs.Add("period", "field.access.period")
	}
	switch u.Scope {
	case AccessNodes:
		for _, s := range in.Nodes {
			id, err := strconv.ParseInt(s, 10, 64)
			if err != nil || id <= 0 {
				errs.Add("nodes", "field.access.nodes")
				continue
			}
			u.Nodes = append(u.Nodes, id)
		}
		slices.Sort(u.Nodes)
		u.Nodes = slices.Compact(u.Nodes)
		switch {
		case len(u.Nodes) == 0:
			errs.Add("nodes", "field.access.nodes")
		case len(u.Nodes) > MaxAccessNodes:
			errs.Add("nodes", "field.access.nodes.many", MaxAccessNodes)
		}
	case AccessTags:
		if u.Tags = parseTags(in.Tags, errs); len(u.Tags) == 0 {
			errs.Add("tags", "field.access.tags")
		}
	}
	u.Sources = parseSources(in.Sources, errs)
	if day := strings.TrimSpace(in.Expires); day != "" {
		t, err := time.ParseInLocation(time.DateOnly, day, zone)
		if err != nil || t.Year() < 2000 || t.Year() > 9999 {
			errs.Add("expires", "field.access.expires")
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
		return AccessUser{}, "", errs
	}
	return u, Secret(in.Password), nil
}

// checkAccessName holds a name to what is safe in RFC 1929, in a certificate and
// as the name of a file.
func checkAccessName(name string, errs FieldErrors) {
	switch {
	case name == "":
		errs.Add("name", "field.access.name.empty")
	case len(name) > MaxAccessName || strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	}) || name[0] == '.' || name[0] == '-':
		errs.Add("name", "field.access.name", MaxAccessName)
	case reservedAccessName(name):
		errs.Add("name", "field.access.name.reserved")
	}
}

// reservedAccessName says whether a name is of the form that the credentials of
// services have.
func reservedAccessName(name string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(name), "exit-")
	return ok && rest != "" && strings.Trim(rest, "0123456789") == ""
}

func checkAccessPassword(p string, errs FieldErrors) {
	switch {
	case p == "":
	case len(p) < LeastAccessSecret:
		errs.Add("password", "field.password.short", LeastAccessSecret)
	case len(p) > MaxAccessSecret:
		errs.Add("password", "field.password.long", MaxAccessSecret)
	case !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl):
		errs.Add("password", "field.control")
	case strings.TrimSpace(p) != p:
		errs.Add("password", "field.access.password.space")
	}
}

// ParseAccessPassword checks a password that a person chose for an access user.
func ParseAccessPassword(p string) (Secret, error) {
	errs := FieldErrors{}
	if p == "" {
		errs.Add("password", "field.password.empty")
	}
	checkAccessPassword(p, errs)
	return Secret(p), errs.OrNil()
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
			errs.Add("sources", "field.access.sources", w)
			continue
		}
		if p = p.Masked(); !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	if len(list) > MaxAccessSources {
		errs.Add("sources", "field.access.sources.many", MaxAccessSources)
	}
	return list
}

// SourceText writes a prefix as a person would: an address alone when it is one.
func SourceText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// EndOfDay is the first moment after the day in which t lies, in the zone of t.
func EndOfDay(t time.Time) time.Time {
	year, month, day := t.Date()
	return beginOfDay(year, month, day+1, t.Location())
}

// ExpiryDay is the last day of an expiry in zone, as AccessInput has it.
func ExpiryDay(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	return t.Add(-time.Second).In(zone).Format(time.DateOnly)
}

// QuotaText is a quota as AccessInput has it.
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
	return strconv.FormatFloat(float64(n)/float64(AccessUnits[unit]), 'f', -1, 64), unit
}

func parseQuota(s, unit string, errs FieldErrors) uint64 {
	s = strings.ReplaceAll(strings.Join(strings.Fields(s), ""), ",", ".")
	if s == "" {
		return 0
	}
	n, err := strconv.ParseFloat(s, 64)
	size, ok := AccessUnits[unit]
	// NaN is neither.
	if err != nil || !ok || !(n > 0 && n*float64(size) >= 1 && n*float64(size) <= MaxAccessQuota) {
		errs.Add("quota", "field.access.quota")
		return 0
	}
	return uint64(n * float64(size))
}

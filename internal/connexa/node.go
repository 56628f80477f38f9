package connexa

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// DefaultPort is the port of PPTP servers (RFC 2637 section 1.3).
const DefaultPort = 1723

// Limits of a node's fields, in runes; that of the password is in bytes.
const (
	MaxLogin    = 256
	MaxPassword = 256
	MaxDetail   = 200
	MaxComment  = 2000
	MaxTags     = 20
	MaxTag      = 40
)

// Node is one PPTP server with one login. Its password is stored separately.
type Node struct {
	ID       int64
	Address  string // IPv4 or host name, lower case
	Port     int
	Login    string
	Provider string
	Country  string // ISO 3166-1 alpha-2, or empty
	State    string // as typed
	City     string
	Zip      string
	ASN      string // number of the autonomous system, such as "AS24940", or empty
	Comment  string
	Tags     []string

	Encryption EncryptionPolicy
	AllowPAP   bool

	Verdict
	Revision  int64 // incremented when the address, port, login or password changes
	Basis     Basis
	Last      Outcome
	Peer      Peer
	Plain     bool // its last session ran without encryption
	Flapping  bool // it goes down and comes up too often for notifications
	CreatedAt time.Time
	ChangedAt time.Time
}

// EncryptionPolicy is the encryption that a node's sessions require. Empty means the
// panel's default.
type EncryptionPolicy string

// The policies.
const (
	EncryptionDefault   EncryptionPolicy = ""
	EncryptionPreferred EncryptionPolicy = "preferred" // the strongest that both sides support
	EncryptionRequired  EncryptionPolicy = "required"  // without keys, no session
	EncryptionOff       EncryptionPolicy = "off"
)

// Exported is a node in an export.
type Exported struct {
	Node
	Password Secret // empty unless requested
}

// HostPort returns the node's address and port for a dialer.
func (n *Node) HostPort() string { return n.Address + ":" + strconv.Itoa(n.Port) }

// Basis is the probe that determines a status: the probe that set it, or the last one
// that confirmed it. Pages show its cause, step and time beside the status. A later
// probe that says nothing about the status, such as a ping of a node whose login
// failed, does not change the basis.
type Basis struct {
	Kind    Kind
	At      time.Time // zero: the node was never tested
	Reached Step
	Cause   Cause // empty when nothing failed
}

// ByService reports whether the probe was answered by the session of a running
// service.
func (b Basis) ByService() bool { return !b.At.IsZero() && ByService(b.Reached, b.Cause) }

// Outcome is the result of the last probe of a node, or of one row of its history.
type Outcome struct {
	Kind     Kind
	At       time.Time     // zero: never
	Reached  Step          // the last step that the probe itself completed
	Cause    Cause         // empty when nothing failed
	Latency  time.Duration // best TCP connect time; zero: not known
	Control  time.Duration // of Start-Control-Connection; zero: not known
	Attempts int
	Lost     int   // attempts that failed
	DownBits int64 // bits per second; zero: not measured
	UpBits   int64
}

// Loss returns the share of failed attempts, 0 to 1.
func (o Outcome) Loss() float64 {
	if o.Attempts == 0 {
		return 0
	}
	return float64(o.Lost) / float64(o.Attempts)
}

// NodeInput is a node from a form or a file, not yet checked.
type NodeInput struct {
	Address    string `json:"address"`
	Port       string `json:"port,omitempty"`
	Login      string `json:"login"`
	Password   string `json:"password"` // plain on purpose: it is input, and sealed before it is stored
	Provider   string `json:"provider,omitempty"`
	Country    string `json:"country,omitempty"` // a code of two letters, or empty
	State      string `json:"state,omitempty"`
	City       string `json:"city,omitempty"`
	Zip        string `json:"zip,omitempty"`
	ASN        string `json:"asn,omitempty"`
	Comment    string `json:"comment,omitempty"`
	Tags       string `json:"tags,omitempty"` // separated by commas or semicolons
	Encryption string `json:"encryption,omitempty"`
	AllowPAP   bool   `json:"allow_pap,omitempty"`
}

// ParseNode checks in and returns the node and its password, or FieldErrors keyed by
// the field's name in lower case. An empty password is an error of the field
// "password"; to keep the password of a node, the caller fills it in.
func ParseNode(in NodeInput) (Node, Secret, error) {
	errs := FieldErrors{}
	n := Node{Revision: 1, Verdict: Verdict{Status: NotTested}}
	var err *Error
	if n.Address, err = ParseAddress(in.Address); err != nil {
		errs["address"] = err.Text
	}
	if n.Port, err = ParsePort(in.Port); err != nil {
		errs["port"] = err.Text
	}
	var password string
	n.Login, password = parseLogin(in.Login, in.Password, errs)
	for _, c := range columns {
		*c.Value(&n) = c.parse(*c.Input(&in), errs)
	}
	n.Tags = parseTags(in.Tags, errs)
	switch n.Encryption = EncryptionPolicy(in.Encryption); n.Encryption {
	case EncryptionDefault, EncryptionPreferred, EncryptionRequired, EncryptionOff:
	default:
		errs.Add("encryption", "field.encryption")
	}
	n.AllowPAP = in.AllowPAP
	if len(errs) > 0 {
		return Node{}, "", errs
	}
	return n, Secret(password), nil
}

// parseLogin checks the login and the password, which a server compares byte by byte.
// Copied text may have invisible characters: they are removed at the ends and refused
// elsewhere, where they would look like a wrong password.
func parseLogin(login, password string, errs FieldErrors) (string, string) {
	login, password = TrimHidden(login), TrimSecret(password)
	hidden := HiddenText(login)
	switch {
	case login == "":
		errs.Add("login", "field.login.empty")
	case !hidden.IsZero():
		errs["login"] = hidden
	case utf8.RuneCountInString(login) > MaxLogin:
		errs.Add("login", "field.long", MaxLogin)
	}
	hidden = HiddenText(password)
	switch {
	case password == "":
		errs.Add("password", "field.password.empty")
	case len(password) > MaxPassword:
		errs.Add("password", "field.password.long", MaxPassword)
	case !hidden.IsZero():
		errs["password"] = hidden
	}
	return login, password
}

func newlineToSpace(r rune) rune {
	if r == '\n' || r == '\r' || r == '\t' {
		return ' '
	}
	return r
}

// parseTags reads tags as splitTags does. It refuses NoValue, which in a filter for tags
// means that there is none.
func parseTags(s string, errs FieldErrors) []string {
	tags := splitTags(s, errs)
	if slices.Contains(tags, NoValue) {
		errs.Add("tags", "field.tag.none", NoValue)
	}
	return tags
}

// splitTags splits s at commas and semicolons and drops empty and repeated tags. It
// keeps the order.
func splitTags(s string, errs FieldErrors) []string {
	var tags []string
	seen := map[string]bool{}
	for _, t := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ';' }) {
		t = strings.Join(strings.Fields(DropHidden(t)), " ")
		key := strings.ToLower(t)
		if t == "" || seen[key] {
			continue
		}
		if utf8.RuneCountInString(t) > MaxTag || !isLine(t) {
			errs.Add("tags", "field.tag", MaxTag)
		}
		seen[key] = true
		tags = append(tags, t)
	}
	if len(tags) > MaxTags {
		errs.Add("tags", "field.tags", MaxTags)
	}
	return tags
}

// ParsePort reads a TCP port; empty is DefaultPort.
func ParsePort(s string) (int, *Error) {
	s = TrimHidden(s)
	if s == "" {
		return DefaultPort, nil
	}
	p, err := strconv.ParseUint(s, 10, 16)
	if err != nil || p == 0 {
		return 0, &Error{Code: Invalid, Text: T("field.port")}
	}
	return int(p), nil
}

// ParseAddress reads an IPv4 address or a host name (RFC 1123 section 2.1) and returns
// it in lower case, a name in another script as punycode. Ranges are refused, because
// each server has its own login.
func ParseAddress(s string) (string, *Error) {
	bad := func(key string, args ...any) (string, *Error) {
		return "", &Error{Code: Invalid, Text: T(key, args...)}
	}
	s = strings.ToLower(strings.TrimSuffix(TrimHidden(s), "."))
	if hidden := HiddenText(s); !hidden.IsZero() {
		return "", &Error{Code: Invalid, Text: hidden}
	}
	scheme, _, isURL := strings.Cut(s, "://")
	switch {
	case s == "":
		return bad("field.address.empty")
	case isURL && scheme == "pptp":
		return bad("field.address.url")
	case isURL:
		return bad("field.address.scheme")
	case isNetwork(s) || strings.Contains(s, "*") || isRange(s):
		return bad("field.address.range")
	case strings.Contains(s, "/"):
		return bad("field.address.host")
	case strings.Contains(s, ":"):
		return bad("field.address.ipv6")
	}
	s, ok := asciiHost(s)
	if !ok {
		return bad("field.address.host")
	}
	s = strings.TrimSuffix(s, ".")
	if digitsAndDots(s) {
		return parseIPv4(s, bad)
	}
	if endsInNumber(s) {
		return bad("field.address.ipv4")
	}
	if len(s) > 253 {
		return bad("field.address.long")
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return bad("field.address.host")
		}
		for _, r := range label {
			if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' {
				return bad("field.address.host")
			}
		}
	}
	return s, nil
}

func parseIPv4(s string, bad func(string, ...any) (string, *Error)) (string, *Error) {
	for p := range strings.SplitSeq(s, ".") {
		if n, err := strconv.Atoi(p); err == nil && n > 255 {
			return bad("field.address.octet", p)
		}
	}
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil || !a.Is4():
		return bad("field.address.ipv4")
	case a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return bad("field.address.nohost")
	}
	return a.String(), nil
}

// endsInNumber reports whether the last label of s is a number, such as 0x7f. No host
// name ends so (RFC 1123 section 2.1), and some resolvers read it as an IPv4 address
// in another notation, so that the server would be listed twice.
func endsInNumber(s string) bool {
	last := s[strings.LastIndexByte(s, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == "" && last != ""
}

func digitsAndDots(s string) bool {
	return strings.Trim(s, "0123456789.") == ""
}

// isNetwork reports whether s looks like 192.0.2.0/24.
func isNetwork(s string) bool {
	_, bits, found := strings.Cut(s, "/")
	return found && bits != "" && digitsAndDots(bits)
}

// isRange reports whether s looks like 192.0.2.1-50 or 192.0.2.1-192.0.2.50.
func isRange(s string) bool {
	from, to, found := strings.Cut(s, "-")
	return found && from != "" && to != "" && strings.Contains(from, ".") && digitsAndDots(from) && digitsAndDots(to)
}

// ServerName returns the name of a server in a sentence: its address, with the port
// unless it is the default.
func ServerName(address string, port int) string {
	if port == DefaultPort || port == 0 {
		return address
	}
	return address + ":" + strconv.Itoa(port)
}

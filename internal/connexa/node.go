package connexa

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// DefaultPort is where PPTP servers listen (RFC 2637 section 1.3).
const DefaultPort = 1723

// Limits of a node's fields, in runes but for the password, which is in bytes.
const (
	MaxLogin    = 256
	MaxPassword = 256
	MaxDetail   = 200
	MaxComment  = 2000
	MaxTags     = 20
	MaxTag      = 40
)

// Node is one PPTP server with one login on it. Its password is kept apart: who
// needs it asks for it by name.
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
	Revision  int64 // raised when address, port, login or password change
	Basis     Basis
	Last      Outcome
	Peer      Peer
	Plain     bool // its last session ran without encryption
	Flapping  bool // it goes down and comes up too often to be told of
	CreatedAt time.Time
	ChangedAt time.Time
}

// EncryptionPolicy says what a node's sessions demand. The empty policy takes
// the panel's default.
type EncryptionPolicy string

// The policies.
const (
	EncryptionDefault   EncryptionPolicy = ""
	EncryptionPreferred EncryptionPolicy = "preferred" // the strongest that both sides have
	EncryptionRequired  EncryptionPolicy = "required"  // no keys, no session
	EncryptionOff       EncryptionPolicy = "off"
)

// Exported is a node on its way out of the panel.
type Exported struct {
	Node
	Password Secret // empty unless it was asked for
}

// HostPort is the node's address with its port, as a dialer takes it.
func (n *Node) HostPort() string { return n.Address + ":" + strconv.Itoa(n.Port) }

// Basis is the probe that a status rests on: the one that made it, or the last
// one that confirmed it. The reason, the step and the time that are shown beside
// a status are these. A later probe that says nothing about the status, such as a
// ping of a node whose login failed, leaves the basis alone.
type Basis struct {
	Kind    Kind
	At      time.Time // zero: the node was never tested
	Reached Step
	Cause   Cause // empty when nothing failed
}

// ByService reports whether the probe was answered by the session of a running
// service.
func (b Basis) ByService() bool { return !b.At.IsZero() && ByService(b.Reached, b.Cause) }

// Outcome is what the last probe of a node, or one row of its history, saw.
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

// Loss is the share of attempts that failed, 0 to 1.
func (o Outcome) Loss() float64 {
	if o.Attempts == 0 {
		return 0
	}
	return float64(o.Lost) / float64(o.Attempts)
}

// NodeInput is a node as a person or a file gives it: strings, not yet checked.
type NodeInput struct {
	Address    string `json:"address"`
	Port       string `json:"port,omitempty"`
	Login      string `json:"login"`
	Password   string `json:"password"` // plain here on purpose: it is input; it is sealed before it is kept
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

// ParseNode checks in and returns the node and its password, or FieldErrors
// keyed by the field's name in lower case. An empty password is reported as
// "password"; whoever edits a node and keeps its password fills it in before.
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

// parseLogin checks what a server compares byte by byte. A character that nobody
// sees comes with copied text: at the ends it is dropped, elsewhere it is refused by
// its name, for it would look like a wrong password for ever.
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

// parseTags splits s at commas and semicolons, drops empty and repeated tags
// and keeps the order.
func parseTags(s string, errs FieldErrors) []string {
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

// ParseAddress reads an IPv4 address or a host name (RFC 1123 section 2.1) and
// returns it in lower case, a name in another script as punycode. Ranges are
// refused: each server is named with a login of its own.
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
	parts := strings.Split(s, ".")
	for _, p := range parts {
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

// endsInNumber says whether the last label of s is a number, 0x7f for one. No name
// ends so (RFC 1123 section 2.1), and some resolvers take it for an IPv4 address in
// another spelling: the server would be there twice.
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

// isNetwork says whether s looks like 192.0.2.0/24.
func isNetwork(s string) bool {
	_, bits, found := strings.Cut(s, "/")
	return found && bits != "" && digitsAndDots(bits)
}

// isRange says whether s looks like 192.0.2.1-50 or 192.0.2.1-192.0.2.50.
func isRange(s string) bool {
	from, to, found := strings.Cut(s, "-")
	return found && from != "" && to != "" && strings.Contains(from, ".") && digitsAndDots(from) && digitsAndDots(to)
}

// ServerName is how a server is called in a sentence: its address, with the port
// where that is not the usual one.
func ServerName(address string, port int) string {
	if port == DefaultPort || port == 0 {
		return address
	}
	return address + ":" + strconv.Itoa(port)
}

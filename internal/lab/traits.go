package lab

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/mschap"
)

// Auth is the login that a server asks for.
type Auth string

// The logins. The default is AuthMSCHAPv2.
const (
	AuthNone     Auth = "none"
	AuthPAP      Auth = "pap"
	AuthMD5      Auth = "chap-md5"
	AuthMSCHAPv1 Auth = "mschapv1"
	AuthMSCHAPv2 Auth = "mschapv2"
	AuthEAP      Auth = "eap"
)

// keys reports whether the login gives keys for MPPE.
func (a Auth) keys() bool { return a == "" || a == AuthMSCHAPv1 || a == AuthMSCHAPv2 }

// MPPE is the encryption that a server offers.
type MPPE string

// The offers. The default is MPPE128: keys of that length and stateless, as most
// servers have it.
const (
	MPPE128         MPPE = "128"
	MPPE56          MPPE = "56"
	MPPE40          MPPE = "40"
	MPPEAny         MPPE = "any" // every length
	MPPE128Stateful MPPE = "128-stateful"
	MPPE56Stateful  MPPE = "56-stateful"
	MPPE40Stateful  MPPE = "40-stateful"
	MPPENone        MPPE = "none"     // refuses the option, as pppd does
	MPPERejected    MPPE = "rejected" // knows no CCP, as accel-ppp without MPPE
)

// GRE is what becomes of a server's GRE packets.
type GRE string

// The faults of GRE.
const (
	GRESilent GRE = "silent" // neither hears nor says anything
	GREMute   GRE = "mute"   // hears, and its packets do not arrive
	GREDeaf   GRE = "deaf"   // speaks, and hears nothing
	GREStray  GRE = "stray"  // its packets bear a foreign call id
	GREICMP   GRE = "icmp"   // its machine answers "protocol unreachable"; needs raw sockets
)

// Call is how a server answers an Outgoing-Call-Request when it does not
// connect.
type Call string

// The answers.
const (
	CallBusy    Call = "busy"
	CallRefused Call = "refused"
	CallSilent  Call = "silent"  // does not answer
	CallDropped Call = "dropped" // connects and hangs up before any GRE packet
)

// Layer is where a server refuses every proposal, for ever.
type Layer string

// The layers.
const (
	LayerLCP  Layer = "lcp"
	LayerIPCP Layer = "ipcp"
)

// Session is what a server does in a session. The zero value is a good server
// that asks for MS-CHAPv2 and has MPPE of 128 bits.
type Session struct {
	Auth         Auth
	MPPE         MPPE
	MPPERequired bool // no session without encryption

	Call      Call
	GRE       GRE
	Nak       Layer
	Terminate string // ends the link with this text as soon as it begins
	Refuse    int    // refuses every login with this code: see mschap.Refused
	Impostor  bool   // accepts every login and knows no password itself
	WrongKeys bool   // has other MPPE keys than the client

	NoAddress  bool
	NoInternet bool // nothing but the server itself answers, and that to pings only
	NoDNS      bool // names are not answered
	Blackhole  bool // packets of more than 1,000 bytes vanish behind the server
	Endpoint   int  // the sites of Config.Sites refuse clients of this server with this HTTP status

	Dies       time.Duration // is gone without a word so long after the session came up
	Ends       time.Duration // takes leave so long after the session came up
	SwappedCDN bool          // writes call ids with their bytes swapped, as accel-ppp did

	// Of the GRE packets of each direction, in percent.
	Loss, Reorder, Duplicate, Corrupt float64

	Reply    time.Duration // each answer of the server is late by so much
	Latency  time.Duration // one way, in both directions
	RateDown int64         // bits per second of IP packets to the client; 0 is no limit
	RateUp   int64         // and from it
}

// narrow says whether packets get lost on the way to the client. The network
// behind such a session sends packet by packet then, as the TCP of its stack
// repeats whole pieces of 60 KiB where one packet of them was lost; no server's
// TCP does.
func (s Session) narrow() bool { return s.RateDown > 0 || s.Loss > 0 }

// Limits that keep ExpectLogin true.
const (
	maxReply   = time.Second
	maxPercent = 20
)

// trait is one word of a behaviour's spec, with what stands behind its colon.
type trait struct {
	name string
	hint string // what it takes; nothing for a plain word
	set  func(s *Session, param string) error
	get  func(s *Session) (param string, has bool)
}

var errParam = errors.New("bad parameter")

// traits are in the order in which String writes them.
var traits = []trait{
	choice("auth", func(s *Session) *Auth { return &s.Auth }, AuthNone, AuthPAP, AuthMD5, AuthMSCHAPv1, AuthMSCHAPv2, AuthEAP),
	choice("mppe", func(s *Session) *MPPE { return &s.MPPE },
		MPPE128, MPPE56, MPPE40, MPPEAny, MPPE128Stateful, MPPE56Stateful, MPPE40Stateful, MPPENone, MPPERejected),
	word("mppe-required", func(s *Session) *bool { return &s.MPPERequired }),
	choice("call", func(s *Session) *Call { return &s.Call }, CallBusy, CallRefused, CallSilent, CallDropped),
	choice("gre", func(s *Session) *GRE { return &s.GRE }, GRESilent, GREMute, GREDeaf, GREStray, GREICMP),
	choice("nak", func(s *Session) *Layer { return &s.Nak }, LayerLCP, LayerIPCP),
	{"terminate", "a text with _ for spaces", setTerminate, getTerminate},
	{"login-refused", "a code from 1 to 65535, as in login-refused:691", setRefuse, getRefuse},
	word("impostor", func(s *Session) *bool { return &s.Impostor }),
	word("wrong-keys", func(s *Session) *bool { return &s.WrongKeys }),
	word("no-address", func(s *Session) *bool { return &s.NoAddress }),
	word("no-internet", func(s *Session) *bool { return &s.NoInternet }),
	word("no-dns", func(s *Session) *bool { return &s.NoDNS }),
	word("blackhole", func(s *Session) *bool { return &s.Blackhole }),
	{"endpoint", "an HTTP status from 400 to 599, as in endpoint:429", setEndpoint, getEndpoint},
	duration("dies", 24*time.Hour, func(s *Session) *time.Duration { return &s.Dies }),
	duration("ends", 24*time.Hour, func(s *Session) *time.Duration { return &s.Ends }),
	word("swapped-cdn", func(s *Session) *bool { return &s.SwappedCDN }),
	percent("loss", func(s *Session) *float64 { return &s.Loss }),
	percent("reorder", func(s *Session) *float64 { return &s.Reorder }),
	percent("duplicate", func(s *Session) *float64 { return &s.Duplicate }),
	percent("corrupt", func(s *Session) *float64 { return &s.Corrupt }),
	duration("reply", maxReply, func(s *Session) *time.Duration { return &s.Reply }),
	duration("latency", maxReply, func(s *Session) *time.Duration { return &s.Latency }),
	{"rate", "bits per second down and up, as in rate:20M/5M", setRate, getRate},
}

// parseTrait reads one word into s. known is false when there is no such word.
func (s *Session) parseTrait(spec string) (known bool, err error) {
	name, param, has := strings.Cut(spec, ":")
	for _, t := range traits {
		if t.name != name {
			continue
		}
		if _, twice := t.get(s); twice {
			return true, fmt.Errorf("%s is there twice", name)
		}
		if t.hint == "" && has {
			return true, fmt.Errorf("%q: %s takes no parameter", spec, name)
		}
		if err := t.set(s, param); err != nil {
			return true, fmt.Errorf("%q: %s takes %s", spec, name, t.hint)
		}
		return true, nil
	}
	return false, nil
}

// check finds what contradicts itself.
func (s Session) check() error {
	switch {
	case s.MPPERequired && (s.MPPE == MPPENone || s.MPPE == MPPERejected):
		return fmt.Errorf("%s: a server cannot require the encryption that it does not have", s)
	case s.Refuse != 0 && (s.Auth == AuthNone || s.Auth == AuthEAP):
		return fmt.Errorf("%s: where nobody logs in, nobody is refused", s)
	case s.Impostor && s.Auth != "" && s.Auth != AuthMSCHAPv2:
		return fmt.Errorf("%s: only MS-CHAPv2 asks a server to prove itself", s)
	}
	return nil
}

// String is the session as it stands in a behaviour.
func (s Session) String() string {
	var words []string
	for _, t := range traits {
		param, has := t.get(&s)
		switch {
		case !has:
		case param == "":
			words = append(words, t.name)
		default:
			words = append(words, t.name+":"+param)
		}
	}
	return strings.Join(words, "+")
}

func word(name string, field func(*Session) *bool) trait {
	return trait{
		name: name,
		set:  func(s *Session, _ string) error { *field(s) = true; return nil },
		get:  func(s *Session) (string, bool) { return "", *field(s) },
	}
}

func choice[T ~string](name string, field func(*Session) *T, of ...T) trait {
	names := make([]string, len(of))
	for i, v := range of {
		names[i] = string(v)
	}
	return trait{
		name: name,
		hint: "one of " + strings.Join(names, ", "),
		set: func(s *Session, param string) error {
			for _, v := range of {
				if string(v) == param {
					*field(s) = v
					return nil
				}
			}
			return errParam
		},
		get: func(s *Session) (string, bool) { return string(*field(s)), *field(s) != "" },
	}
}

func duration(name string, most time.Duration, field func(*Session) *time.Duration) trait {
	return trait{
		name: name,
		hint: fmt.Sprintf("a time up to %v, as in %s:50ms", most, name),
		set: func(s *Session, param string) error {
			d, err := time.ParseDuration(param)
			if err != nil || d <= 0 || d > most {
				return errParam
			}
			*field(s) = d
			return nil
		},
		get: func(s *Session) (string, bool) { return field(s).String(), *field(s) != 0 },
	}
}

func percent(name string, field func(*Session) *float64) trait {
	return trait{
		name: name,
		hint: fmt.Sprintf("a share up to %d %%, as in %s:2", maxPercent, name),
		set: func(s *Session, param string) error {
			p, err := strconv.ParseFloat(strings.TrimSuffix(param, "%"), 64)
			if err != nil || !(p > 0 && p <= maxPercent) {
				return errParam
			}
			*field(s) = p
			return nil
		},
		get: func(s *Session) (string, bool) {
			return strconv.FormatFloat(*field(s), 'g', -1, 64), *field(s) != 0
		},
	}
}

// setTerminate takes a text without the signs that a spec of faults is made of.
func setTerminate(s *Session, param string) error {
	if param == "" || len(param) > 200 || strings.ContainsAny(param, "+,=: ") {
		return errParam
	}
	s.Terminate = strings.ReplaceAll(param, "_", " ")
	return nil
}

func getTerminate(s *Session) (string, bool) {
	return strings.ReplaceAll(s.Terminate, " ", "_"), s.Terminate != ""
}

func setRefuse(s *Session, param string) error {
	if param == "" {
		s.Refuse = mschap.WrongCredentials
		return nil
	}
	n, err := strconv.ParseUint(param, 10, 16)
	if err != nil || n == 0 {
		return errParam
	}
	s.Refuse = int(n)
	return nil
}

func getRefuse(s *Session) (string, bool) { return strconv.Itoa(s.Refuse), s.Refuse != 0 }

func setEndpoint(s *Session, param string) error {
	n, err := strconv.Atoi(param)
	if err != nil || n < 400 || n > 599 {
		return errParam
	}
	s.Endpoint = n
	return nil
}

func getEndpoint(s *Session) (string, bool) { return strconv.Itoa(s.Endpoint), s.Endpoint != 0 }

func setRate(s *Session, param string) (err error) {
	down, up, both := strings.Cut(param, "/")
	if s.RateDown, err = parseRate(down); err != nil {
		return err
	}
	s.RateUp = s.RateDown
	if both {
		s.RateUp, err = parseRate(up)
	}
	return err
}

func getRate(s *Session) (string, bool) {
	if s.RateDown == s.RateUp {
		return formatRate(s.RateDown), s.RateDown != 0
	}
	return formatRate(s.RateDown) + "/" + formatRate(s.RateUp), true
}

var rateUnits = []struct {
	letter string
	factor int64
}{{"G", 1e9}, {"M", 1e6}, {"k", 1e3}, {"", 1}}

func parseRate(text string) (int64, error) {
	for _, u := range rateUnits {
		digits, ok := strings.CutSuffix(text, u.letter)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n <= 0 || n > 100e9/u.factor || n*u.factor < minRate {
			return 0, errParam
		}
		return n * u.factor, nil
	}
	return 0, errParam
}

func formatRate(n int64) string {
	for _, u := range rateUnits {
		if n%u.factor == 0 {
			return strconv.FormatInt(n/u.factor, 10) + u.letter
		}
	}
	return ""
}

package lab

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/mschap"
)

// Auth is the login that a server requests.
type Auth string

// The logins. The default is AuthMSCHAPv2.
const (
	AuthNone     Auth = "none"
	AuthPAP      Auth = "pap"
	AuthMD5      Auth = "chap-md5"
	AuthMSCHAPv1 Auth = "mschapv1"
	AuthMSCHAPv2 Auth = "mschapv2"
	AuthEAP      Auth = "eap"
	AuthSPAP     Auth = "spap" // Shiva PAP, obsolete
)

// givesKeys reports whether the login gives keys for MPPE.
func (a Auth) givesKeys() bool { return a == "" || a == AuthMSCHAPv1 || a == AuthMSCHAPv2 }

// MPPE is the encryption that a server offers.
type MPPE string

// The offers. The default is MPPE128: 128-bit keys in stateless mode, as on most
// servers.
const (
	MPPE128         MPPE = "128"
	MPPE56          MPPE = "56"
	MPPE40          MPPE = "40"
	MPPEAny         MPPE = "any" // every length
	MPPE128Stateful MPPE = "128-stateful"
	MPPE56Stateful  MPPE = "56-stateful"
	MPPE40Stateful  MPPE = "40-stateful"
	MPPENone        MPPE = "none"     // refuses the option, as pppd does
	MPPERejected    MPPE = "rejected" // does not support CCP, as accel-ppp without MPPE
)

// GRE is a fault of a server's GRE packets.
type GRE string

// The faults of GRE.
const (
	GRESilent GRE = "silent" // neither receives nor sends
	GREMute   GRE = "mute"   // receives, but its packets do not arrive
	GREDeaf   GRE = "deaf"   // sends, but receives nothing
	GREStray  GRE = "stray"  // its packets have a wrong call id
	GREICMP   GRE = "icmp"   // its machine answers "protocol unreachable"; needs raw sockets
)

// Call is how a server answers an Outgoing-Call-Request instead of
// connecting.
type Call string

// The answers.
const (
	CallBusy    Call = "busy"
	CallRefused Call = "refused"
	CallSilent  Call = "silent"  // does not answer
	CallDropped Call = "dropped" // connects and hangs up before any GRE packet
)

// Layer is one of the negotiations between the two ends.
type Layer string

// The layers.
const (
	LayerLCP   Layer = "lcp"
	LayerLogin Layer = "login"
	LayerCCP   Layer = "ccp"
	LayerIPCP  Layer = "ipcp"
)

// Vendor is the program that a server identifies as and behaves like.
type Vendor string

// The vendors. The default leaves the choice to the fleet's seed.
const (
	VendorPPTPD     Vendor = "pptpd"
	VendorAccel     Vendor = "accel-ppp"
	VendorMikroTik  Vendor = "mikrotik"
	VendorMicrosoft Vendor = "microsoft"
)

// LoginFault is what is wrong with how a server answers a login.
type LoginFault string

// The faults of the login.
const (
	LoginSilent    LoginFault = "silent"    // does not reply to the client's answer
	LoginMalformed LoginFault = "malformed" // its challenge has an invalid length
	LoginWordless  LoginFault = "wordless"  // refuses with an LCP Terminate-Request only
)

// Declined is what a server does if the client accepts none of its logins.
type Declined string

// The reactions. The default is that of the vendor: pppd terminates the link, others
// repeat their request for some time before they do.
const (
	DeclinedCDN       Declined = "cdn" // ends the call, as accel-ppp does
	DeclinedTerminate Declined = "terminate"
	DeclinedSilent    Declined = "silent" // sends nothing more
)

// Password is the form in which a server stores a password outside ASCII. A node
// with this trait gets such a password.
type Password string

// The forms.
const (
	PasswordWidened Password = "widened" // each byte widened to 16 bits, as in pppd and accel-ppp: see mschap.WidenedNTHash
	PasswordUTF16   Password = "utf16"   // as RFC 2759
	PasswordBoth    Password = "both"
)

// Second is what a server does with every connection after the first.
type Second string

// The reactions.
const (
	SecondReset  Second = "reset"
	SecondClosed Second = "closed"
	SecondSilent Second = "silent"
)

// Echo is the kind of echo that a server answers. By default it answers both.
type Echo string

// The kinds.
const (
	EchoLCP     Echo = "lcp"
	EchoControl Echo = "control"
	EchoNone    Echo = "none"
)

// Data is what is wrong with the packets of a session after encryption was agreed
// on.
type Data string

// The faults of the data.
const (
	DataRejected Data = "rejected" // answers each encrypted packet with a Protocol-Reject
	DataPlain    Data = "plain"    // sends its own packets without encryption
)

// Direction is a direction of packets, from the server's point of view.
type Direction string

// The directions.
const (
	DirectionBoth    Direction = "both"
	DirectionSend    Direction = "send"
	DirectionReceive Direction = "receive"
)

// includes reports whether d includes the packets that the server sends or, if send is
// false, those that it receives.
func (d Direction) includes(send bool) bool {
	return d == DirectionBoth || send && d == DirectionSend || !send && d == DirectionReceive
}

// Session is the behaviour of a server in a session. The zero value is a good server
// that asks for MS-CHAPv2 and supports MPPE with 128 bits.
type Session struct {
	Auth         Auth
	MPPE         MPPE
	MPPERequired bool // no session without encryption

	Vendor   Vendor
	Offers   string   // logins in the order in which they are requested, separated by slashes; Auth is empty then
	InOrder  bool     // Offers: after a Nak, request the next one, not the one that the Nak names
	Declined Declined // what the server does if the client accepts none of its logins
	Password Password
	Second   Second

	Call      Call
	Begins    time.Duration // delay of the first GRE packet; until then nothing is received
	GRE       GRE
	Nak       Layer // the layer where each request gets a Nak with a new value, without end
	LCP       LCPFault
	CCP       CCPFault
	IP        IPFault
	Login     LoginFault
	Terminate string // ends the link with this text as soon as it begins
	End       Ending
	EndAfter  time.Duration // delay of the end after its stage, in silence
	Refuse    int           // refuses every login with this code: see mschap.Refused
	Impostor  bool          // accepts every login without knowing the password
	WrongKeys Direction     // the directions in which the MPPE keys differ from the client's
	Data      Data
	Echo      Echo // which echoes are answered; default all

	NoAddress  bool
	NoInternet bool // only the server itself answers, and only pings
	NoDNS      bool // DNS queries get no answer
	Blackhole  bool // packets of more than 1,000 bytes are dropped behind the server
	Endpoint   int  // the HTTP status with which Config.Sites refuse clients of this server

	Dies       time.Duration // ends without a message this long after the session came up
	Ends       time.Duration // terminates this long after the session came up
	SwappedCDN bool          // sends call ids with their bytes swapped, as accel-ppp did

	// Faults of the GRE packets of each direction, in percent.
	Loss, Reorder, Duplicate, Corrupt float64
	LossDown, LossUp                  float64 // in addition to Loss, to the client and from it

	Loses Layer // every answer of the server in this layer is lost; its echoes reveal the gaps

	Reply    time.Duration // delay of each answer of the server
	Latency  time.Duration // one-way delay of GRE and of the control connection, in both directions
	RateDown int64         // bits per second of IP packets to the client; 0 means no limit
	RateUp   int64         // the same from the client
}

// isLossyDown reports whether packets to the client may be lost. The network
// behind such a session then sends single packets, because the TCP of its stack
// retransmits whole segments of 60 KiB after one lost packet, which no server's
// TCP does.
func (s Session) isLossyDown() bool { return s.RateDown > 0 || s.Loss+s.LossDown > 0 }

// Limits that keep ExpectLogin true.
const (
	maxReply   = time.Second
	maxPercent = 20
	// maxLoss and maxLatency are higher than what leaves every session a chance: see
	// ExpectLogin.
	maxLoss    = 45
	maxLatency = 2500 * time.Millisecond
	maxWait    = 30 * time.Second
)

// trait is one word of a behaviour's spec, with its parameter after a colon.
type trait struct {
	name string
	hint string // describes the parameter; empty if there is none
	set  func(s *Session, param string) error
	get  func(s *Session) (param string, has bool)
}

var errParam = errors.New("bad parameter")

// traits lists all traits in the order in which String writes them.
var traits = []trait{
	choiceTrait("vendor", func(s *Session) *Vendor { return &s.Vendor }, VendorPPTPD, VendorAccel, VendorMikroTik, VendorMicrosoft),
	choiceTrait("second", func(s *Session) *Second { return &s.Second }, SecondReset, SecondClosed, SecondSilent),
	choiceTrait("auth", func(s *Session) *Auth { return &s.Auth }, AuthNone, AuthPAP, AuthMD5, AuthMSCHAPv1, AuthMSCHAPv2, AuthEAP, AuthSPAP),
	{"offers", "logins with slashes between, as in offers:pap/mschapv2", setOffers, func(s *Session) (string, bool) { return s.Offers, s.Offers != "" }},
	flagTrait("in-order", func(s *Session) *bool { return &s.InOrder }),
	choiceTrait("declined", func(s *Session) *Declined { return &s.Declined }, DeclinedCDN, DeclinedTerminate, DeclinedSilent),
	choiceTrait("password", func(s *Session) *Password { return &s.Password }, PasswordWidened, PasswordUTF16, PasswordBoth),
	choiceTrait("mppe", func(s *Session) *MPPE { return &s.MPPE },
		MPPE128, MPPE56, MPPE40, MPPEAny, MPPE128Stateful, MPPE56Stateful, MPPE40Stateful, MPPENone, MPPERejected),
	flagTrait("mppe-required", func(s *Session) *bool { return &s.MPPERequired }),
	choiceTrait("call", func(s *Session) *Call { return &s.Call }, CallBusy, CallRefused, CallSilent, CallDropped),
	durationTrait("begins", maxWait, func(s *Session) *time.Duration { return &s.Begins }),
	choiceTrait("gre", func(s *Session) *GRE { return &s.GRE }, GRESilent, GREMute, GREDeaf, GREStray, GREICMP),
	choiceTrait("nak", func(s *Session) *Layer { return &s.Nak }, LayerLCP, LayerCCP, LayerIPCP),
	choiceTrait("lcp", func(s *Session) *LCPFault { return &s.LCP }, lcpFaults...),
	choiceTrait("ccp", func(s *Session) *CCPFault { return &s.CCP }, ccpFaults...),
	choiceTrait("ip", func(s *Session) *IPFault { return &s.IP }, ipFaults...),
	choiceTrait("login", func(s *Session) *LoginFault { return &s.Login }, LoginSilent, LoginMalformed, LoginWordless),
	{"terminate", "a text with _ for spaces", setTerminate, getTerminate},
	{"ends-at", endingHint, setEnding, getEnding},
	durationTrait("ends-after", maxWait, func(s *Session) *time.Duration { return &s.EndAfter }),
	{"login-refused", "a code from 1 to 65535, as in login-refused:691", setRefuse, getRefuse},
	flagTrait("impostor", func(s *Session) *bool { return &s.Impostor }),
	{"wrong-keys", "nothing, or one of send, receive", setWrongKeys, getWrongKeys},
	choiceTrait("data", func(s *Session) *Data { return &s.Data }, DataRejected, DataPlain),
	choiceTrait("echo", func(s *Session) *Echo { return &s.Echo }, EchoLCP, EchoControl, EchoNone),
	flagTrait("no-address", func(s *Session) *bool { return &s.NoAddress }),
	flagTrait("no-internet", func(s *Session) *bool { return &s.NoInternet }),
	flagTrait("no-dns", func(s *Session) *bool { return &s.NoDNS }),
	flagTrait("blackhole", func(s *Session) *bool { return &s.Blackhole }),
	{"endpoint", "an HTTP status from 400 to 599, as in endpoint:429", setEndpoint, getEndpoint},
	durationTrait("dies", 24*time.Hour, func(s *Session) *time.Duration { return &s.Dies }),
	durationTrait("ends", 24*time.Hour, func(s *Session) *time.Duration { return &s.Ends }),
	flagTrait("swapped-cdn", func(s *Session) *bool { return &s.SwappedCDN }),
	percentTrait("loss", maxLoss, func(s *Session) *float64 { return &s.Loss }),
	percentTrait("loss-down", maxLoss, func(s *Session) *float64 { return &s.LossDown }),
	percentTrait("loss-up", maxLoss, func(s *Session) *float64 { return &s.LossUp }),
	choiceTrait("loses", func(s *Session) *Layer { return &s.Loses }, LayerLCP, LayerLogin, LayerCCP, LayerIPCP),
	percentTrait("reorder", maxPercent, func(s *Session) *float64 { return &s.Reorder }),
	percentTrait("duplicate", maxPercent, func(s *Session) *float64 { return &s.Duplicate }),
	percentTrait("corrupt", maxPercent, func(s *Session) *float64 { return &s.Corrupt }),
	durationTrait("reply", maxReply, func(s *Session) *time.Duration { return &s.Reply }),
	durationTrait("latency", maxLatency, func(s *Session) *time.Duration { return &s.Latency }),
	{"rate", "bits per second down and up, as in rate:20M/5M", setRate, getRate},
}

// parseTrait parses one word into s. known is false if there is no such trait.
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

// validate returns an error if two traits contradict each other.
func (s Session) validate() error {
	first := s.offeredLogins()[0]
	switch {
	case s.Auth != "" && s.Offers != "":
		return fmt.Errorf("%s: auth is one login, offers are several", s)
	case s.InOrder && s.Offers == "":
		return fmt.Errorf("%s: in-order is about offers", s)
	case s.Refuse != 0 && (first == AuthNone || first == AuthEAP):
		return fmt.Errorf("%s: where nobody logs in, nobody is refused", s)
	case s.Impostor && s.Auth != "" && s.Auth != AuthMSCHAPv2:
		return fmt.Errorf("%s: only MS-CHAPv2 asks a server to prove itself", s)
	case s.MPPERequired && (s.CCP != "" || s.Nak == LayerCCP):
		return fmt.Errorf("%s: a server that demands encryption agrees on it", s)
	case s.End.At == StageCCP && (s.CCP != "" || s.Nak == LayerCCP || s.MPPE == MPPENone || s.MPPE == MPPERejected):
		return fmt.Errorf("%s: a server ends at ccp where it asks for encryption", s)
	case s.EndAfter != 0 && s.End.At == "":
		return fmt.Errorf("%s: ends-after is about ends-at", s)
	case s.Nak == LayerLCP && s.LCP != "" || s.Nak == LayerCCP && s.CCP != "" || s.Nak == LayerIPCP && s.IP != "":
		return fmt.Errorf("%s: two faults of one negotiation", s)
	}
	return nil
}

// offeredLogins returns the logins that the server requests, in order.
func (s Session) offeredLogins() []Auth {
	if s.Offers == "" {
		return []Auth{s.Auth}
	}
	var list []Auth
	for name := range strings.SplitSeq(s.Offers, "/") {
		list = append(list, Auth(name))
	}
	return list
}

// String returns the traits in the form that ParseBehaviour parses.
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

func flagTrait(name string, field func(*Session) *bool) trait {
	return trait{
		name: name,
		set:  func(s *Session, _ string) error { *field(s) = true; return nil },
		get:  func(s *Session) (string, bool) { return "", *field(s) },
	}
}

func choiceTrait[T ~string](name string, field func(*Session) *T, of ...T) trait {
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

func durationTrait(name string, most time.Duration, field func(*Session) *time.Duration) trait {
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

func percentTrait(name string, most float64, field func(*Session) *float64) trait {
	return trait{
		name: name,
		hint: fmt.Sprintf("a share up to %g %%, as in %s:2", most, name),
		set: func(s *Session, param string) error {
			p, err := strconv.ParseFloat(strings.TrimSuffix(param, "%"), 64)
			if err != nil || !(p > 0 && p <= most) {
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

// parseText parses a text without the characters that separate a spec of faults.
func parseText(param, signs string) (string, error) {
	if param == "" || len(param) > 200 || strings.ContainsAny(param, signs) {
		return "", errParam
	}
	return strings.ReplaceAll(param, "_", " "), nil
}

func formatText(text string) string { return strings.ReplaceAll(text, " ", "_") }

func setTerminate(s *Session, param string) (err error) {
	s.Terminate, err = parseText(param, "+,=: ")
	return err
}

func getTerminate(s *Session) (string, bool) { return formatText(s.Terminate), s.Terminate != "" }

func setOffers(s *Session, param string) error {
	seen := map[string]bool{}
	for name := range strings.SplitSeq(param, "/") {
		switch Auth(name) {
		case AuthPAP, AuthMD5, AuthMSCHAPv1, AuthMSCHAPv2, AuthEAP, AuthSPAP:
		default:
			return errParam
		}
		if seen[name] {
			return errParam
		}
		seen[name] = true
	}
	s.Offers = param
	return nil
}

func setWrongKeys(s *Session, param string) error {
	switch d := Direction(param); d {
	case "":
		s.WrongKeys = DirectionBoth
	case DirectionSend, DirectionReceive:
		s.WrongKeys = d
	default:
		return errParam
	}
	return nil
}

func getWrongKeys(s *Session) (string, bool) {
	if s.WrongKeys == DirectionBoth {
		return "", true
	}
	return string(s.WrongKeys), s.WrongKeys != ""
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

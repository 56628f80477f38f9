package lab

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

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

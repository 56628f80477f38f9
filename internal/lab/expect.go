package lab

import (
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/pptp/control"
)

// Expect is what an honest probe finds out about a server.
type Expect struct {
	Status  string // the status of a node that was not tested before: "ping_ok", "login_failed"
	Cause   string // the failing step, a dot and a code; empty when all is well
	Reached string // the last step of the ladder that was completed
}

// Policy is what the client takes. The zero value is that of a node with the
// default settings.
type Policy struct {
	Encryption pptp.Encryption // default pptp.EncryptionPreferred
	MinBits    int             // the shortest MPPE key that will do
	AllowPAP   bool
}

func (p Policy) takes(bits int) bool { return p.Encryption != pptp.EncryptionOff && bits >= p.MinBits }

// Expect says what a ping that makes three attempts deserves to find.
func (b Behaviour) Expect() Expect {
	failed := func(reached, cause string) Expect { return Expect{"ping_failed", cause, reached} }
	switch b.Kind {
	case Refuse:
		return failed("resolve", "tcp.refused")
	case Silent:
		return failed("tcp", "control.timeout")
	case Garbage, SSH:
		return failed("tcp", "control.not_pptp")
	case Half, Drip:
		return failed("tcp", "control.half")
	case Reset:
		return failed("tcp", "control.reset")
	case Denied:
		switch {
		case b.Result.Answers():
		case b.Result == control.StartVersion:
			return failed("tcp", "control.version")
		default:
			return failed("tcp", "control.rejected")
		}
	case Good, Slow, Lossy:
	}
	return Expect{Status: "ping_ok", Reached: "control"}
}

// ExpectLogin says what a login that makes three attempts deserves to find. It
// holds for what may be lost on the way by the odds, too, as long as these are
// not against everyone.
func (b Behaviour) ExpectLogin(p Policy) Expect {
	if e := b.Expect(); e.Cause != "" {
		return e
	}
	failed := func(reached, cause string) Expect { return Expect{"tunnel_failed", cause, reached} }
	if b.Kind == Denied { // it is a server, but has no room for a second connection
		return failed("control", "call.rejected")
	}
	s := b.Session
	if e := s.expectLink(); e.Cause != "" {
		return e
	}
	if reached, cause := s.expectAuth(p); cause != "" {
		e := failed(reached, cause)
		if s.Refuse != 0 && reached == "lcp" {
			e.Status = "login_failed"
		}
		return e
	}
	if cause := s.expectEncryption(p); cause != "" {
		return failed("auth", cause)
	}
	switch {
	case s.Nak == LayerIPCP:
		return failed("encryption", "ip.no_agreement")
	case s.NoAddress:
		return failed("encryption", "ip.no_address")
	}
	return Expect{Status: "login_ok", Reached: "ip"}
}

// expectLink is about the steps from the call to LCP.
func (s Session) expectLink() Expect {
	failed := func(reached, cause string) Expect { return Expect{"tunnel_failed", cause, reached} }
	switch s.Call {
	case CallBusy:
		return failed("control", "call.busy")
	case CallRefused:
		return failed("control", "call.rejected")
	case CallSilent:
		return failed("control", "call.timeout")
	case CallDropped:
		return failed("call", "gre.dropped_at_start")
	}
	switch s.GRE {
	case GRESilent, GREMute:
		return failed("call", "gre.no_inbound")
	case GREDeaf:
		return failed("call", "gre.no_outbound")
	case GREStray:
		return failed("call", "gre.call_id_mismatch")
	case GREICMP:
		return failed("call", "gre.icmp")
	}
	switch {
	case s.Terminate != "":
		return failed("gre", "lcp.terminated")
	case s.Nak == LayerLCP:
		return failed("gre", "lcp.no_agreement")
	}
	return Expect{}
}

// expectAuth tells why a login fails. A method that the client does not take is
// declined while the link is negotiated.
func (s Session) expectAuth(p Policy) (reached, cause string) {
	switch {
	case s.Auth == AuthEAP:
		return "gre", "auth.eap"
	case s.Auth == AuthPAP && !p.AllowPAP:
		return "gre", "auth.pap_not_allowed"
	case !s.Auth.keys() && p.Encryption == pptp.EncryptionRequired:
		if s.Auth == AuthNone {
			return "auth", "encryption.no_keys"
		}
		return "gre", "encryption.no_keys"
	case s.Auth == AuthNone:
	case s.Refuse != 0 && s.Auth.keys():
		return "lcp", "auth." + strconv.Itoa(s.Refuse)
	case s.Refuse != 0:
		return "lcp", "auth.refused"
	case s.Impostor && (s.Auth == "" || s.Auth == AuthMSCHAPv2):
		return "lcp", "auth.server_not_genuine"
	}
	return "", ""
}

func (s Session) expectEncryption(p Policy) (cause string) {
	common := s.Auth.keys() && s.MPPE.offers(p.takes)
	switch {
	case common:
	case s.MPPERequired && !s.Auth.keys():
		return "encryption.required_without_keys"
	case s.MPPERequired && p.Encryption == pptp.EncryptionOff:
		return "encryption.required_by_server"
	case s.MPPERequired:
		return "encryption.strength"
	case p.Encryption != pptp.EncryptionRequired:
	case s.MPPE == MPPENone || s.MPPE == MPPERejected:
		return "encryption.refused"
	default:
		return "encryption.strength"
	}
	return ""
}

// offers reports whether ok takes one of the key lengths.
func (m MPPE) offers(ok func(bits int) bool) bool {
	switch m {
	case MPPENone, MPPERejected:
		return false
	case "":
		return ok(128)
	case MPPEAny:
		return ok(128) || ok(56) || ok(40)
	}
	bits, err := strconv.Atoi(strings.TrimSuffix(string(m), "-stateful"))
	return err == nil && ok(bits)
}

// ExpectSpeed says what the first packets through the tunnel deserve to find, on
// their way to a host name that is one of Config.Sites. Where all is well the status is "speed_ok": what the measurement makes of it
// is the caller's.
func (b Behaviour) ExpectSpeed(p Policy) Expect {
	e := b.ExpectLogin(p)
	if e.Cause != "" {
		return e
	}
	s := b.Session
	encrypted := s.Auth.keys() && s.MPPE.offers(p.takes)
	switch {
	case s.WrongKeys && encrypted:
		return Expect{"tunnel_failed", "encryption.key_mismatch", "auth"}
	case s.NoInternet:
		return Expect{"login_ok", "internet.no_internet", "ip"}
	case s.NoDNS:
		return Expect{"login_ok", "internet.no_dns", "ip"}
	case s.Endpoint != 0:
		return Expect{"login_ok", "internet.refused", "ip"}
	case s.Blackhole:
		return Expect{"login_ok", "internet.mtu_blackhole", "ip"}
	}
	return Expect{Status: "speed_ok", Reached: "internet"}
}

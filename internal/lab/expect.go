package lab

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/pptp/control"
)

// Expect is the correct result of a probe of a server.
type Expect struct {
	Status  string // the status of a node without earlier tests: "ping_ok", "login_failed"
	Cause   string // the failing step, a dot and a code; empty if nothing fails
	Reached string // the last completed step
}

// Policy says what the client accepts. The zero value is the policy of a node with
// default settings.
type Policy struct {
	Encryption pptp.Encryption // default pptp.EncryptionPreferred
	MinBits    int             // the shortest MPPE key that the client accepts
	AllowPAP   bool
}

func (p Policy) acceptsBits(bits int) bool {
	return p.Encryption != pptp.EncryptionOff && bits >= p.MinBits
}

// Expect returns the correct result of a ping with three attempts.
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
	case Close:
		return failed("tcp", "control.closed")
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

// ExpectLogin returns the correct result of a login with three attempts. It also
// holds for servers that lose packets at random, as long as the loss leaves a session
// a chance.
func (b Behaviour) ExpectLogin(p Policy) Expect {
	if e := b.Expect(); e.Cause != "" {
		return e
	}
	failed := func(reached, cause string) Expect { return Expect{"tunnel_failed", cause, reached} }
	if b.Kind == Denied { // a PPTP server that refuses a second connection
		return failed("control", "call.rejected")
	}
	s := b.Session
	for _, find := range []func(Policy) (reached, cause string){s.findCall, s.findLink, s.findMethod} {
		if reached, cause := find(p); cause != "" {
			return failed(reached, cause)
		}
	}
	if cause := s.findLogin(p); cause != "" {
		e := failed("lcp", cause)
		if s.loginJudged() {
			e.Status = "login_failed"
		}
		return e
	}
	if reached, cause := s.findEncryption(p); cause != "" {
		return failed(reached, cause)
	}
	if cause := s.findAddress(); cause != "" {
		return failed("encryption", cause)
	}
	return Expect{Status: "login_ok", Reached: "ip"}
}

// causeAt returns the cause that a client reports if the session ends at a step.
func (e Ending) causeAt(step string) string {
	switch e.Method {
	case EndCDN:
		return step + ".disconnected"
	case EndStop:
		return step + ".stopped"
	case EndTerminate:
		if step == "auth" && strings.Contains(e.Text, "Authentication") {
			return "auth.refused"
		}
		return step + ".terminated"
	case EndReset:
		if step == "gre" {
			return "gre.reset"
		}
	case EndClosed:
	}
	return step + ".closed"
}

const (
	// hangWait is how long a client waits for the first GRE packet, and
	// greWait how long if the control connection answers its echo meanwhile.
	hangWait = 6 * time.Second
	greWait  = 10 * time.Second
	// pppStartTime is the time within which a server hangs up if its PPP does not start.
	pppStartTime = 2 * time.Second
)

// findCall covers the steps from the call to its first GRE packet.
func (s Session) findCall(Policy) (reached, cause string) {
	switch s.Call {
	case CallBusy:
		return "control", "call.busy"
	case CallRefused:
		return "control", "call.rejected"
	case CallSilent:
		return "control", "call.timeout"
	case CallDropped:
		return "call", "gre.dropped_at_start"
	}
	patience := greWait
	if s.controlEchoMuted() {
		patience = hangWait
	}
	switch {
	case s.End.At == StageCall && s.EndAfter >= patience:
	case s.End.At == StageCall && s.End.Method == EndClosed && s.EndAfter <= pppStartTime:
		return "call", "gre.dropped_at_start"
	case s.End.At == StageCall:
		return "call", s.End.causeAt("gre")
	}
	switch {
	case s.GRE == GREDeaf:
		return "call", "gre.no_outbound"
	case s.GRE == GREStray:
		return "call", "gre.call_id_mismatch"
	case s.GRE == GREICMP:
		return "call", "gre.icmp"
	case s.GRE == "" && s.Begins < patience && s.End.At != StageCall:
		return "", ""
	case s.controlEchoMuted():
		return "call", "gre.server_hangs"
	}
	return "call", "gre.no_inbound"
}

// findLink covers LCP.
func (s Session) findLink(Policy) (reached, cause string) {
	switch {
	case s.Terminate != "":
		return "gre", "lcp.terminated"
	case s.Loses == LayerLCP:
		return "gre", "lcp.loss"
	case s.LCP == LCPLoop:
		return "gre", "lcp.loop"
	case s.End.At == StageLCP:
		return "gre", s.End.causeAt("lcp")
	case s.Nak == LayerLCP:
		return "gre", "lcp.no_agreement"
	}
	switch s.LCP {
	case "":
		return "", ""
	case LCPCodeReject, LCPProtocolReject:
		return "gre", "lcp.rejected"
	case LCPSilent:
		return "gre", "lcp.timeout"
	case LCPCallback:
		return "gre", "lcp.callback"
	}
	return "gre", "lcp.no_agreement"
}

// byStrength lists the logins, strongest first.
var byStrength = []Auth{AuthMSCHAPv2, "", AuthMSCHAPv1, AuthMD5, AuthPAP, AuthNone}

// bestLogin returns the login that a client with this policy negotiates: the strongest
// that both sides support. taken is false if there is none.
func (s Session) bestLogin(p Policy) (a Auth, taken bool) {
	for _, a := range byStrength {
		if slices.Contains(s.offeredLogins(), a) && p.declineCause(a) == "" {
			return a, true
		}
	}
	logins := s.offeredLogins()
	return logins[len(logins)-1], false
}

// declineCause returns the cause for which a client with this policy declines a login, or
// the empty string.
func (p Policy) declineCause(a Auth) string {
	switch {
	case a == AuthEAP:
		return "auth.eap"
	case a == AuthSPAP:
		return "auth.unsupported"
	case a == AuthPAP && !p.AllowPAP:
		return "auth.pap_not_allowed"
	case !a.givesKeys() && p.Encryption == pptp.EncryptionRequired:
		return "encryption.no_keys"
	}
	return ""
}

// findMethod covers the choice of the login method, which is part of LCP unless the
// server then continues without one.
func (s Session) findMethod(p Policy) (reached, cause string) {
	a, taken := s.bestLogin(p)
	switch {
	case taken:
		return "", ""
	case a == AuthNone:
		return "auth", p.declineCause(a)
	}
	if s.Declined == DeclinedTerminate || s.Declined == "" && s.Vendor == VendorPPTPD {
		return "lcp", p.declineCause(a) // LCP opens, without a login
	}
	return "gre", p.declineCause(a)
}

// loginJudged reports whether the server refuses the login itself.
func (s Session) loginJudged() bool {
	return (s.End.At != StageLogin || s.End.causeAt("auth") == "auth.refused") && s.Login != LoginSilent && s.Login != LoginMalformed &&
		(s.Login == LoginWordless || s.Refuse != 0 || s.Password != "" || s.End.At == StageLogin)
}

// findLogin covers the negotiated login.
func (s Session) findLogin(p Policy) (cause string) {
	a, _ := s.bestLogin(p)
	ms := a.givesKeys()
	switch {
	case a == AuthNone:
	case s.Loses == LayerLogin:
		return "auth.loss"
	case s.Login == LoginMalformed && a != AuthPAP && a != AuthMD5:
		return "auth.malformed"
	case s.End.At == StageLogin:
		return s.End.causeAt("auth")
	case s.Login == LoginSilent:
		return "auth.timeout"
	case s.Login == LoginWordless:
		return "auth.refused"
	case s.Refuse != 0 && ms:
		return "auth." + strconv.Itoa(s.Refuse)
	case s.Refuse != 0:
		return "auth.refused"
	case s.Impostor && (a == "" || a == AuthMSCHAPv2):
		return "auth.server_not_genuine"
	case s.Password == PasswordWidened && s.Second != "" && ms: // the other form needs a second call
		return "auth.691"
	}
	return ""
}

// findEncryption covers everything from the login to an encryption that carries
// packets.
func (s Session) findEncryption(p Policy) (reached, cause string) {
	a, _ := s.bestLogin(p)
	tries := a.givesKeys() && p.Encryption != pptp.EncryptionOff // the client requests MPPE
	common := a.givesKeys() && s.MPPE.offersAny(p.acceptsBits)
	has := s.MPPE != MPPENone && s.MPPE != MPPERejected
	required := p.Encryption == pptp.EncryptionRequired
	odd := s.CCP != "" || s.Nak == LayerCCP
	switch {
	case s.End.At == StageAfterLogin && tries:
		return "auth", "ip.ended_after_login"
	case s.End.At == StageAfterLogin:
		return "encryption", "ip.ended_after_login"
	case s.MPPERequired && !a.givesKeys():
		return "auth", "encryption.required_without_keys"
	case s.MPPERequired && !has:
		return "auth", "encryption.server_cannot"
	case s.End.At == StageCCP && tries && (!common || strings.Contains(s.End.Text, "MPPE")):
		return "auth", s.End.causeAt("encryption")
	case s.End.At == StageCCP && tries: // neither side has refused anything
		return "auth", "ip.ended_after_login"
	case s.Loses == LayerCCP && tries && required:
		return "auth", "encryption.loss"
	case s.Loses == LayerCCP:
		return "", ""
	case odd && tries && (required || s.MPPERequired):
		return "auth", s.findCCP()
	case s.MPPERequired && p.Encryption == pptp.EncryptionOff:
		return "auth", "encryption.required_by_server"
	case odd || !tries:
		return "", ""
	case !common && required && !has:
		return "auth", "encryption.refused"
	case !common && (required || s.MPPERequired):
		return "auth", "encryption.strength"
	case !common:
		return "", ""
	case s.Data == DataRejected:
		return "auth", "encryption.not_decrypted"
	case s.Data == DataPlain:
		return "auth", "encryption.sent_plain"
	case s.WrongKeys != "":
		return "auth", "encryption.key_mismatch"
	}
	return "", ""
}

// findCCP covers a CCP without an encryption although one side requires it.
func (s Session) findCCP() (cause string) {
	switch {
	case s.Nak == LayerCCP || s.CCP == CCPNak:
		return "encryption.no_agreement"
	case s.CCP == CCPSilent:
		return "encryption.timeout"
	}
	return "encryption.refused"
}

func (s Session) findAddress() (cause string) {
	switch {
	case s.Loses == LayerIPCP, s.Loses == LayerCCP && s.MPPERequired: // the server waits for CCP
		return "ip.loss"
	case s.End.At == StageIP && (s.MPPE == MPPERejected || !s.Auth.givesKeys()): // neither CCP nor IPCP was sent
		return "ip.ended_after_login"
	case s.End.At == StageIP:
		return s.End.causeAt("ip")
	case s.Nak == LayerIPCP:
		return "ip.no_agreement"
	case s.NoAddress:
		return "ip.no_address"
	}
	switch s.IP {
	case IPNak, IPRejectAll:
		return "ip.no_agreement"
	case IPReject, IPProtocolReject, IPCodeReject:
		return "ip.rejected"
	case IPSilent:
		return "ip.timeout"
	case IPConflict:
		return "ip.address_conflict"
	}
	return ""
}

// offersAny reports whether ok accepts one of the key lengths.
func (m MPPE) offersAny(ok func(bits int) bool) bool {
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

// ExpectSpeed returns the correct result of the first packets through the tunnel to a
// host name of Config.Sites. If nothing fails the status is "speed_ok": the caller
// decides about the measurement.
func (b Behaviour) ExpectSpeed(p Policy) Expect {
	e := b.ExpectLogin(p)
	if e.Cause != "" {
		return e
	}
	s := b.Session
	switch {
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

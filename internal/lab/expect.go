package lab

import (
	"slices"
	"strconv"
	"strings"
	"time"

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

func (p Policy) acceptsBits(bits int) bool {
	return p.Encryption != pptp.EncryptionOff && bits >= p.MinBits
}

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

// causeAt is what a client says of a session that ends at a step.
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
	// greWait where the control connection answers its echo meanwhile.
	hangWait = 6 * time.Second
	greWait  = 10 * time.Second
	// pppStartTime is the time within which a server whose PPP does not start hangs up.
	pppStartTime = 2 * time.Second
)

// findCall is about the steps from the call to its first GRE packet.
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

// findLink is about LCP.
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

// byStrength are the logins, the best first.
var byStrength = []Auth{AuthMSCHAPv2, "", AuthMSCHAPv1, AuthMD5, AuthPAP, AuthNone}

// bestLogin is the one that a client with this policy agrees on: the best that both
// have. taken is false when there is none.
func (s Session) bestLogin(p Policy) (a Auth, taken bool) {
	for _, a := range byStrength {
		if slices.Contains(s.offeredLogins(), a) && p.declineCause(a) == "" {
			return a, true
		}
	}
	logins := s.offeredLogins()
	return logins[len(logins)-1], false
}

// declineCause is the cause of a login that a client with this policy does not take.
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

// findMethod is about the login that is agreed on, which is a part of LCP where
// there is one.
func (s Session) findMethod(p Policy) (reached, cause string) {
	a, taken := s.bestLogin(p)
	switch {
	case taken:
		return "", ""
	case a == AuthNone:
		return "auth", p.declineCause(a)
	}
	if s.Declined == DeclinedTerminate || s.Declined == "" && s.Vendor == VendorPPTPD {
		return "lcp", p.declineCause(a) // the link is agreed on, without a login
	}
	return "gre", p.declineCause(a)
}

// loginJudged reports whether the server says no to the login itself.
func (s Session) loginJudged() bool {
	return (s.End.At != StageLogin || s.End.causeAt("auth") == "auth.refused") && s.Login != LoginSilent && s.Login != LoginMalformed &&
		(s.Login == LoginWordless || s.Refuse != 0 || s.Password != "" || s.End.At == StageLogin)
}

// findLogin is about the login that was agreed on.
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
	case s.Password == PasswordWidened && s.Second != "" && ms: // the other form takes a second call
		return "auth.691"
	}
	return ""
}

// findEncryption is about what follows the login, up to an encryption that carries
// packets.
func (s Session) findEncryption(p Policy) (reached, cause string) {
	a, _ := s.bestLogin(p)
	tries := a.givesKeys() && p.Encryption != pptp.EncryptionOff // the client asks for MPPE
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
	case s.End.At == StageCCP && tries: // nobody had refused anything
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

// findCCP is about a CCP that comes to no encryption where that is demanded.
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
	case s.Loses == LayerIPCP, s.Loses == LayerCCP && s.MPPERequired: // it waits for CCP
		return "ip.loss"
	case s.End.At == StageIP && (s.MPPE == MPPERejected || !s.Auth.givesKeys()): // not a word of either came
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

// offersAny reports whether ok takes one of the key lengths.
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

// ExpectSpeed says what the first packets through the tunnel deserve to find, on
// their way to a host name that is one of Config.Sites. Where all is well the
// status is "speed_ok": what the measurement makes of it is the caller's.
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

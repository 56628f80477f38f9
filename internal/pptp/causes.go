package pptp

import (
	"slices"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// This file chooses the cause of a failed Dial or session: one table maps what was
// observed to a cause. No other code chooses a cause.
//
// The rule of evidence: a cause is reported only when the observation excludes the
// others. What the other side said (a code, a text, a refused option, an ICMP error, a
// notice) outranks what is inferred from silence and time. Causes that cannot be
// told apart share one code, whose text names each of them.

// ending is the event that ended a Dial or a session.
type ending uint8

const (
	endLookup       ending = iota // the name gave no address to dial
	endConnect                    // the TCP connection was not made
	endControl                    // something else came instead of a reply, RFC 2637 sections 2.2 and 2.8
	endTime                       // the timeout of the step, or of the whole dial, expired
	endPeerClosed                 // the control connection or the call ended, RFC 2637 sections 2.3, 2.13 and 3.1
	endTerminate                  // LCP Terminate-Request, RFC 1661 section 5.5
	endIPCP                       // IPCP Terminate-Request
	endRejected                   // the server rejects a code or a protocol, RFC 1661 sections 5.6 and 5.7
	endDisagreement               // the options do not converge, RFC 1661 section 4.6
	endLoop                       // our own packets come back, RFC 1661 section 6.4
	endLogin                      // the server refused the login, RFC 2759 section 6, RFC 1994 section 4.2, RFC 1334 section 2.2.2
	endImpostor                   // the server's proof is wrong, RFC 2759 section 8.7
	endMalformed                  // the challenge is malformed, RFC 1994 section 4.1
	endUnsupported                // the login needs something that this client does not support
	endUnencrypted                // CCP ended without encryption, and we require it
	endNoKeys                     // the login gave no keys, and we require encryption, RFC 3079
	endUnreadable                 // packets cannot be decrypted, on either side, RFC 3078
	endAddress                    // IPCP ended without a usable address, RFC 1332 section 3.3
	endSilence                    // a session that was up stopped answering
	endingCount
)

// unreadableReason is how encryption failed after both sides agreed on it.
type unreadableReason uint8

const (
	readable         unreadableReason = iota
	keysDiffer                        // one side decrypts to nonsense
	serverCannotRead                  // Protocol-Reject of MPPE
	serverSendsPlain                  // IP packets in clear
)

// observed is everything known when a Dial or a session ends.
type observed struct {
	end  ending
	step Step // the step in progress
	up   bool // the session was up

	code      string        // endLookup, endConnect, endControl, endPeerClosed, endLogin, endAddress: the code of the cause
	afterCall time.Duration // endPeerClosed, endTime: time since the Outgoing-Call-Reply

	gre                 gre.Stats
	icmp                *gre.Unreachable // an ICMP error about one of our GRE packets, or nil
	ownICMP             bool             // the server itself sent that ICMP error
	controlEchoSent     bool             // an Echo-Request was sent on the control connection while no GRE came
	controlEchoAnswered bool             // and it was answered
	missed              int              // negotiation packets that cannot have arrived, in either direction
	unanswered          bool             // the server repeats its LCP request and answers none of ours
	declined            string           // the cause for which we declined a login method, or empty
	answered            bool             // we answered the challenge, or sent the password
	keys                bool             // the login gave keys
	policy              Encryption       // our encryption policy
	refusedCCP          bool             // the server asked for MPPE and we rejected CCP
	otherLength         bool             // the server wants a key length that we do not allow
	ccpHeard            bool             // the server sent a CCP packet
	ccpRefused          bool             // one side refused what the other requested in CCP
	ipcpHeard           bool             // the server sent an IPCP packet
	layer               Step             // endDisagreement, endRejected: lcp, auth, encryption or ip
	callback            bool             // endDisagreement: the server insists on callback, RFC 1570 section 2.3
	unreadableReason    unreadableReason
	peerText            string // the server's own text
}

// Occasional packet loss explains nothing, because every request is sent ten times.
// Loss explains a failure when at least lossyPackets packets are known to be missing,
// from gaps in the sequence numbers (RFC 2637 section 4.3) or from the negotiations,
// and they are at least lossyShare of all packets.
const (
	lossyPackets = 2
	lossyShare   = 0.15
)

// lostPackets returns how many packets are known to be lost. What the negotiations missed
// counts only together with a sequence gap: a slow server, or one that ignores one kind
// of packet, looks the same.
func (o *observed) lostPackets() uint64 {
	if o.gre.Lost == 0 {
		return 0
	}
	return o.gre.Lost + uint64(o.missed)
}

// isLossy reports whether the loss alone explains a failure.
func (o *observed) isLossy() bool {
	lost := o.lostPackets()
	return lost >= lossyPackets && float64(lost) >= lossyShare*float64(lost+o.gre.Received)
}

// textContains reports whether the server's text contains one of the words, in any case.
func (o *observed) textContains(words ...string) bool {
	text := strings.ToLower(o.peerText)
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

// serverEnded reports whether the server ended the session, on either connection.
func (o *observed) serverEnded() bool { return o.end == endPeerClosed || o.end == endTerminate }

// endedWithoutReason reports whether the session ended because something was missing: a
// timeout expired, or the server ended the session and gave no reason.
func (o *observed) endedWithoutReason() bool {
	return o.end == endTime || o.peerText == "" && o.serverEnded() && o.code != "disconnected" && o.code != "stopped"
}

// cause is one row of the table.
type cause struct {
	step        Step     // the step that failed; stepUnderWay is the step in progress
	code        string   // the code to report; codeObserved takes it from the observation
	values      []string // with codeObserved: every value that the code may have
	ref         string   // the section of the protocol
	observation string   // the observation, in words
	matches     func(o *observed) bool
}

const (
	stepUnderWay = Step("")
	codeObserved = ""
)

// negotiated lists the steps that PPP takes. A row whose step is stepUnderWay may be
// about each of them.
var negotiated = []Step{StepLCP, StepAuth, StepEncryption, StepIP}

func (o *observed) isNegotiating() bool { return slices.Contains(negotiated, o.step) }

// serverHearsNothing reports whether none of our packets reaches the server: it repeats
// its request and acknowledges none of them.
func (o *observed) serverHearsNothing() bool {
	return o.step == StepLCP && o.endedWithoutReason() && o.unanswered && !o.gre.PeerAcked
}

// icmpFollowsEnd reports whether the ICMP error may only be how the server's own machine
// rejects GRE after its PPTP service has ended the call.
func (o *observed) icmpFollowsEnd() bool { return o.ownICMP && o.end == endPeerClosed }

// declinedFor reports whether no session came up because we declined a login method for
// this cause.
func (o *observed) declinedFor(cause string) bool {
	return o.declined == cause && (o.step == StepLCP || o.step == StepAuth) &&
		(o.end == endTime || o.end == endDisagreement || o.serverEnded())
}

// serverDemandsMPPE reports whether the server ended the session because it requires MPPE:
// its text says so, or it ends the link without a text after we refused CCP.
func (o *observed) serverDemandsMPPE() bool {
	return o.serverEnded() && !o.up && (o.textContains("mppe required") || o.refusedCCP && o.end == endTerminate && o.peerText == "")
}

// causes is the table. The first row that matches is reported.
var causes = []cause{
	// --- Below the tunnel.
	{StepResolve, codeObserved, []string{"nxdomain", "no_ipv4", "temporary"}, "RFC 1035 4.1.1", "the name server's answer, or none", func(o *observed) bool { return o.end == endLookup }},
	{StepTCP, codeObserved, []string{"refused", "reset", "unreachable", "timeout", "failed"}, "RFC 9293 3.10", "what connecting met: RST, ICMP, or nothing", func(o *observed) bool { return o.end == endConnect }},
	{
		StepControl, codeObserved, []string{"closed", "reset", "timeout", "no_ack", "half", "not_pptp", "malformed", "stopped", "lost", "rejected", "version"},
		"RFC 2637 2.2", "what came in place of a good Start-Control-Connection-Reply",
		func(o *observed) bool { return o.end == endControl && o.step == StepControl },
	},
	{
		StepCall, codeObserved, []string{"closed", "reset", "timeout", "half", "not_pptp", "malformed", "stopped", "lost", "rejected", "busy", "disconnected"},
		"RFC 2637 2.8", "what came in place of a good Outgoing-Call-Reply",
		func(o *observed) bool { return o.end == endControl },
	},

	// --- What ended an established session.
	{StepLCP, "no_echo", nil, "RFC 1661 5.8", "Echo-Requests without an answer", func(o *observed) bool { return o.end == endSilence }},
	{StepEncryption, "not_decrypted", nil, "RFC 1661 5.7, RFC 3078 3", "Protocol-Reject of MPPE, again and again", func(o *observed) bool { return o.end == endUnreadable && o.unreadableReason == serverCannotRead }},
	{StepEncryption, "sent_plain", nil, "RFC 3078 3", "IP packets in clear after MPPE was agreed on", func(o *observed) bool { return o.end == endUnreadable && o.unreadableReason == serverSendsPlain }},
	{StepEncryption, "key_mismatch", nil, "RFC 3079 3", "packets that decrypt to nonsense, here or at the server", func(o *observed) bool { return o.end == endUnreadable }},
	{StepCall, "disconnected", nil, "RFC 2637 2.13", "Call-Disconnect-Notify on a session that was up", func(o *observed) bool { return o.up && o.end == endPeerClosed && o.code == "disconnected" }},
	{
		StepControl, codeObserved, []string{"closed", "reset", "half", "not_pptp", "malformed", "stopped", "lost", "no_echo"},
		"RFC 2637 3.1", "the control connection of a session that was up ended",
		func(o *observed) bool { return o.up && o.end == endPeerClosed },
	},
	{StepLCP, "terminated", nil, "RFC 1661 5.5", "Terminate-Request on a session that was up", func(o *observed) bool { return o.up && (o.end == endTerminate || o.end == endIPCP) }},

	// --- What the server said about the login.
	{
		StepAuth, codeObserved, []string{"691", "646", "647", "648", "649", "709", "refused"},
		"RFC 2759 6, RFC 2433 5, RFC 1334 2.2.2", "Failure or Nak, with its code",
		func(o *observed) bool { return o.end == endLogin },
	},
	{StepAuth, "server_not_genuine", nil, "RFC 2759 8.7", "a Success whose proof is wrong", func(o *observed) bool { return o.end == endImpostor }},
	{StepAuth, "malformed", nil, "RFC 1994 4.1, RFC 2759 3", "a challenge that no response fits", func(o *observed) bool { return o.end == endMalformed }},

	// --- A declined login method explains every end before the login.
	{StepAuth, "eap", nil, "RFC 3748", "the server asked for EAP, we declined, no session came", func(o *observed) bool { return o.declinedFor("auth.eap") }},
	{StepAuth, "pap_not_allowed", nil, "RFC 1334", "the server asked for PAP, we declined, no session came", func(o *observed) bool { return o.declinedFor("auth.pap_not_allowed") }},
	{StepEncryption, "no_keys", nil, "RFC 3079 1", "the server asked for a login without keys, we demand encryption and declined", func(o *observed) bool { return o.declinedFor("encryption.no_keys") }},
	{StepAuth, "unsupported", nil, "RFC 1661 6.2", "the server asked for a login that we do not have, or rejects the one that it asked for", func(o *observed) bool {
		return o.declinedFor("auth.unsupported") || o.end == endUnsupported || o.end == endRejected && o.layer == StepAuth
	}},

	// --- Encryption that one side requires.
	{StepEncryption, "no_keys", nil, "RFC 3079 1", "logged in without keys, and we demand encryption", func(o *observed) bool { return o.end == endNoKeys }},
	{StepEncryption, "required_without_keys", nil, "RFC 3079 1", "the server demands MPPE after a login that gives no keys", func(o *observed) bool { return o.serverDemandsMPPE() && !o.keys }},
	{StepEncryption, "server_cannot", nil, "RFC 3078 2", "the server demands MPPE, says that it has none, and the login gave keys", func(o *observed) bool { return o.serverDemandsMPPE() && o.textContains("not available", "no support") }},
	{StepEncryption, "required_by_server", nil, "RFC 3078 2", "the server demands MPPE, and ours is off", func(o *observed) bool {
		return o.serverDemandsMPPE() && o.policy == EncryptionOff
	}},
	{StepEncryption, "strength", nil, "RFC 3078 2.1", "the server has a key length that we do not allow, and one side demands MPPE", func(o *observed) bool {
		return o.otherLength && (o.serverDemandsMPPE() || o.end == endUnencrypted)
	}},
	{StepEncryption, "refused", nil, "RFC 1962 2, RFC 1661 5.7", "we demand MPPE, and the server rejects or ends it", func(o *observed) bool { return o.end == endUnencrypted }},

	// --- Negotiations that do not converge.
	{StepLCP, "loop", nil, "RFC 1661 6.4", "the magic number of the server is our own", func(o *observed) bool { return o.end == endLoop }},
	{StepLCP, "callback", nil, "RFC 1570 2.3", "the server insists on calling back", func(o *observed) bool { return o.end == endDisagreement && o.callback }},
	{StepLCP, "no_agreement", nil, "RFC 1661 4.6", "an option of LCP refused or demanded ten times", func(o *observed) bool { return o.end == endDisagreement && o.layer == StepLCP }},
	{StepEncryption, "no_agreement", nil, "RFC 1661 4.6, RFC 3078 2", "MPPE refused or demanded ten times", func(o *observed) bool { return o.end == endDisagreement && o.layer == StepEncryption }},
	{StepIP, "no_agreement", nil, "RFC 1661 4.6, RFC 1332 3", "an option of IPCP refused or demanded ten times", func(o *observed) bool { return o.end == endDisagreement }},
	{StepLCP, "rejected", nil, "RFC 1661 5.6, 5.7", "Code-Reject of our Configure-Request, or Protocol-Reject of LCP", func(o *observed) bool { return o.end == endRejected && o.layer == StepLCP }},
	{StepIP, "rejected", nil, "RFC 1661 5.7", "Protocol-Reject or Code-Reject of IPCP", func(o *observed) bool { return o.end == endRejected }},
	{StepIP, codeObserved, []string{"rejected", "no_address", "address_conflict"}, "RFC 1332 3.3", "IPCP is agreed on without an address for us", func(o *observed) bool { return o.end == endAddress }},

	// --- No GRE packet has come.
	{StepGRE, "icmp", nil, "RFC 792, RFC 1812 5.2.7", "an ICMP error about our GRE packets, and none of the server's or no acknowledgment", func(o *observed) bool {
		return o.icmp != nil && !o.icmpFollowsEnd() && (o.step == StepGRE || o.serverHearsNothing())
	}},
	{StepGRE, "call_id_mismatch", nil, "RFC 2637 4.1", "GRE packets for calls that do not exist", func(o *observed) bool { return o.step == StepGRE && o.gre.Strays > 0 }},
	{StepGRE, "disconnected", nil, "RFC 2637 2.13", "Call-Disconnect-Notify before any GRE packet", func(o *observed) bool { return o.step == StepGRE && o.code == "disconnected" }},
	{StepGRE, "stopped", nil, "RFC 2637 2.3", "Stop-Control-Connection-Request before any GRE packet", func(o *observed) bool { return o.step == StepGRE && o.code == "stopped" }},
	{StepGRE, "reset", nil, "RFC 9293 3.5.2", "TCP reset before any GRE packet", func(o *observed) bool { return o.step == StepGRE && o.code == "reset" }},
	{StepGRE, "dropped_at_start", nil, "RFC 2637 3.1", "the connection closed at once, before any GRE packet", func(o *observed) bool {
		return o.step == StepGRE && o.code == "closed" && o.afterCall <= earlyDropTime
	}},
	{StepGRE, "closed", nil, "RFC 2637 3.1", "the connection closed later, before any GRE packet", func(o *observed) bool { return o.step == StepGRE && o.code == "closed" }},
	{StepGRE, "lost", nil, "RFC 9293 3.8.3", "the control connection broke before any GRE packet", func(o *observed) bool { return o.step == StepGRE && o.end == endPeerClosed }},
	{StepGRE, "server_hangs", nil, "RFC 2637 2.5", "no GRE packet, and no answer to an Echo-Request on the control connection", func(o *observed) bool {
		return o.step == StepGRE && o.controlEchoSent && !o.controlEchoAnswered
	}},
	{StepGRE, "no_inbound", nil, "RFC 2637 4", "no GRE packet, and the control connection lives", func(o *observed) bool { return o.step == StepGRE }},

	{StepGRE, "no_outbound", nil, "RFC 2637 4.3", "the server repeats its request and acknowledges none of our packets", func(o *observed) bool {
		return o.serverHearsNothing()
	}},

	// --- Loss explains missing answers.
	{stepUnderWay, "loss", nil, "RFC 2637 4.3", "many of the server's packets were lost", func(o *observed) bool { return o.endedWithoutReason() && o.isLossy() && o.isNegotiating() }},

	// --- The server ended the session.
	{StepAuth, "refused", nil, "RFC 1661 5.5", "the server ended the link after our login and spoke of the login", func(o *observed) bool {
		return o.step == StepAuth && o.answered && o.end == endTerminate && o.textContains("auth", "login", "password", "credential", "access denied")
	}},
	{StepIP, "ended_after_login", nil, "RFC 1661 5.5, RFC 2637 2.13", "the server ended the session after the login, and no side had refused anything of encryption or addresses", func(o *observed) bool {
		return (o.step == StepEncryption || o.step == StepIP && !o.ccpHeard && !o.ipcpHeard) && o.serverEnded() && !o.ccpRefused && !o.textContains("mppe", "ccp", "encrypt")
	}},
	{stepUnderWay, "terminated", nil, "RFC 1661 5.5", "Terminate-Request", func(o *observed) bool { return o.isNegotiating() && (o.end == endTerminate || o.end == endIPCP) }},
	{stepUnderWay, "disconnected", nil, "RFC 2637 2.13", "Call-Disconnect-Notify", func(o *observed) bool { return o.isNegotiating() && o.code == "disconnected" }},
	{stepUnderWay, "stopped", nil, "RFC 2637 2.3", "Stop-Control-Connection-Request", func(o *observed) bool { return o.isNegotiating() && o.code == "stopped" }},
	{stepUnderWay, "closed", nil, "RFC 2637 3.1", "the control connection ended", func(o *observed) bool { return o.isNegotiating() && o.end == endPeerClosed }},

	// --- A timeout expired.
	{stepUnderWay, "timeout", nil, "RFC 1661 4.6, RFC 1994 4.1", "no answer", func(o *observed) bool { return o.isNegotiating() }},
	// No ending reaches this row; it makes the table total.
	{StepControl, "timeout", nil, "RFC 2637 2.2", "no answer", func(o *observed) bool { return true }},
}

// findCause returns the step and the code of the first row that matches.
func (o *observed) findCause() (step Step, code string) {
	row := causes[slices.IndexFunc(causes, func(c cause) bool { return c.matches(o) })]
	if step = row.step; step == stepUnderWay {
		step = o.step
	}
	if code = row.code; code == codeObserved {
		code = o.code
	}
	return step, code
}

// Causes lists every cause that an Error of this package may have, except auth.N with an
// error number N that the table does not list.
func Causes() []string {
	var list []string
	for _, c := range causes {
		steps, codes := []Step{c.step}, c.values
		if c.step == stepUnderWay {
			steps = negotiated
		}
		if c.code != codeObserved {
			codes = []string{c.code}
		}
		for _, s := range steps {
			for _, code := range codes {
				list = append(list, string(s)+"."+code)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// RetiredCauses lists causes of earlier releases that stored results may still
// contain. No code reports them any more.
func RetiredCauses() []string { return []string{"call.dropped_at_start"} }

package pptp

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// Packet counts and an ICMP error for causeTests.
var (
	statsHeard   = gre.Stats{Received: 12, PeerAcked: true}
	statsLossy   = gre.Stats{Received: 5, Lost: 4, PeerAcked: true}
	statsOneLost = gre.Stats{Received: 9, Lost: 1, PeerAcked: true}
	testICMP     = &gre.Unreachable{Type: 3, Code: 2}
)

// causeTests has at least one observation for each row of the table of causes, and for each
// value that a row takes from the observation.
var causeTests = []struct {
	name string
	o    observed
	want string
}{
	{"no such name", observed{end: endLookup, step: StepResolve, code: "nxdomain"}, "resolve.nxdomain"},
	{"only IPv6", observed{end: endLookup, step: StepResolve, code: "no_ipv4"}, "resolve.no_ipv4"},
	{"SERVFAIL", observed{end: endLookup, step: StepResolve, code: "temporary"}, "resolve.temporary"},

	{"RST to the SYN", observed{end: endConnect, step: StepTCP, code: "refused"}, "tcp.refused"},
	{"RST later", observed{end: endConnect, step: StepTCP, code: "reset"}, "tcp.reset"},
	{"ICMP host unreachable", observed{end: endConnect, step: StepTCP, code: "unreachable"}, "tcp.unreachable"},
	{"silence", observed{end: endConnect, step: StepTCP, code: "timeout"}, "tcp.timeout"},
	{"another error", observed{end: endConnect, step: StepTCP, code: "failed"}, "tcp.failed"},

	{"closed in place of a start reply", observed{end: endControl, step: StepControl, code: "closed"}, "control.closed"},
	{"reset in place of a start reply", observed{end: endControl, step: StepControl, code: "reset"}, "control.reset"},
	{"no start reply", observed{end: endControl, step: StepControl, code: "timeout"}, "control.timeout"},
	{"start request not acknowledged", observed{end: endControl, step: StepControl, code: "no_ack"}, "control.no_ack"},
	{"half a start reply", observed{end: endControl, step: StepControl, code: "half"}, "control.half"},
	{"another protocol", observed{end: endControl, step: StepControl, code: "not_pptp"}, "control.not_pptp"},
	{"a malformed start reply", observed{end: endControl, step: StepControl, code: "malformed"}, "control.malformed"},
	{"StopCCRQ in place of a start reply", observed{end: endControl, step: StepControl, code: "stopped"}, "control.stopped"},
	{"the network broke at the start", observed{end: endControl, step: StepControl, code: "lost"}, "control.lost"},
	{"start refused", observed{end: endControl, step: StepControl, code: "rejected"}, "control.rejected"},
	{"another version", observed{end: endControl, step: StepControl, code: "version"}, "control.version"},

	{"closed at the call", observed{end: endControl, step: StepCall, code: "closed"}, "call.closed"},
	{"reset at the call", observed{end: endControl, step: StepCall, code: "reset"}, "call.reset"},
	{"no call reply", observed{end: endControl, step: StepCall, code: "timeout"}, "call.timeout"},
	{"half a call reply", observed{end: endControl, step: StepCall, code: "half"}, "call.half"},
	{"no PPTP at the call", observed{end: endControl, step: StepCall, code: "not_pptp"}, "call.not_pptp"},
	{"a malformed call reply", observed{end: endControl, step: StepCall, code: "malformed"}, "call.malformed"},
	{"StopCCRQ at the call", observed{end: endControl, step: StepCall, code: "stopped"}, "call.stopped"},
	{"the network broke at the call", observed{end: endControl, step: StepCall, code: "lost"}, "call.lost"},
	{"call refused", observed{end: endControl, step: StepCall, code: "rejected"}, "call.rejected"},
	{"busy", observed{end: endControl, step: StepCall, code: "busy"}, "call.busy"},
	{"CDN in place of a call reply", observed{end: endControl, step: StepCall, code: "disconnected"}, "call.disconnected"},

	{"silence of a session", observed{end: endSilence, step: StepIP, up: true}, "lcp.no_echo"},
	{"MPPE rejected as a protocol", observed{end: endUnreadable, unreadableReason: serverCannotRead, step: StepIP, up: true}, "encryption.not_decrypted"},
	{"plain packets", observed{end: endUnreadable, unreadableReason: serverSendsPlain, step: StepIP, up: true}, "encryption.sent_plain"},
	{"nonsense", observed{end: endUnreadable, unreadableReason: keysDiffer, step: StepIP, up: true}, "encryption.key_mismatch"},
	{"CDN of a session", observed{end: endPeerClosed, code: "disconnected", step: StepIP, up: true}, "call.disconnected"},
	{"a session's control connection closed", observed{end: endPeerClosed, code: "closed", step: StepIP, up: true}, "control.closed"},
	{"reset", observed{end: endPeerClosed, code: "reset", step: StepIP, up: true}, "control.reset"},
	{"half a message", observed{end: endPeerClosed, code: "half", step: StepIP, up: true}, "control.half"},
	{"no PPTP", observed{end: endPeerClosed, code: "not_pptp", step: StepIP, up: true}, "control.not_pptp"},
	{"malformed", observed{end: endPeerClosed, code: "malformed", step: StepIP, up: true}, "control.malformed"},
	{"StopCCRQ", observed{end: endPeerClosed, code: "stopped", step: StepIP, up: true}, "control.stopped"},
	{"network lost", observed{end: endPeerClosed, code: "lost", step: StepIP, up: true}, "control.lost"},
	{"no echo reply", observed{end: endPeerClosed, code: "no_echo", step: StepIP, up: true}, "control.no_echo"},
	{"lossy session closed", observed{end: endPeerClosed, code: "closed", step: StepIP, up: true, gre: statsLossy}, "control.closed"},
	{"Terminate-Request of a session", observed{end: endTerminate, step: StepIP, up: true, peerText: "MPPE required"}, "lcp.terminated"},
	{"IPCP ended", observed{end: endIPCP, step: StepIP, up: true}, "lcp.terminated"},

	{"691", observed{end: endLogin, code: "691", step: StepAuth}, "auth.691"},
	{"691 on a lossy path", observed{end: endLogin, code: "691", step: StepAuth, gre: statsLossy}, "auth.691"},
	{"646", observed{end: endLogin, code: "646", step: StepAuth}, "auth.646"},
	{"647", observed{end: endLogin, code: "647", step: StepAuth}, "auth.647"},
	{"648", observed{end: endLogin, code: "648", step: StepAuth}, "auth.648"},
	{"649", observed{end: endLogin, code: "649", step: StepAuth}, "auth.649"},
	{"709", observed{end: endLogin, code: "709", step: StepAuth}, "auth.709"},
	{"a number that nobody knows", observed{end: endLogin, code: "812", step: StepAuth}, "auth.812"},
	{"PAP Nak", observed{end: endLogin, code: "refused", step: StepAuth}, "auth.refused"},
	{"the Failure was lost, its Terminate-Request came", observed{end: endTerminate, step: StepAuth, answered: true, peerText: "Authentication failed"}, "auth.refused"},
	{"impostor", observed{end: endImpostor, step: StepAuth}, "auth.server_not_genuine"},
	{"a challenge of 3 bytes", observed{end: endMalformed, step: StepAuth}, "auth.malformed"},

	{"EAP declined, time over", observed{end: endTime, declined: "auth.eap", step: StepLCP, gre: statsHeard}, "auth.eap"},
	{"EAP declined, Terminate-Request", observed{end: endTerminate, declined: "auth.eap", step: StepLCP, peerText: "peer refused to authenticate"}, "auth.eap"},
	{"PAP declined, CDN: administrator", observed{end: endPeerClosed, code: "disconnected", declined: "auth.pap_not_allowed", step: StepLCP}, "auth.pap_not_allowed"},
	{"PAP declined ten times", observed{end: endDisagreement, layer: StepLCP, declined: "auth.pap_not_allowed", step: StepLCP}, "auth.pap_not_allowed"},
	{"MD5 declined, closed", observed{end: endPeerClosed, code: "closed", declined: "encryption.no_keys", step: StepLCP}, "encryption.no_keys"},
	{"declined, link without a login", observed{end: endTime, declined: "encryption.no_keys", step: StepAuth}, "encryption.no_keys"},
	{"another method declined", observed{end: endTime, declined: "auth.unsupported", step: StepLCP}, "auth.unsupported"},
	{"CHAP rejected as a protocol", observed{end: endRejected, layer: StepAuth, step: StepAuth}, "auth.unsupported"},
	{"too long for PAP", observed{end: endUnsupported, step: StepAuth}, "auth.unsupported"},

	{"no login, and encryption required here", observed{end: endNoKeys, step: StepEncryption}, "encryption.no_keys"},
	{"MPPE demanded after MD5", observed{end: endTerminate, step: StepEncryption, peerText: "MPPE required but not available"}, "encryption.required_without_keys"},
	{"MPPE demanded, CCP rejected by us for want of keys", observed{end: endTerminate, step: StepEncryption, refusedCCP: true}, "encryption.required_without_keys"},
	{"no ppp_mppe", observed{end: endTerminate, step: StepEncryption, keys: true, peerText: "MPPE required but not available"}, "encryption.server_cannot"},
	{"no ppp_mppe, ours off", observed{end: endTerminate, step: StepEncryption, keys: true, policy: EncryptionOff, peerText: "MPPE required but not available"}, "encryption.server_cannot"},
	{"ours off", observed{end: endTerminate, step: StepEncryption, keys: true, policy: EncryptionOff, refusedCCP: true, peerText: "MPPE required but peer negotiation failed"}, "encryption.required_by_server"},
	{"ours off, no text", observed{end: endTerminate, step: StepIP, ipcpHeard: true, keys: true, policy: EncryptionOff, refusedCCP: true, ccpRefused: true}, "encryption.required_by_server"},
	{"ours off, another text", observed{end: endTerminate, step: StepIP, ipcpHeard: true, keys: true, policy: EncryptionOff, refusedCCP: true, ccpRefused: true, peerText: "Bye"}, "ip.terminated"},
	{"ours off, a notice", observed{end: endPeerClosed, code: "disconnected", step: StepIP, ipcpHeard: true, keys: true, policy: EncryptionOff, refusedCCP: true, ccpRefused: true}, "ip.disconnected"},
	{"no free address, without encryption", observed{end: endTerminate, step: StepIP}, "ip.ended_after_login"},
	{"40 bits demanded, 128 allowed", observed{end: endTerminate, step: StepEncryption, keys: true, otherLength: true, peerText: "MPPE required but peer negotiation failed"}, "encryption.strength"},
	{"40 bits offered, 128 required here", observed{end: endUnencrypted, step: StepEncryption, keys: true, otherLength: true}, "encryption.strength"},
	{"MPPE rejected, required here", observed{end: endUnencrypted, step: StepEncryption, keys: true}, "encryption.refused"},

	{"looped back", observed{end: endLoop, step: StepLCP}, "lcp.loop"},
	{"callback", observed{end: endDisagreement, layer: StepLCP, callback: true, step: StepLCP}, "lcp.callback"},
	{"MRU refused for ever", observed{end: endDisagreement, layer: StepLCP, step: StepLCP}, "lcp.no_agreement"},
	{"MPPE refused for ever", observed{end: endDisagreement, layer: StepEncryption, step: StepEncryption}, "encryption.no_agreement"},
	{"address refused for ever", observed{end: endDisagreement, layer: StepIP, step: StepIP}, "ip.no_agreement"},
	{"Code-Reject of Configure-Request", observed{end: endRejected, layer: StepLCP, step: StepLCP, gre: statsHeard}, "lcp.rejected"},
	{"Protocol-Reject of IPCP", observed{end: endRejected, layer: StepIP, step: StepIP}, "ip.rejected"},
	{"address option rejected", observed{end: endAddress, code: "rejected", step: StepIP}, "ip.rejected"},
	{"0.0.0.0", observed{end: endAddress, code: "no_address", step: StepIP}, "ip.no_address"},
	{"the server's own address", observed{end: endAddress, code: "address_conflict", step: StepIP}, "ip.address_conflict"},

	{"ICMP, then closed at once", observed{end: endPeerClosed, code: "closed", afterCall: time.Second / 2, step: StepGRE, icmp: testICMP}, "gre.icmp"},
	{"repeats that no gap confirms", observed{end: endTime, step: StepAuth, answered: true, gre: statsHeard, missed: 5}, "auth.timeout"},
	{"the server hears nothing, on a lossy path", observed{end: endTime, step: StepLCP, unanswered: true, gre: gre.Stats{Received: 4, Lost: 1}, missed: 4}, "gre.no_outbound"},
	{"the server hears nothing, and a router's ICMP", observed{end: endTime, step: StepLCP, unanswered: true, gre: gre.Stats{Received: 4}, icmp: testICMP}, "gre.icmp"},
	{"the server answers, and an ICMP came once", observed{end: endTime, step: StepLCP, gre: statsHeard, icmp: testICMP}, "lcp.timeout"},
	{"CDN, then the server's ICMP", observed{end: endPeerClosed, code: "disconnected", step: StepGRE, icmp: testICMP, ownICMP: true}, "gre.disconnected"},
	{"CDN, and a router's ICMP", observed{end: endPeerClosed, code: "disconnected", step: StepGRE, icmp: testICMP}, "gre.icmp"},
	{"closed, and the server's ICMP", observed{end: endPeerClosed, code: "closed", step: StepGRE, icmp: testICMP, ownICMP: true}, "gre.dropped_at_start"},
	{"silence, and the server's ICMP", observed{end: endTime, step: StepGRE, icmp: testICMP, ownICMP: true}, "gre.icmp"},
	{"ICMP, time over", observed{end: endTime, step: StepGRE, icmp: testICMP, controlEchoSent: true}, "gre.icmp"},
	{"a foreign call id", observed{end: endTime, step: StepGRE, gre: gre.Stats{Strays: 3}}, "gre.call_id_mismatch"},
	{"CDN before GRE", observed{end: endPeerClosed, code: "disconnected", afterCall: time.Second / 3, step: StepGRE}, "gre.disconnected"},
	{"StopCCRQ before GRE", observed{end: endPeerClosed, code: "stopped", afterCall: 4 * time.Second, step: StepGRE}, "gre.stopped"},
	{"RST before GRE", observed{end: endPeerClosed, code: "reset", afterCall: time.Second, step: StepGRE}, "gre.reset"},
	{"closed at once", observed{end: endPeerClosed, code: "closed", afterCall: 300 * time.Millisecond, step: StepGRE}, "gre.dropped_at_start"},
	{"closed after 4 s", observed{end: endPeerClosed, code: "closed", afterCall: 4 * time.Second, step: StepGRE}, "gre.closed"},
	{"no route any more", observed{end: endPeerClosed, code: "lost", step: StepGRE}, "gre.lost"},
	{"half a message, then closed", observed{end: endPeerClosed, code: "half", step: StepGRE}, "gre.lost"},
	{"silence on both connections", observed{end: endTime, step: StepGRE, controlEchoSent: true}, "gre.server_hangs"},
	{"silence of GRE alone", observed{end: endTime, step: StepGRE, controlEchoSent: true, controlEchoAnswered: true}, "gre.no_inbound"},

	{"loss at the link", observed{end: endTime, step: StepLCP, gre: statsLossy}, "lcp.loss"},
	{"loss at the login", observed{end: endTime, step: StepAuth, gre: statsLossy, answered: true}, "auth.loss"},
	{"answered when asked again", observed{end: endTime, step: StepIP, gre: statsOneLost, missed: 2}, "ip.loss"},
	{"loss at encryption", observed{end: endTime, step: StepEncryption, gre: statsLossy}, "encryption.loss"},
	{"loss at the address, closed by the server", observed{end: endPeerClosed, code: "closed", step: StepIP, gre: statsLossy}, "ip.loss"},
	{"loss, and a text of the server", observed{end: endTerminate, step: StepLCP, gre: statsLossy, peerText: "Too many users"}, "lcp.terminated"},
	{"loss, and a notice", observed{end: endPeerClosed, code: "disconnected", step: StepLCP, gre: statsLossy}, "lcp.disconnected"},
	{"one packet of ten", observed{end: endTime, step: StepAuth, gre: statsOneLost}, "auth.timeout"},
	{"the server hears nothing", observed{end: endTime, step: StepLCP, unanswered: true, gre: gre.Stats{Received: 4}}, "gre.no_outbound"},
	{"it gives up", observed{end: endPeerClosed, code: "closed", step: StepLCP, unanswered: true, gre: gre.Stats{Received: 4}}, "gre.no_outbound"},
	{"repeats itself, but acknowledges", observed{end: endTime, step: StepLCP, unanswered: true, gre: statsHeard}, "lcp.timeout"},

	{"no free address", observed{end: endTerminate, step: StepEncryption, keys: true}, "ip.ended_after_login"},
	{"maintenance", observed{end: endTerminate, step: StepEncryption, keys: true, peerText: "Sorry, maintenance until 18:00"}, "ip.ended_after_login"},
	{"no free address, after its first CCP request", observed{end: endTerminate, step: StepEncryption, keys: true, ccpHeard: true}, "ip.ended_after_login"},
	{"CDN after the login", observed{end: endPeerClosed, code: "disconnected", step: StepEncryption}, "ip.ended_after_login"},

	{"Too many users", observed{end: endTerminate, step: StepLCP, peerText: "Too many users"}, "lcp.terminated"},
	{"no judgement of the login", observed{end: endTerminate, step: StepAuth, answered: true, peerText: "Session limit"}, "auth.terminated"},
	{"ended over CCP", observed{end: endTerminate, step: StepEncryption, ccpHeard: true, keys: true, peerText: "MPPE disabled"}, "encryption.terminated"},
	{"IPCP Terminate-Request", observed{end: endIPCP, step: StepIP, ipcpHeard: true}, "ip.terminated"},
	{"CDN at the link", observed{end: endPeerClosed, code: "disconnected", step: StepLCP}, "lcp.disconnected"},
	{"CDN at the login", observed{end: endPeerClosed, code: "disconnected", step: StepAuth}, "auth.disconnected"},
	{"CDN at encryption", observed{end: endPeerClosed, code: "disconnected", step: StepEncryption, ccpHeard: true, ccpRefused: true}, "encryption.disconnected"},
	{"CDN at the address", observed{end: endPeerClosed, code: "disconnected", step: StepIP, ipcpHeard: true}, "ip.disconnected"},
	{"StopCCRQ at the link", observed{end: endPeerClosed, code: "stopped", step: StepLCP}, "lcp.stopped"},
	{"StopCCRQ at the login", observed{end: endPeerClosed, code: "stopped", step: StepAuth}, "auth.stopped"},
	{"StopCCRQ at encryption", observed{end: endPeerClosed, code: "stopped", step: StepEncryption, ccpHeard: true, ccpRefused: true}, "encryption.stopped"},
	{"StopCCRQ at the address", observed{end: endPeerClosed, code: "stopped", step: StepIP, ipcpHeard: true}, "ip.stopped"},
	{"closed at the link", observed{end: endPeerClosed, code: "closed", step: StepLCP}, "lcp.closed"},
	{"reset at the login", observed{end: endPeerClosed, code: "reset", step: StepAuth}, "auth.closed"},
	{"closed at encryption", observed{end: endPeerClosed, code: "closed", step: StepEncryption, ccpHeard: true, ccpRefused: true}, "encryption.closed"},
	{"closed at the address", observed{end: endPeerClosed, code: "closed", step: StepIP, ipcpHeard: true}, "ip.closed"},

	{"no LCP", observed{end: endTime, step: StepLCP, gre: statsHeard}, "lcp.timeout"},
	{"no answer to the login", observed{end: endTime, step: StepAuth, gre: statsHeard}, "auth.timeout"},
	{"no CCP, required here", observed{end: endTime, step: StepEncryption, gre: statsHeard}, "encryption.timeout"},
	{"no IPCP", observed{end: endTime, step: StepIP, gre: statsHeard}, "ip.timeout"},
}

// TestCausesTableIsCovered checks that every row and every code of the table is reached.
func TestCausesTableIsCovered(t *testing.T) {
	hit := make([]int, len(causes))
	reported := map[string]bool{}
	for _, tt := range causeTests {
		step, code := tt.o.findCause()
		got := string(step) + "." + code
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
		reported[got] = true
		hit[slices.IndexFunc(causes, func(c cause) bool { return c.matches(&tt.o) })]++
	}
	for i, n := range hit {
		if n == 0 && i != len(causes)-1 {
			t.Errorf("no observation fits the row %s.%s (%s)", causes[i].step, causes[i].code, causes[i].observation)
		}
	}
	if n := hit[len(causes)-1]; n > 0 {
		t.Errorf("%d observations fit only the last row", n)
	}
	for _, c := range Causes() {
		if !reported[c] {
			t.Errorf("no observation has the cause %s", c)
		}
	}
}

// TestCausesListsEveryOutcome checks that Causes lists the cause of every observation, and
// that each row names its source.
func TestCausesListsEveryOutcome(t *testing.T) {
	for _, c := range causes {
		if !strings.HasPrefix(c.ref, "RFC ") || c.observation == "" {
			t.Errorf("%s.%s has the source %q and the observation %q", c.step, c.code, c.ref, c.observation)
		}
	}
	known := Causes()
	codes := map[ending][]string{
		endLookup: {"nxdomain", "temporary"}, endConnect: {"refused", "timeout"}, endControl: {"closed", "timeout"},
		endPeerClosed: {"closed", "reset", "stopped", "disconnected", "lost", "no_echo", "half"},
		endLogin:      {"691", "refused"}, endAddress: {"no_address", "rejected"},
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	coin := func() bool { return rnd.IntN(2) == 0 }
	pick := func(list ...string) string {
		if len(list) == 0 {
			return ""
		}
		return list[rnd.IntN(len(list))]
	}
	for range 200_000 {
		o := observed{
			end: ending(rnd.IntN(int(endingCount))), step: steps[2+rnd.IntN(len(steps)-2)],
			afterCall:       time.Duration(rnd.IntN(10)) * time.Second,
			gre:             gre.Stats{Received: uint64(rnd.IntN(20)), Lost: uint64(rnd.IntN(8)), PeerAcked: coin(), Strays: uint64(rnd.IntN(2))},
			controlEchoSent: coin(), controlEchoAnswered: coin(), missed: rnd.IntN(4), unanswered: coin(),
			declined: pick("", "auth.eap", "encryption.no_keys"), answered: coin(), keys: coin(),
			policy:     []Encryption{EncryptionPreferred, EncryptionRequired, EncryptionOff}[rnd.IntN(3)],
			refusedCCP: coin(), otherLength: coin(), ccpHeard: coin(), ccpRefused: coin(), ipcpHeard: coin(), callback: coin(),
			layer:            []Step{StepLCP, StepAuth, StepEncryption, StepIP}[rnd.IntN(4)],
			unreadableReason: unreadableReason(rnd.IntN(4)), peerText: pick("", "MPPE required but not available", "Authentication failed", "bye"),
		}
		o.code = pick(codes[o.end]...)
		if coin() {
			o.icmp, o.ownICMP = &gre.Unreachable{Type: 3, Code: 13}, coin()
		}
		if o.end == endControl {
			o.step = []Step{StepControl, StepCall}[rnd.IntN(2)]
		} else if o.step.index() < StepGRE.index() && o.end != endLookup && o.end != endConnect {
			o.step = StepGRE // the call exists
		}
		o.up = o.step == StepIP && coin() && o.end != endTime
		step, code := o.findCause()
		if c := string(step) + "." + code; !slices.Contains(known, c) || step == stepUnderWay || code == codeObserved {
			t.Fatalf("%+v: got the cause %s", o, c)
		}
	}
}

// TestCausePrefersServerReasonOverTimeout checks that an inference never replaces a code or a
// text of the server.
func TestCausePrefersServerReasonOverTimeout(t *testing.T) {
	lossy := gre.Stats{Received: 3, Lost: 5}
	for _, step := range []Step{StepLCP, StepAuth, StepEncryption, StepIP} {
		for _, serverCode := range []string{"disconnected", "stopped"} {
			o := observed{end: endPeerClosed, code: serverCode, step: step, gre: lossy, unanswered: true}
			if _, code := o.findCause(); code == "loss" || code == "no_outbound" || code == "timeout" {
				t.Errorf("%s at %s: got the cause %s", serverCode, step, code)
			}
		}
		o := observed{end: endTerminate, peerText: "Sorry", step: step, gre: lossy, unanswered: true, answered: true}
		if _, code := o.findCause(); code != "terminated" && code != "ended_after_login" {
			t.Errorf("a text at %s: got the cause %s", step, code)
		}
	}
	for _, c := range RetiredCauses() {
		if slices.Contains(Causes(), c) {
			t.Errorf("got the retired cause %s", c)
		}
	}
}

// TestRefusalTextOutlivesTerminateRequest checks that the Terminate-Request that pppd sends after a refusal
// does not replace its text.
func TestRefusalTextOutlivesTerminateRequest(t *testing.T) {
	w := newTestPath(t, Config{}, time.Millisecond, &pppd{})
	w.link.startLCP(w.now)
	w.runUntil(w.now.Add(time.Minute), func() bool { return w.link.auth.answered })
	failure := ppp.Packet{Code: ppp.CHAPFailure, ID: w.link.auth.answerID, Data: []byte("E=691 R=1 C=00112233445566778899aabbccddeeff V=3 M=Access denied")}
	w.link.input(w.now, ppp.CHAP, failure.Append(nil))
	w.link.input(w.now, ppp.LCP, ppp.Packet{Code: ppp.TerminateRequest, ID: 3, Data: []byte("Authentication failed")}.Append(nil))
	if w.endCause() != "auth.691" || w.seen.peerText != "Access denied" {
		t.Errorf("got the cause %s with %q", w.endCause(), w.seen.peerText)
	}
}

// TestConnectFailureOfCancelledContextIsTimeout checks that a connect that the timeout of the
// whole Dial ended counts as unanswered.
func TestConnectFailureOfCancelledContextIsTimeout(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errDialTimeout)
	var d net.Dialer
	_, err := d.DialContext(ctx, "tcp4", "127.0.0.1:1")
	if code, _ := connectFailure(err); code != "timeout" {
		t.Errorf("%v: got the cause %s", err, code)
	}
}

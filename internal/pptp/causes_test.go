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

// TestTheTableOfCauses has at least one observation for each row of the table, and for
// each value that a row takes from the observation.
func TestTheTableOfCauses(t *testing.T) {
	var (
		heard   = gre.Stats{Received: 12, PeerAcked: true}
		lossy   = gre.Stats{Received: 5, Lost: 4, PeerAcked: true}
		oneLost = gre.Stats{Received: 9, Lost: 1, PeerAcked: true}
		icmp    = &gre.Unreachable{Type: 3, Code: 2}
	)
	tests := []struct {
		name string
		o    observed
		want string
	}{
		{"no such name", observed{end: endLookup, step: StepResolve, said: "nxdomain"}, "resolve.nxdomain"},
		{"only IPv6", observed{end: endLookup, step: StepResolve, said: "no_ipv4"}, "resolve.no_ipv4"},
		{"SERVFAIL", observed{end: endLookup, step: StepResolve, said: "temporary"}, "resolve.temporary"},

		{"RST to the SYN", observed{end: endConnect, step: StepTCP, said: "refused"}, "tcp.refused"},
		{"RST later", observed{end: endConnect, step: StepTCP, said: "reset"}, "tcp.reset"},
		{"ICMP host unreachable", observed{end: endConnect, step: StepTCP, said: "unreachable"}, "tcp.unreachable"},
		{"silence", observed{end: endConnect, step: StepTCP, said: "timeout"}, "tcp.timeout"},
		{"another error", observed{end: endConnect, step: StepTCP, said: "failed"}, "tcp.failed"},

		{"closed in place of a start reply", observed{end: endControl, step: StepControl, said: "closed"}, "control.closed"},
		{"reset in place of a start reply", observed{end: endControl, step: StepControl, said: "reset"}, "control.reset"},
		{"no start reply", observed{end: endControl, step: StepControl, said: "timeout"}, "control.timeout"},
		{"start request not acknowledged", observed{end: endControl, step: StepControl, said: "no_ack"}, "control.no_ack"},
		{"half a start reply", observed{end: endControl, step: StepControl, said: "half"}, "control.half"},
		{"another protocol", observed{end: endControl, step: StepControl, said: "not_pptp"}, "control.not_pptp"},
		{"a malformed start reply", observed{end: endControl, step: StepControl, said: "malformed"}, "control.malformed"},
		{"StopCCRQ in place of a start reply", observed{end: endControl, step: StepControl, said: "stopped"}, "control.stopped"},
		{"the network broke at the start", observed{end: endControl, step: StepControl, said: "lost"}, "control.lost"},
		{"start refused", observed{end: endControl, step: StepControl, said: "rejected"}, "control.rejected"},
		{"another version", observed{end: endControl, step: StepControl, said: "version"}, "control.version"},

		{"closed at the call", observed{end: endControl, step: StepCall, said: "closed"}, "call.closed"},
		{"reset at the call", observed{end: endControl, step: StepCall, said: "reset"}, "call.reset"},
		{"no call reply", observed{end: endControl, step: StepCall, said: "timeout"}, "call.timeout"},
		{"half a call reply", observed{end: endControl, step: StepCall, said: "half"}, "call.half"},
		{"no PPTP at the call", observed{end: endControl, step: StepCall, said: "not_pptp"}, "call.not_pptp"},
		{"a malformed call reply", observed{end: endControl, step: StepCall, said: "malformed"}, "call.malformed"},
		{"StopCCRQ at the call", observed{end: endControl, step: StepCall, said: "stopped"}, "call.stopped"},
		{"the network broke at the call", observed{end: endControl, step: StepCall, said: "lost"}, "call.lost"},
		{"call refused", observed{end: endControl, step: StepCall, said: "rejected"}, "call.rejected"},
		{"busy", observed{end: endControl, step: StepCall, said: "busy"}, "call.busy"},
		{"CDN in place of a call reply", observed{end: endControl, step: StepCall, said: "disconnected"}, "call.disconnected"},

		{"silence of a session", observed{end: endSilence, step: StepIP, up: true}, "lcp.no_echo"},
		{"MPPE rejected as a protocol", observed{end: endUnreadable, unreadable: serverCannotRead, step: StepIP, up: true}, "encryption.not_decrypted"},
		{"plain packets", observed{end: endUnreadable, unreadable: serverSendsPlain, step: StepIP, up: true}, "encryption.sent_plain"},
		{"nonsense", observed{end: endUnreadable, unreadable: keysDiffer, step: StepIP, up: true}, "encryption.key_mismatch"},
		{"CDN of a session", observed{end: endHungUp, said: "disconnected", step: StepIP, up: true}, "call.disconnected"},
		{"a session's control connection closed", observed{end: endHungUp, said: "closed", step: StepIP, up: true}, "control.closed"},
		{"reset", observed{end: endHungUp, said: "reset", step: StepIP, up: true}, "control.reset"},
		{"half a message", observed{end: endHungUp, said: "half", step: StepIP, up: true}, "control.half"},
		{"no PPTP", observed{end: endHungUp, said: "not_pptp", step: StepIP, up: true}, "control.not_pptp"},
		{"malformed", observed{end: endHungUp, said: "malformed", step: StepIP, up: true}, "control.malformed"},
		{"StopCCRQ", observed{end: endHungUp, said: "stopped", step: StepIP, up: true}, "control.stopped"},
		{"network lost", observed{end: endHungUp, said: "lost", step: StepIP, up: true}, "control.lost"},
		{"no echo reply", observed{end: endHungUp, said: "no_echo", step: StepIP, up: true}, "control.no_echo"},
		{"lossy session closed", observed{end: endHungUp, said: "closed", step: StepIP, up: true, gre: lossy}, "control.closed"},
		{"Terminate-Request of a session", observed{end: endTerminate, step: StepIP, up: true, text: "MPPE required"}, "lcp.terminated"},
		{"IPCP ended", observed{end: endIPCP, step: StepIP, up: true}, "lcp.terminated"},

		{"691", observed{end: endLogin, said: "691", step: StepAuth}, "auth.691"},
		{"691 on a lossy way", observed{end: endLogin, said: "691", step: StepAuth, gre: lossy}, "auth.691"},
		{"646", observed{end: endLogin, said: "646", step: StepAuth}, "auth.646"},
		{"647", observed{end: endLogin, said: "647", step: StepAuth}, "auth.647"},
		{"648", observed{end: endLogin, said: "648", step: StepAuth}, "auth.648"},
		{"649", observed{end: endLogin, said: "649", step: StepAuth}, "auth.649"},
		{"709", observed{end: endLogin, said: "709", step: StepAuth}, "auth.709"},
		{"a number that nobody knows", observed{end: endLogin, said: "812", step: StepAuth}, "auth.812"},
		{"PAP Nak", observed{end: endLogin, said: "refused", step: StepAuth}, "auth.refused"},
		{"the Failure was lost, its Terminate-Request came", observed{end: endTerminate, step: StepAuth, answered: true, text: "Authentication failed"}, "auth.refused"},
		{"impostor", observed{end: endImpostor, step: StepAuth}, "auth.server_not_genuine"},
		{"a challenge of 3 bytes", observed{end: endMalformed, step: StepAuth}, "auth.malformed"},

		{"EAP declined, time over", observed{end: endTime, declined: "auth.eap", step: StepLCP, gre: heard}, "auth.eap"},
		{"EAP declined, Terminate-Request", observed{end: endTerminate, declined: "auth.eap", step: StepLCP, text: "peer refused to authenticate"}, "auth.eap"},
		{"PAP declined, CDN: administrator", observed{end: endHungUp, said: "disconnected", declined: "auth.pap_not_allowed", step: StepLCP}, "auth.pap_not_allowed"},
		{"PAP declined ten times", observed{end: endDisagreement, layer: StepLCP, declined: "auth.pap_not_allowed", step: StepLCP}, "auth.pap_not_allowed"},
		{"MD5 declined, closed", observed{end: endHungUp, said: "closed", declined: "encryption.no_keys", step: StepLCP}, "encryption.no_keys"},
		{"declined, link without a login", observed{end: endTime, declined: "encryption.no_keys", step: StepAuth}, "encryption.no_keys"},
		{"another method declined", observed{end: endTime, declined: "auth.unsupported", step: StepLCP}, "auth.unsupported"},
		{"CHAP rejected as a protocol", observed{end: endRejected, layer: StepAuth, step: StepAuth}, "auth.unsupported"},
		{"too long for PAP", observed{end: endUnsupported, step: StepAuth}, "auth.unsupported"},

		{"no login, and encryption required here", observed{end: endNoKeys, step: StepEncryption}, "encryption.no_keys"},
		{"MPPE demanded after MD5", observed{end: endTerminate, step: StepEncryption, text: "MPPE required but not available"}, "encryption.required_without_keys"},
		{"MPPE demanded, CCP rejected by us for want of keys", observed{end: endTerminate, step: StepEncryption, refusedCCP: true}, "encryption.required_without_keys"},
		{"no ppp_mppe", observed{end: endTerminate, step: StepEncryption, keys: true, text: "MPPE required but not available"}, "encryption.server_cannot"},
		{"no ppp_mppe, ours off", observed{end: endTerminate, step: StepEncryption, keys: true, policy: EncryptionOff, text: "MPPE required but not available"}, "encryption.server_cannot"},
		{"ours off", observed{end: endTerminate, step: StepEncryption, keys: true, policy: EncryptionOff, refusedCCP: true, text: "MPPE required but peer negotiation failed"}, "encryption.required_by_server"},
		{"ours off, no text", observed{end: endTerminate, step: StepIP, ipcpHeard: true, keys: true, policy: EncryptionOff, refusedCCP: true, ccpRefused: true}, "encryption.required_by_server"},
		{"ours off, another text", observed{end: endTerminate, step: StepIP, ipcpHeard: true, keys: true, policy: EncryptionOff, refusedCCP: true, ccpRefused: true, text: "Bye"}, "ip.terminated"},
		{"ours off, a notice", observed{end: endHungUp, said: "disconnected", step: StepIP, ipcpHeard: true, keys: true, policy: EncryptionOff, refusedCCP: true, ccpRefused: true}, "ip.disconnected"},
		{"no free address, without encryption", observed{end: endTerminate, step: StepIP}, "ip.ended_after_login"},
		{"40 bits demanded, 128 allowed", observed{end: endTerminate, step: StepEncryption, keys: true, otherLength: true, text: "MPPE required but peer negotiation failed"}, "encryption.strength"},
		{"40 bits offered, 128 required here", observed{end: endUnencrypted, step: StepEncryption, keys: true, otherLength: true}, "encryption.strength"},
		{"MPPE rejected, required here", observed{end: endUnencrypted, step: StepEncryption, keys: true}, "encryption.refused"},

		{"looped back", observed{end: endLoop, step: StepLCP}, "lcp.loop"},
		{"callback", observed{end: endDisagreement, layer: StepLCP, callback: true, step: StepLCP}, "lcp.callback"},
		{"MRU refused for ever", observed{end: endDisagreement, layer: StepLCP, step: StepLCP}, "lcp.no_agreement"},
		{"MPPE refused for ever", observed{end: endDisagreement, layer: StepEncryption, step: StepEncryption}, "encryption.no_agreement"},
		{"address refused for ever", observed{end: endDisagreement, layer: StepIP, step: StepIP}, "ip.no_agreement"},
		{"Code-Reject of Configure-Request", observed{end: endRejected, layer: StepLCP, step: StepLCP, gre: heard}, "lcp.rejected"},
		{"Protocol-Reject of IPCP", observed{end: endRejected, layer: StepIP, step: StepIP}, "ip.rejected"},
		{"address option rejected", observed{end: endAddress, said: "rejected", step: StepIP}, "ip.rejected"},
		{"0.0.0.0", observed{end: endAddress, said: "no_address", step: StepIP}, "ip.no_address"},
		{"the server's own address", observed{end: endAddress, said: "address_conflict", step: StepIP}, "ip.address_conflict"},

		{"ICMP, then closed at once", observed{end: endHungUp, said: "closed", afterCall: time.Second / 2, step: StepGRE, icmp: icmp}, "gre.icmp"},
		{"repeats that no gap confirms", observed{end: endTime, step: StepAuth, answered: true, gre: heard, missed: 5}, "auth.timeout"},
		{"the server hears nothing, on a way that loses", observed{end: endTime, step: StepLCP, unheard: true, gre: gre.Stats{Received: 4, Lost: 1}, missed: 4}, "gre.no_outbound"},
		{"the server hears nothing, and a router's ICMP", observed{end: endTime, step: StepLCP, unheard: true, gre: gre.Stats{Received: 4}, icmp: icmp}, "gre.icmp"},
		{"the server answers, and an ICMP came once", observed{end: endTime, step: StepLCP, gre: heard, icmp: icmp}, "lcp.timeout"},
		{"CDN, then the server's ICMP", observed{end: endHungUp, said: "disconnected", step: StepGRE, icmp: icmp, ownICMP: true}, "gre.disconnected"},
		{"CDN, and a router's ICMP", observed{end: endHungUp, said: "disconnected", step: StepGRE, icmp: icmp}, "gre.icmp"},
		{"closed, and the server's ICMP", observed{end: endHungUp, said: "closed", step: StepGRE, icmp: icmp, ownICMP: true}, "gre.dropped_at_start"},
		{"silence, and the server's ICMP", observed{end: endTime, step: StepGRE, icmp: icmp, ownICMP: true}, "gre.icmp"},
		{"ICMP, time over", observed{end: endTime, step: StepGRE, icmp: icmp, echoAsked: true}, "gre.icmp"},
		{"a foreign call id", observed{end: endTime, step: StepGRE, gre: gre.Stats{Strays: 3}}, "gre.call_id_mismatch"},
		{"CDN before GRE", observed{end: endHungUp, said: "disconnected", afterCall: time.Second / 3, step: StepGRE}, "gre.disconnected"},
		{"StopCCRQ before GRE", observed{end: endHungUp, said: "stopped", afterCall: 4 * time.Second, step: StepGRE}, "gre.stopped"},
		{"RST before GRE", observed{end: endHungUp, said: "reset", afterCall: time.Second, step: StepGRE}, "gre.reset"},
		{"closed at once", observed{end: endHungUp, said: "closed", afterCall: 300 * time.Millisecond, step: StepGRE}, "gre.dropped_at_start"},
		{"closed after 4 s", observed{end: endHungUp, said: "closed", afterCall: 4 * time.Second, step: StepGRE}, "gre.closed"},
		{"no route any more", observed{end: endHungUp, said: "lost", step: StepGRE}, "gre.lost"},
		{"half a message, then closed", observed{end: endHungUp, said: "half", step: StepGRE}, "gre.lost"},
		{"silence on both connections", observed{end: endTime, step: StepGRE, echoAsked: true}, "gre.server_hangs"},
		{"silence of GRE alone", observed{end: endTime, step: StepGRE, echoAsked: true, echoHeard: true}, "gre.no_inbound"},

		{"loss at the link", observed{end: endTime, step: StepLCP, gre: lossy}, "lcp.loss"},
		{"loss at the login", observed{end: endTime, step: StepAuth, gre: lossy, answered: true}, "auth.loss"},
		{"answered when asked again", observed{end: endTime, step: StepIP, gre: oneLost, missed: 2}, "ip.loss"},
		{"loss at encryption", observed{end: endTime, step: StepEncryption, gre: lossy}, "encryption.loss"},
		{"loss at the address, closed by the server", observed{end: endHungUp, said: "closed", step: StepIP, gre: lossy}, "ip.loss"},
		{"loss, and a text of the server", observed{end: endTerminate, step: StepLCP, gre: lossy, text: "Too many users"}, "lcp.terminated"},
		{"loss, and a notice", observed{end: endHungUp, said: "disconnected", step: StepLCP, gre: lossy}, "lcp.disconnected"},
		{"one packet of ten", observed{end: endTime, step: StepAuth, gre: oneLost}, "auth.timeout"},
		{"the server hears nothing", observed{end: endTime, step: StepLCP, unheard: true, gre: gre.Stats{Received: 4}}, "gre.no_outbound"},
		{"it gives up", observed{end: endHungUp, said: "closed", step: StepLCP, unheard: true, gre: gre.Stats{Received: 4}}, "gre.no_outbound"},
		{"repeats itself, but acknowledges", observed{end: endTime, step: StepLCP, unheard: true, gre: heard}, "lcp.timeout"},

		{"no free address", observed{end: endTerminate, step: StepEncryption, keys: true}, "ip.ended_after_login"},
		{"maintenance", observed{end: endTerminate, step: StepEncryption, keys: true, text: "Sorry, maintenance until 18:00"}, "ip.ended_after_login"},
		{"no free address, after its first CCP request", observed{end: endTerminate, step: StepEncryption, keys: true, ccpHeard: true}, "ip.ended_after_login"},
		{"CDN after the login", observed{end: endHungUp, said: "disconnected", step: StepEncryption}, "ip.ended_after_login"},

		{"Too many users", observed{end: endTerminate, step: StepLCP, text: "Too many users"}, "lcp.terminated"},
		{"no judgement of the login", observed{end: endTerminate, step: StepAuth, answered: true, text: "Session limit"}, "auth.terminated"},
		{"ended over CCP", observed{end: endTerminate, step: StepEncryption, ccpHeard: true, keys: true, text: "MPPE disabled"}, "encryption.terminated"},
		{"IPCP Terminate-Request", observed{end: endIPCP, step: StepIP, ipcpHeard: true}, "ip.terminated"},
		{"CDN at the link", observed{end: endHungUp, said: "disconnected", step: StepLCP}, "lcp.disconnected"},
		{"CDN at the login", observed{end: endHungUp, said: "disconnected", step: StepAuth}, "auth.disconnected"},
		{"CDN at encryption", observed{end: endHungUp, said: "disconnected", step: StepEncryption, ccpHeard: true, ccpRefused: true}, "encryption.disconnected"},
		{"CDN at the address", observed{end: endHungUp, said: "disconnected", step: StepIP, ipcpHeard: true}, "ip.disconnected"},
		{"StopCCRQ at the link", observed{end: endHungUp, said: "stopped", step: StepLCP}, "lcp.stopped"},
		{"StopCCRQ at the login", observed{end: endHungUp, said: "stopped", step: StepAuth}, "auth.stopped"},
		{"StopCCRQ at encryption", observed{end: endHungUp, said: "stopped", step: StepEncryption, ccpHeard: true, ccpRefused: true}, "encryption.stopped"},
		{"StopCCRQ at the address", observed{end: endHungUp, said: "stopped", step: StepIP, ipcpHeard: true}, "ip.stopped"},
		{"closed at the link", observed{end: endHungUp, said: "closed", step: StepLCP}, "lcp.closed"},
		{"reset at the login", observed{end: endHungUp, said: "reset", step: StepAuth}, "auth.closed"},
		{"closed at encryption", observed{end: endHungUp, said: "closed", step: StepEncryption, ccpHeard: true, ccpRefused: true}, "encryption.closed"},
		{"closed at the address", observed{end: endHungUp, said: "closed", step: StepIP, ipcpHeard: true}, "ip.closed"},

		{"no LCP", observed{end: endTime, step: StepLCP, gre: heard}, "lcp.timeout"},
		{"no answer to the login", observed{end: endTime, step: StepAuth, gre: heard}, "auth.timeout"},
		{"no CCP, required here", observed{end: endTime, step: StepEncryption, gre: heard}, "encryption.timeout"},
		{"no IPCP", observed{end: endTime, step: StepIP, gre: heard}, "ip.timeout"},
	}
	hit := make([]int, len(causes))
	told := map[string]bool{}
	for _, tt := range tests {
		step, code := tt.o.cause()
		got := string(step) + "." + code
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		told[got] = true
		hit[slices.IndexFunc(causes, func(c cause) bool { return c.when(&tt.o) })]++
	}
	for i, n := range hit {
		if n == 0 && i != len(causes)-1 {
			t.Errorf("no observation fits the row %s.%s (%s)", causes[i].step, causes[i].code, causes[i].seen)
		}
	}
	if n := hit[len(causes)-1]; n > 0 {
		t.Errorf("%d observations fit only the last row", n)
	}
	for _, c := range Causes() {
		if !told[c] {
			t.Errorf("no observation is told as %s", c)
		}
	}
}

// TestEveryEndHasACauseOfTheTable holds that no observation is told in a way that is
// not listed, and that each row names its source.
func TestEveryEndHasACauseOfTheTable(t *testing.T) {
	for _, c := range causes {
		if !strings.HasPrefix(c.ref, "RFC ") || c.seen == "" {
			t.Errorf("%s.%s has the source %q and the observation %q", c.step, c.code, c.ref, c.seen)
		}
	}
	known := Causes()
	said := map[ending][]string{
		endLookup: {"nxdomain", "temporary"}, endConnect: {"refused", "timeout"}, endControl: {"closed", "timeout"},
		endHungUp: {"closed", "reset", "stopped", "disconnected", "lost", "no_echo", "half"},
		endLogin:  {"691", "refused"}, endAddress: {"no_address", "rejected"},
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
			end: ending(rnd.IntN(int(endings))), step: ladder[2+rnd.IntN(len(ladder)-2)],
			afterCall: time.Duration(rnd.IntN(10)) * time.Second,
			gre:       gre.Stats{Received: uint64(rnd.IntN(20)), Lost: uint64(rnd.IntN(8)), PeerAcked: coin(), Strays: uint64(rnd.IntN(2))},
			echoAsked: coin(), echoHeard: coin(), missed: rnd.IntN(4), unheard: coin(),
			declined: pick("", "auth.eap", "encryption.no_keys"), answered: coin(), keys: coin(),
			policy:     []Encryption{EncryptionPreferred, EncryptionRequired, EncryptionOff}[rnd.IntN(3)],
			refusedCCP: coin(), otherLength: coin(), ccpHeard: coin(), ccpRefused: coin(), ipcpHeard: coin(), callback: coin(),
			layer:      []Step{StepLCP, StepAuth, StepEncryption, StepIP}[rnd.IntN(4)],
			unreadable: unreadable(rnd.IntN(4)), text: pick("", "MPPE required but not available", "Authentication failed", "bye"),
		}
		o.said = pick(said[o.end]...)
		if coin() {
			o.icmp, o.ownICMP = &gre.Unreachable{Type: 3, Code: 13}, coin()
		}
		if o.end == endControl {
			o.step = []Step{StepControl, StepCall}[rnd.IntN(2)]
		} else if o.step.height() < StepGRE.height() && o.end != endLookup && o.end != endConnect {
			o.step = StepGRE // the call is placed
		}
		o.up = o.step == StepIP && coin() && o.end != endTime
		step, code := o.cause()
		if c := string(step) + "." + code; !slices.Contains(known, c) || step == under || code == field {
			t.Fatalf("%+v is told as %s", o, c)
		}
	}
}

// TestWhatTheServerSaysBeatsTime holds that a code or a text of the server is never
// covered by what was inferred.
func TestWhatTheServerSaysBeatsTime(t *testing.T) {
	lossy := gre.Stats{Received: 3, Lost: 5}
	for _, step := range []Step{StepLCP, StepAuth, StepEncryption, StepIP} {
		for _, said := range []string{"disconnected", "stopped"} {
			o := observed{end: endHungUp, said: said, step: step, gre: lossy, unheard: true}
			if _, code := o.cause(); code == "loss" || code == "no_outbound" || code == "timeout" {
				t.Errorf("%s at %s is told as %s", said, step, code)
			}
		}
		o := observed{end: endTerminate, text: "Sorry", step: step, gre: lossy, unheard: true, answered: true}
		if _, code := o.cause(); code != "terminated" && code != "ended_after_login" {
			t.Errorf("a text at %s is told as %s", step, code)
		}
	}
	for _, c := range RetiredCauses() {
		if slices.Contains(Causes(), c) {
			t.Errorf("%s is retired and told", c)
		}
	}
}

// TestTheFirstWordsStay holds that the text of a refusal is not replaced by the
// Terminate-Request that pppd sends behind it.
func TestTheFirstWordsStay(t *testing.T) {
	w := newWay(t, Config{}, time.Millisecond, &pppd{})
	w.link.start(w.now)
	w.until(w.now.Add(time.Minute), func() bool { return w.link.login.answered })
	failure := ppp.Packet{Code: ppp.CHAPFailure, ID: w.link.login.sentID, Data: []byte("E=691 R=1 C=00112233445566778899aabbccddeeff V=3 M=Access denied")}
	w.link.input(w.now, ppp.CHAP, failure.Append(nil))
	w.link.input(w.now, ppp.LCP, ppp.Packet{Code: ppp.TerminateRequest, ID: 3, Data: []byte("Authentication failed")}.Append(nil))
	if w.cause() != "auth.691" || w.seen.text != "Access denied" {
		t.Errorf("told %s with %q", w.cause(), w.seen.text)
	}
}

// TestAConnectThatTimeCutIsATimeout holds that a connect that the time for the whole
// Dial cut off is told as one that got no answer.
func TestAConnectThatTimeCutIsATimeout(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTimeIsOver)
	var d net.Dialer
	_, err := d.DialContext(ctx, "tcp4", "127.0.0.1:1")
	if code, _ := connectFailure(err); code != "timeout" {
		t.Errorf("%v is told as %s", err, code)
	}
}

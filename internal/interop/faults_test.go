package interop

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp"
)

var everyFault = flag.Bool("every-fault", false, "also the faults whose kind a shorter one covers")

// sessionCame stands for a Dial that succeeds.
const sessionCame = "a session"

// fault is one fault of the path, of the server or of our request,
// and the cause that Dial must report.
type fault struct {
	name string
	// want lists the acceptable causes, the most likely first. There is more than one only
	// if the outcome is random.
	want []string
	// evidence and peerText are regular expressions for the fields of the Error.
	evidence, peerText string

	variant string   // arguments of "lab.sh set"; default mppe128
	pptpd   string   // a line for pptpd's configuration
	ppp     string   // shell commands that run before pppd in the program that pptpd starts
	server  string   // shell commands in the server's guest
	undo    string   // shell commands that undo server; "set" restarts the server
	router  []string // rules of the router
	net     string   // arguments of "lab.sh net"

	config    func(*pptp.Config)
	alongside func(t *testing.T) // runs beside the dial until the test ends; the server is configured again afterwards
	onlyFull  bool               // only with -every-fault
}

func loginAs(login, password string) func(*pptp.Config) {
	return func(c *pptp.Config) { c.Login, c.Password = login, password }
}

func withTimeouts(t pptp.Timeouts) func(*pptp.Config) {
	return func(c *pptp.Config) { c.Timeouts = t }
}

// shortGRE is sufficient in a lab whose server sends its first packet after 0.3 s.
var shortGRE = withTimeouts(pptp.Timeouts{GRE: 2 * time.Second})

// loss lists the acceptable causes if packets are lost at random: each says
// that packets were lost, or that nothing arrived.
var loss = []string{
	sessionCame, "lcp.loss", "auth.loss", "encryption.loss", "ip.loss",
	"tcp.timeout", "control.no_ack", "control.timeout", "call.timeout",
}

// notStarted lists the causes of a server that hangs up before any GRE packet. Once pptpctrl
// has ended, its kernel answers our repeated request with an ICMP error, which may be late.
var notStarted = []string{"gre.dropped_at_start", "gre.icmp"}

func troubleVariant(variant, what string) string {
	return variant + ` plugin /lab/trouble.so set "TROUBLE=` + what + `"`
}

const (
	fromServer = "-p 47 -s 10.99.0.1"
	toServer   = "-p 47 -d 10.99.0.1"
	reject     = " -j REJECT --reject-with icmp-"
)

// allFaults are the faults of TestFaults and TestCompareWithPPTPLinux.
var allFaults = []fault{
	// GRE on the way.
	{name: "a router rejects our GRE, 3/2", router: []string{toServer + reject + "proto-unreachable"}, config: withTimeouts(pptp.Timeouts{LCP: 5 * time.Second}), want: []string{"gre.icmp"}, evidence: `10\.99\.0\.254`},
	{name: "a router rejects our GRE, 3/13", router: []string{toServer + reject + "admin-prohibited"}, config: withTimeouts(pptp.Timeouts{LCP: 5 * time.Second}), want: []string{"gre.icmp"}, evidence: `10\.99\.0\.254`},
	{name: "a router rejects our GRE, 3/1", onlyFull: true, router: []string{toServer + reject + "host-unreachable"}, config: withTimeouts(pptp.Timeouts{LCP: 5 * time.Second}), want: []string{"gre.icmp"}, evidence: `10\.99\.0\.254`},
	{name: "a router rejects our GRE, 3/9", onlyFull: true, router: []string{toServer + reject + "net-prohibited"}, config: withTimeouts(pptp.Timeouts{LCP: 5 * time.Second}), want: []string{"gre.icmp"}, evidence: `10\.99\.0\.254`},
	{name: "the server rejects our GRE, 3/2", server: "iptables-legacy -I INPUT -p 47" + reject + "proto-unreachable", undo: "iptables-legacy -D INPUT 1", config: withTimeouts(pptp.Timeouts{LCP: 5 * time.Second}), want: []string{"gre.icmp"}, evidence: `10\.99\.0\.1\b`},
	{name: "the server rejects our GRE, 3/10", onlyFull: true, server: "iptables-legacy -I INPUT -p 47" + reject + "host-prohibited", undo: "iptables-legacy -D INPUT 1", config: withTimeouts(pptp.Timeouts{LCP: 5 * time.Second}), want: []string{"gre.icmp"}, evidence: `10\.99\.0\.1\b`},
	{name: "a router rejects GRE both ways, 3/2", router: []string{toServer + reject + "proto-unreachable", fromServer + reject + "proto-unreachable"}, want: []string{"gre.icmp"}, evidence: `10\.99\.0\.254`},
	{name: "a router rejects GRE both ways, 3/13", onlyFull: true, router: []string{toServer + reject + "admin-prohibited", fromServer + reject + "admin-prohibited"}, want: []string{"gre.icmp"}, evidence: `10\.99\.0\.254`},
	// We do not see the router's ICMP error to the server, which makes pptpd hang up.
	{name: "a router rejects the server's GRE, 3/2", router: []string{fromServer + reject + "proto-unreachable"}, want: notStarted},
	{name: "a router rejects the server's GRE, 3/13", onlyFull: true, router: []string{fromServer + reject + "admin-prohibited"}, want: notStarted},
	{name: "a router drops the server's GRE", router: []string{fromServer + " -j DROP"}, config: shortGRE, want: []string{"gre.no_inbound"}},
	{name: "a router drops our GRE", router: []string{toServer + " -j DROP"}, config: withTimeouts(pptp.Timeouts{GRE: 3 * time.Second, LCP: 7 * time.Second}), want: []string{"gre.no_outbound"}},
	{name: "a router drops GRE both ways", onlyFull: true, router: []string{"-p 47 -j DROP"}, config: shortGRE, want: []string{"gre.no_inbound"}},
	{name: "the server's firewall drops our GRE", onlyFull: true, server: "iptables-legacy -I INPUT -p 47 -j DROP", undo: "iptables-legacy -D INPUT 1", config: withTimeouts(pptp.Timeouts{GRE: 3 * time.Second, LCP: 7 * time.Second}), want: []string{"gre.no_outbound"}},
	{name: "the server's firewall drops its own GRE", server: "iptables-legacy -I OUTPUT -p 47 -j DROP", undo: "iptables-legacy -D OUTPUT 1", want: notStarted},
	{name: "the server's firewall rejects its own GRE", onlyFull: true, server: "iptables-legacy -I OUTPUT -p 47" + reject + "admin-prohibited", undo: "iptables-legacy -D OUTPUT 1", want: notStarted},

	// The control connection on the way.
	{name: "a router rejects the port, 3/13", router: []string{"-p tcp -d 10.99.0.1" + reject + "admin-prohibited"}, want: []string{"tcp.unreachable"}},
	{name: "a router rejects the host, 3/1", router: []string{"-p tcp -d 10.99.0.1" + reject + "host-unreachable"}, want: []string{"tcp.unreachable"}},
	{name: "a router resets the port", router: []string{"-p tcp -d 10.99.0.1 -j REJECT --reject-with tcp-reset"}, want: []string{"tcp.refused"}},
	{name: "a router drops the port", router: []string{"-p tcp -d 10.99.0.1 -j DROP"}, config: withTimeouts(pptp.Timeouts{TCP: 2 * time.Second}), want: []string{"tcp.timeout"}},
	{name: "nobody has the address", config: func(c *pptp.Config) { c.Address = "10.99.0.77" }, want: []string{"tcp.unreachable", "tcp.timeout"}},
	{name: "a router drops what is longer than a SYN", router: []string{"-p tcp -d 10.99.0.1 -m length --length 100:65535 -j DROP"}, config: withTimeouts(pptp.Timeouts{Control: 3 * time.Second}), want: []string{"control.no_ack"}},
	{name: "a router resets what is longer than a SYN", router: []string{"-p tcp -d 10.99.0.1 -m length --length 100:65535 -j REJECT --reject-with tcp-reset"}, want: []string{"control.reset"}},
	{name: "nothing listens on the port", server: "killall pptpd", undo: "set", want: []string{"tcp.refused"}},
	{name: "the server's list of addresses has not ours", server: "cp -a /etc /run/etc; echo 'pptpd: ALL' >/run/etc/hosts.deny; mount --bind /run/etc /etc", undo: "umount -l /etc", want: []string{"control.closed", "control.reset"}},
	{name: "the first of two addresses is dead", config: twoAddresses("10.99.0.77"), want: []string{sessionCame}},
	{name: "the first of two addresses refuses", config: twoAddresses("10.99.0.254"), want: []string{sessionCame}},

	// Slow and lossy paths.
	{name: "600 ms each way", net: "delay 600ms", config: withTimeouts(pptp.Timeouts{All: time.Minute}), want: []string{sessionCame}},
	{name: "1 s each way", net: "delay 1s", config: withTimeouts(pptp.Timeouts{All: time.Minute}), want: []string{sessionCame}, onlyFull: true},
	{name: "2 s each way", net: "delay 2s", config: withTimeouts(pptp.Timeouts{All: time.Minute}), want: []string{sessionCame}},
	{name: "a way that is slow at times", onlyFull: true, net: "delay 300ms 250ms", want: []string{sessionCame}},
	{name: "a way that doubles and reorders", net: "delay 20ms duplicate 30% reorder 30%", want: []string{sessionCame}},
	{name: "a way of 64 kbit/s", net: "rate 64kbit", want: []string{sessionCame}},
	{name: "20 % loss", net: "loss 20%", want: loss, onlyFull: true},

	{name: "40 % loss", onlyFull: true, net: "loss 40%", want: loss},

	// pptpd and the start of pppd.
	{name: "pppd does not start: a wrong option", server: "echo nonsense >>/etc/ppp/options.pptpd", undo: "set", want: notStarted},
	{name: "pppd does not start: its options are gone", server: "rm /etc/ppp/options.pptpd", undo: "set", want: notStarted},
	{name: "pppd does not start: there is none", ppp: "true", server: "rm " + wrapped, want: notStarted},
	{name: "pppd starts late", ppp: "sleep 4", config: withTimeouts(pptp.Timeouts{GRE: 2 * time.Second}), want: []string{"gre.no_inbound"}},
	{name: "pppd starts after 8 s", ppp: "sleep 8", want: []string{"gre.no_inbound", sessionCame}, onlyFull: true},
	{name: "pppd starts late, but in time", ppp: "sleep 3", want: []string{sessionCame}},
	{name: "pppd hangs at its start", onlyFull: true, ppp: "exec sleep 60", config: shortGRE, want: []string{"gre.no_inbound"}},
	{name: "pptpctrl hangs", ppp: "sleep 0.3; kill -STOP $PPID; exec sleep 60", config: shortGRE, want: []string{"gre.server_hangs"}},
	{name: "the server's network goes", ppp: "sleep 0.3; /usr/sbin/iptables-legacy -I INPUT -i eth0 -j DROP; exec sleep 60", undo: "iptables-legacy -D INPUT 1", config: shortGRE, want: []string{"gre.server_hangs"}},
	{name: "pptpctrl is ended later, before GRE", onlyFull: true, ppp: "sleep 3; kill $PPID", want: []string{"gre.disconnected"}, evidence: "administrator"},
	{name: "pptpctrl is ended before GRE", ppp: "sleep 0.5; kill $PPID", want: []string{"gre.disconnected"}, evidence: "administrator"},
	{name: "pptpctrl is killed before GRE", ppp: "sleep 0.5; kill -9 $PPID", want: notStarted},
	{name: "pptpctrl is killed later, before GRE", ppp: "sleep 3; kill -9 $PPID", want: []string{"gre.closed"}},
	{name: "pptpd is full", pptpd: "connections 1", alongside: oneSession, config: withTimeouts(pptp.Timeouts{Control: 3 * time.Second}), want: []string{"control.timeout"}},
	{name: "the only address is used up", pptpd: "remoteip 10.99.5.10", alongside: oneSession, config: withTimeouts(pptp.Timeouts{Control: 3 * time.Second}), want: []string{"control.reset", "control.closed"}},
	{name: "pptpd hangs", server: "killall -STOP pptpd", undo: "killall -CONT pptpd", config: withTimeouts(pptp.Timeouts{Control: 3 * time.Second}), want: []string{"control.timeout"}},

	// The login.
	{name: "wrong password", config: loginAs("alice", "wonderland-2"), want: []string{"auth.691"}},
	{name: "password with a space behind it", config: loginAs("alice", "wonderland-1 "), want: []string{"auth.691"}},
	{name: "password with another case", config: loginAs("alice", "Wonderland-1"), want: []string{"auth.691"}},
	// pppd's Failure for an unknown login is empty.
	{name: "no such login", config: loginAs("nobody", "wonderland-1"), want: []string{"auth.refused"}},
	{name: "login with another domain", config: loginAs(`OTHER\alice`, "wonderland-1"), want: []string{"auth.refused"}},
	{name: "Cyrillic password", config: loginAs("cyr", "Пароль-7"), want: []string{sessionCame}},
	{name: "password with an emoji", config: loginAs("emoji", "p🔑ss"), want: []string{sessionCame}},
	{name: "password with an umlaut", config: loginAs("umlaut", "Grüße"), want: []string{sessionCame}},
	// pppd escapes a login, and a password of PAP, before it looks them up.
	{name: "Cyrillic login", config: loginAs("Вася", "wonderland-2"), want: []string{"auth.refused"}},
	{name: "wrong Cyrillic password", config: loginAs("cyr", "Пароль-8"), want: []string{"auth.691"}},
	{name: "wrong password with an emoji", config: loginAs("emoji", "p🔒ss"), want: []string{"auth.691"}},
	{name: "Cyrillic password, of another login", config: loginAs("alice", "Пароль-7"), want: []string{"auth.691"}},
	{name: "Cyrillic password by PAP", variant: "pap", config: func(c *pptp.Config) { loginAs("cyr", "Пароль-7")(c); c.AllowPAP = true }, want: []string{"auth.refused"}, peerText: "Login incorrect|Authentication failed"},
	{name: "Cyrillic password by CHAP", variant: "chap-md5", config: loginAs("cyr", "Пароль-7"), want: []string{sessionCame}},
	{name: "wrong Cyrillic password by CHAP", variant: "chap-md5", config: loginAs("cyr", "Пароль-8"), want: []string{"auth.refused"}},
	{name: "wrong password by PAP", variant: "pap", config: func(c *pptp.Config) { loginAs("alice", "Wonderland-1")(c); c.AllowPAP = true }, want: []string{"auth.refused"}, peerText: "Login incorrect|Authentication failed"},
	{name: "wrong Cyrillic password by MS-CHAPv1", variant: "mschapv1", config: loginAs("cyr", "Пароль-8"), want: []string{"auth.691"}},
	{name: "Cyrillic password by MS-CHAPv1", variant: "mschapv1", config: loginAs("cyr", "Пароль-7"), want: []string{sessionCame}},
	{name: "hours of login", onlyFull: true, variant: troubleVariant("mppe128", "say E=646 R=0 V=3"), want: []string{"auth.646"}},
	{name: "login is switched off", variant: troubleVariant("mppe128", "say E=647 R=0 V=3 M=switched off"), want: []string{"auth.647"}, peerText: "switched off"},
	{name: "password is too old", variant: troubleVariant("mppe128", "say E=648 R=0 V=3"), want: []string{"auth.648"}},
	{name: "no right to dial in", onlyFull: true, variant: troubleVariant("mppe128", "say E=649 R=0 V=3 M=no dial-in"), want: []string{"auth.649"}},
	{name: "refused in words", variant: troubleVariant("mppe128", "say The account has no money left"), want: []string{"auth.refused"}, peerText: "no money"},
	{name: "refused in words by CHAP", onlyFull: true, variant: troubleVariant("chap-md5", "say Too many sessions"), want: []string{"auth.refused"}, peerText: "Too many sessions"},
	{name: "nobody judges the login", variant: troubleVariant("mppe128", "hang"), config: withTimeouts(pptp.Timeouts{Auth: 4 * time.Second}), want: []string{"auth.timeout"}},
	{name: "pptpctrl is killed during the login", variant: troubleVariant("mppe128", "kill"), want: []string{"auth.closed"}},
	{name: "pppd dies during the login", onlyFull: true, variant: troubleVariant("mppe128", "die"), want: []string{"auth.closed"}},
	{name: "PAP only", variant: "pap", want: []string{"auth.pap_not_allowed"}},
	{name: "PAP only, encryption required", variant: "pap", config: func(c *pptp.Config) { c.AllowPAP, c.Encryption = true, pptp.EncryptionRequired }, want: []string{"encryption.no_keys"}},
	{name: "CHAP-MD5 only, encryption required", variant: "chap-md5", config: requireEncryption, want: []string{"encryption.no_keys"}},
	{name: "EAP only", variant: "eap", want: []string{"auth.eap"}},

	// Encryption, and the steps after the login.
	{name: "the server's kernel has no MPPE", server: noMPPE, undo: someMPPE, want: []string{"encryption.server_cannot"}, peerText: "MPPE required but not available"},
	{name: "no MPPE, but required here", variant: "mschapv2-plain", config: requireEncryption, want: []string{"encryption.refused"}},
	{name: "MPPE demanded, off here", config: func(c *pptp.Config) { c.Encryption = pptp.EncryptionOff }, want: []string{"encryption.required_by_server"}},
	{name: "40 bits only, 128 wanted here", variant: "mppe40", config: func(c *pptp.Config) { c.MinBits = 128 }, want: []string{"encryption.strength"}},
	{name: "IPv4 is off", variant: "mschapv2-plain noip", want: []string{"ip.ended_after_login"}, peerText: "No network protocols running"},
	{name: "maintenance", variant: troubleVariant("mppe128", "end Sorry, maintenance until 18:00"), want: []string{"ip.ended_after_login"}, peerText: "maintenance until 18:00"},
	{name: "ended after the login without a word", onlyFull: true, variant: troubleVariant("mppe128", "end"), want: []string{"ip.ended_after_login"}},
	{name: "no free address", pptpd: "delegate", want: []string{"ip.rejected"}},
	{name: "no free address, without encryption", onlyFull: true, pptpd: "delegate", variant: "mschapv2-plain", want: []string{"ip.rejected"}},
}

// noMPPE also prevents the kernel from loading the module again.
const noMPPE = `echo /bin/false >/proc/sys/kernel/modprobe; rmmod ppp_mppe`

const someMPPE = `echo /sbin/modprobe >/proc/sys/kernel/modprobe; modprobe ppp_mppe`

func requireEncryption(c *pptp.Config) { c.Encryption = pptp.EncryptionRequired }

// twoAddresses resolves the name to two addresses, of which only the second is the server's.
func twoAddresses(dead string) func(*pptp.Config) {
	return func(c *pptp.Config) {
		c.Address = "two.lab.test"
		c.Resolve = func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr(dead), netip.MustParseAddr(server)}, nil
		}
	}
}

// oneSession uses the last free session of the server.
func oneSession(t *testing.T) {
	t.Helper()
	mustDial(t, loginConfig("bob", `b0b's "quoted" pass`))
}

// wrapped is the program that pptpd starts instead of pppd for a fault with ppp.
const wrapped = "/run/pppd-wrapped"

// faultLab configures the lab for one fault after the other. It restarts the server only if
// necessary, because that takes longest.
type faultLab struct{ variant, pptpd string }

// setFault configures the fault and removes it after the test.
func (p *faultLab) setFault(t *testing.T, f fault) {
	t.Helper()
	f.variant = cmp.Or(f.variant, "mppe128")
	if f.ppp != "" {
		f.pptpd = "ppp " + wrapped
		runLab(t, "exec", "server", "echo '#!/bin/dash\nPATH=/usr/bin:/bin:/run/bin\n"+f.ppp+"\nexec /usr/sbin/pppd \"$@\"' >"+wrapped+"; chmod 755 "+wrapped)
	}
	if p.variant != f.variant || p.pptpd != f.pptpd {
		if p.variant != f.variant {
			runLab(t, append([]string{"set"}, strings.Fields(f.variant)...)...)
		}
		runLab(t, append([]string{"pptpd"}, strings.Fields(f.pptpd)...)...)
		awaitServer(t)
	}
	p.variant, p.pptpd = f.variant, f.pptpd
	t.Cleanup(func() {
		undo := f.undo
		if undo == "set" || f.alongside != nil {
			p.variant, undo = "", ""
		}
		if f.ppp != "" {
			undo = cmp.Or(undo, "true") + "; killall -9 pptpctrl"
		}
		if undo != "" {
			undoLab(t, "exec", "server", undo+"; true")
		}
		if f.router != nil {
			undoLab(t, "router", "off")
		}
		if f.net != "" {
			undoLab(t, "net", "off")
		}
	})
	if f.alongside != nil {
		f.alongside(t)
	}
	if f.server != "" {
		runLab(t, "exec", "server", f.server)
	}
	for _, rule := range f.router {
		runLab(t, append([]string{"router"}, strings.Fields(rule)...)...)
	}
	if f.net != "" {
		runLab(t, append([]string{"net"}, strings.Fields(f.net)...)...)
	}
}

// undoLab is runLab for the cleanup of a test.
func undoLab(t *testing.T, args ...string) {
	t.Helper()
	if out, err := labCommand(args...); err != nil {
		t.Errorf("lab %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// TestFaults provokes each fault and checks its cause, the evidence
// and the server's text. It logs how long a cause takes.
func TestFaults(t *testing.T) {
	if noLab != "" {
		t.Skip(noLab)
	}
	noLeaks(t)
	var p faultLab
	var took []time.Duration
	for _, f := range allFaults {
		if f.onlyFull && !*everyFault { // a shorter fault covers the same cause
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			p.setFault(t, f)
			cfg := aliceConfig()
			if f.config != nil {
				f.config(&cfg)
			}
			var got string
			var e *pptp.Error
			var after time.Duration
			for range 5 {
				if got, e, after = dialForCause(t, cfg); slices.Contains(f.want, got) || !closedByChance(e) {
					break
				}
			}
			if got != sessionCame {
				took = append(took, after)
			}
			t.Logf("%s after %v: %s %q", got, after.Round(10*time.Millisecond), e.Evidence, e.PeerText)
			if !slices.Contains(f.want, got) {
				t.Errorf("%s; want %s\n%s", got, strings.Join(f.want, " or "), transcriptLines(e))
			}
			for _, x := range []struct{ pattern, text string }{{f.evidence, e.Evidence}, {f.peerText, e.PeerText}} {
				if !regexp.MustCompile(x.pattern).MatchString(x.text) {
					t.Errorf("%q; want %q in it", x.text, x.pattern)
				}
			}
		})
	}
	if len(took) > 0 {
		slices.Sort(took)
		t.Logf("time to a named cause, %d faults: p50 %v, worst %v", len(took), took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	}
}

// dialForCause dials once and returns the cause.
func dialForCause(t *testing.T, cfg pptp.Config) (cause string, e *pptp.Error, after time.Duration) {
	t.Helper()
	began := time.Now()
	s, err := pptp.Dial(t.Context(), cfg)
	after = time.Since(began)
	e = new(pptp.Error)
	switch {
	case err == nil:
		s.Close()
		return sessionCame, e, after
	case !errors.As(err, &e):
		t.Fatal(err)
	}
	return e.Cause(), e, after
}

// closedByChance reports whether pptpd may have closed the connection without a reason: it
// considers a connection too slow ("dropped slow initial connection") if the end of another
// process wakes it up.
func closedByChance(e *pptp.Error) bool {
	return regexp.MustCompile(`control\.(closed|reset)`).MatchString(e.Cause() + " " + e.Evidence)
}

func transcriptLines(e *pptp.Error) string {
	var b strings.Builder
	for _, v := range e.Transcript {
		way := "<-"
		if v.Sent {
			way = "->"
		}
		fmt.Fprintf(&b, "%v %s %s %s %d %s\n", v.At.Round(time.Millisecond), way, v.Protocol, v.Name, v.ID, v.Note)
	}
	return b.String()
}

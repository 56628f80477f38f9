package importer

import (
	"strings"
	"testing"
)

// A peer as pptpsetup writes it, and the secrets.
const (
	pppPeer = `# written by pptpsetup
pty "pptp vpn.example.net --nolaunchpppd"
lock
noauth
nobsdcomp
nodeflate
name CORP\\ops1
remotename office
ipparam office
require-mppe-128
`
	pppSecrets = `# Secrets for authentication using CHAP
# client	server	secret			IP addresses
CORP\\ops1	office	"Blue Kite"	*
ops2 PPTP 'a"b' *
`
)

func TestPPP(t *testing.T) {
	file := func(name, text string) string { return "==> /etc/ppp/" + name + " <==\n" + text + "\n" }
	for _, c := range []struct{ name, text, want string }{
		{"peer and secrets", pppPeer + pppSecrets, `2 vpn.example.net "CORP\\ops1" "Blue Kite" office []|14 import.bad.ppp_secret`},
		{"secrets first", pppSecrets + "\n" + pppPeer, `7 vpn.example.net "CORP\\ops1" "Blue Kite" office []|4 import.bad.ppp_secret`},
		{"two files and the secrets",
			file("peers/berlin", "pty \"/usr/sbin/pptp --loglevel 0 192.0.2.7 --nolaunchpppd\"\nuser ops2\nremotename PPTP\nfile /etc/ppp/options.pptp") +
				file("peers/office", pppPeer) + file("options.pptp", "lock noauth nobsdcomp nodeflate") + file("chap-secrets", pppSecrets),
			`2 192.0.2.7 "ops2" "a\"b" berlin []|8 vpn.example.net "CORP\\ops1" "Blue Kite" office []`},
		{"the plugin of OpenWrt", "plugin pptp.so\npptp_server 192.0.2.8\nuser ops3 password Blue-Kite-7\n", `1 192.0.2.8 "ops3" "Blue-Kite-7"  []`},
		{"other text too", "192.0.2.30:ops3:Blue-Kite-7\n" + pppPeer + pppSecrets, `1 192.0.2.30 "ops3" "Blue-Kite-7"  []|3 vpn.example.net "CORP\\ops1" "Blue Kite" office []|15 import.bad.ppp_secret`},
		{"no secrets", pppPeer, "2 import.bad.ppp_password"},
		{"secrets alone", pppSecrets, "3 import.bad.ppp_secret|4 import.bad.ppp_secret"},
		{"two files without their names", pppPeer + pppPeer + pppSecrets, "2 import.bad.ppp_files|24 import.bad.ppp_secret"},
		{"a peer of PPPoE", file("peers/dsl", "plugin rp-pppoe.so eth0\nname \"dsl@example.net\"") + file("chap-secrets", "dsl@example.net * secret"), "5 import.bad.ppp_secret"},
		{"names win over asterisks", "pty 'pptp 192.0.2.9'\nname ops1\nremotename b\n# client server secret\n* * one\n* b two\nops1 * three\nops1 b four\nops1 b five\n", `1 192.0.2.9 "ops1" "four" b []`},
		{"two passwords, no remotename", "pty 'pptp 192.0.2.9'\nname ops1\n# client server secret\nops1 a one\nops1 b two\n", "1 import.bad.ppp_secrets"},
		{"one password, no remotename", "pty 'pptp 192.0.2.9'\nname ops1\n# client server secret\nops1 a one\nops2 b two\n", `1 192.0.2.9 "ops1" "one"  []|5 import.bad.ppp_secret`},
		{"secret in a file", "pty 'pptp 192.0.2.9'\nname ops1\nops1 * @/etc/secret *\n", "1 import.bad.no_password"},
		{"no server", "name ops1\nremotename b\n", "1 import.bad.no_address"},
		{"escapes", `pty "pptp 192.0.2.9"` + "\nname ops1\n" + `ops1 * a\040b\x41\\\"\# *` + "\n", `1 192.0.2.9 "ops1" "a bA\\\"#"  []`},
		{"open quote", "pty \"pptp 192.0.2.9\nname ops1\n", "1 import.bad.no_address|2 import.bad.no_address"},
	} {
		if g := rowsOf(t, c.text); g != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, g, c.want)
		}
	}
}

// TestFillIn corrects the form of a peer without a password.
func TestFillIn(t *testing.T) {
	r, err := New(strings.NewReader(pppPeer), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for row := range r.Rows() {
		raw := row.Raw.Reveal()
		if want := "Ip: vpn.example.net\nLogin: CORP\\ops1\nPass:\nComment: office"; raw != want {
			t.Errorf("the form is %q, want %q", raw, want)
		}
		row = ParseLine(strings.Replace(raw, "Pass:", "Pass: Blue Kite", 1), r.Shape(), nil)
		if in := row.Input; !row.Problem.IsZero() || in.Address != "vpn.example.net" || in.Password != "Blue Kite" || in.Login != `CORP\ops1` {
			t.Errorf("corrected: %+v", row)
		}
	}
}

// A phone book as Windows writes it, shortened.
const phonebookText = "[Office: Köln]\r\nEncoding=1\r\nPBVersion=8\r\nType=2\r\nVpnStrategy=1\r\n\r\nNETCOMPONENTS=\r\nms_msclient=1\r\n\r\nMEDIA=rastapi\r\nPort=VPN2-0\r\nDevice=WAN Miniport (PPTP)\r\n\r\nDEVICE=vpn\r\nPhoneNumber=vpn.example.net\r\nAreaCode=\r\n\r\n" +
	"[L2TP]\r\nEncoding=1\r\nType=2\r\nVpnStrategy=3\r\n\r\nDEVICE=vpn\r\nPhoneNumber=192.0.2.2\r\n\r\n" +
	"[Modem]\r\nEncoding=1\r\nType=1\r\n\r\nDEVICE=modem\r\nPhoneNumber=555\r\n\r\n" +
	"[Automatic]\r\nEncoding=1\r\nType=2\r\nVpnStrategy=0\r\n\r\nDEVICE=vpn\r\nPhoneNumber=192.0.2.3\r\n"

func TestPhonebook(t *testing.T) {
	if g, want := rowsOf(t, phonebookText+"\r\n192.0.2.30:ops3:Blue-Kite-7\r\n"), `1 import.bad.phonebook|33 import.bad.phonebook|41 192.0.2.30 "ops3" "Blue-Kite-7"  []`; g != want {
		t.Errorf("\n got %s\nwant %s", g, want)
	}
	r, err := New(strings.NewReader(phonebookText), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for row := range r.Rows() {
		if want := "Ip: vpn.example.net\nLogin:\nPass:\nComment: Office: Köln"; row.Line == 1 && row.Raw.Reveal() != want {
			t.Errorf("the form is %q, want %q", row.Raw.Reveal(), want)
		}
	}
}

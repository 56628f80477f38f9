package importer

import (
	"fmt"
	"strings"
	"testing"
)

// TestMixedFiles holds texts put together from several programs: no server in them is
// lost without a word.
func TestMixedFiles(t *testing.T) {
	nm := "[connection]\nid=a\ntype=vpn\n[vpn]\ngateway=192.0.2.1\nuser=ops1\nservice-type=org.freedesktop.NetworkManager.pptp\n[vpn-secrets]\npassword=x\n"
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"settings after NetworkManager": {nm + "\nhost=192.0.2.2\nuser=ops2\npassword=y\n", []string{"1 192.0.2.1: ops1 x |||||a", "11 192.0.2.2: ops2 y"}},
		"after another section": {nm + "\n[ipv4]\ngateway=10.0.0.1\naddress1=10.0.0.2/24\nmethod=auto\n\nserver=192.0.2.2\nlogin=ops2\npass=y\n",
			[]string{"1 192.0.2.1: ops1 x |||||a", "16 192.0.2.2: ops2 y"}},
		"the same names again":       {nm + "\ngateway=192.0.2.2\nuser=ops2\npassword=y\n", []string{"1 192.0.2.1: ops1 x |||||a", "11 192.0.2.2: ops2 y"}},
		"blanks around the signs":    {"[vpn]\ngateway = 192.0.2.1\nuser = ops1\nservice-type = org.freedesktop.NetworkManager.openvpn\n[vpn-secrets]\npassword = x\n", []string{"1 !connection"}},
		"another kind of connection": {"[connection]\nid=home\ntype=gsm\n[gsm]\nusername=a\npassword=b\n[vpn]\n", []string{"1 !connection"}},
		"settings by number":         {"VPN1_SERVER=192.0.2.1\nVPN1_USER=a\nVPN1_PASSWORD=x\nVPN2_SERVER=192.0.2.2\nVPN2_USER=b\nVPN2_PASSWORD=y\n", []string{"1 !settings"}},
		"by number, amid others":     {"HOST=192.0.2.1\nUSER=a\nPASS=x\nB_HOST=192.0.2.2\nB_USER=b\nB_PASS=y\n\n192.0.2.3 c z\n", []string{"4 !settings", "1 192.0.2.1: a x", "8 192.0.2.3: c z"}},
		"of a router":                {"wan_proto=pptp\npptpd_client_srvip=192.0.2.1\npptpd_client_srvuser=a\npptpd_client_srvpass=x\n", []string{"2 !settings"}},
		"a name server":              {"HOST=192.0.2.1\nDNS_SERVER=192.0.2.53\nUSER=a\nPASS=x\n", []string{"1 192.0.2.1: a x"}},
		"address before labels":      {"192.0.2.1 user=a pass=x\n192.0.2.2 login: b password: y z\n", []string{"1 192.0.2.1: a x", "2 !ambiguous.labels"}},
		"inventory": {"[vpn]\nsrv1 ansible_host=192.0.2.1 ansible_user=a ansible_password=x ansible_port=1724\n192.0.2.2 ansible_user=b ansible_ssh_pass='y z'\n",
			[]string{"2 192.0.2.1:1724 a x |||||srv1", "3 192.0.2.2: b y z"}},
		"arrows": {"192.0.2.1 -> a:x\n192.0.2.1 => a x\n192.0.2.1 | a | x\n| 192.0.2.1 | a | x |\n", []string{"1 !words", "2 !words", "3 !table", "4 !table"}},
		"HTML": {"192.0.2.1 a x<br>\n192.0.2.1:a:x&amp;y\n<tr><td>192.0.2.1</td><td>a</td><td>x</td></tr>\nIp: 192.0.2.1<br />\nLogin: a<br />\nPass: x<br />\n\n192.0.2.1 a <x>&y;\n",
			[]string{"1 !markup", "2 !markup", "3 !markup", "4 !markup", "8 192.0.2.1: a <x>&y;"}},
		"YAML": {"- host: 192.0.2.1\n  user: &u a\n  pass: x\n- host: 192.0.2.2\n  user: *u\n  pass: y\n- host: 192.0.2.3\n  user: !!str 7\n  pass: y\n- host: 192.0.2.4\n  user: a\n  pass: >-\n",
			[]string{"1 !yaml", "4 !yaml", "7 !yaml", "10 !yaml"}},
		"no YAML": {"Host: 192.0.2.1\nUser: *a\nPass: &u!|\n", []string{"1 192.0.2.1: *a &u!|"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := noted(t, tt.text, Options{}); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// TestHiddenAtTheEnds holds that each field from which characters were removed is named.
func TestHiddenAtTheEnds(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1 ops1Z xZ":                     "192.0.2.1: ops1Z x hidden(login) hidden(password)",
		"192.0.2.1 ops1 xN":                      "192.0.2.1: ops1 x hidden(password)",
		"192.0.2.1:ops1:xZ":                      "192.0.2.1: ops1 x hidden(password)",
		"192.0.2.1 - ops1:xN":                    "192.0.2.1: ops1 x hidden(password)",
		"192.0.2.1 ops1 x TXZ":                   "192.0.2.1: ops1 x |TX hidden(state)",
		"Z192.0.2.1 ops1 x":                      "192.0.2.1: ops1 x hidden(address)",
		"N 192.0.2.1 ops1 x\t ":                  "192.0.2.1: ops1 x",
		"Zops1:x@192.0.2.1:1724Z":                "192.0.2.1:1724 ops1 x hidden(login) hidden(port)",
		"ops1:x@192.0.2.1N":                      "192.0.2.1: ops1 x hidden(address)",
		"pptp://ops1:x@192.0.2.1Z":               "192.0.2.1: ops1 x hidden(address)",
		"Ip: 192.0.2.1Z\nLogin:NZops1\nPass:Nx":  "192.0.2.1: ops1 x hidden(address) hidden(login)",
		"Ip: 192.0.2.1\nLogin: ops1\n\nPass: xN": "192.0.2.1: ops1 x hidden(password)",
		"ip=192.0.2.1 user=ops1Z pass=xZ":        "192.0.2.1: ops1 x hidden(login) hidden(password)",
		"[vpn]\ngateway=192.0.2.1\nuser=ops1\n[vpn-secrets]\npassword=xZ":       "192.0.2.1: ops1 x hidden(password)",
		"/interface pptp-client add connect-to=192.0.2.1 user=ops1 password=xZ": "192.0.2.1: ops1 x hidden(password)",
		"192.0.2.1 ops1 пароль":                                                 "192.0.2.1: ops1 пароль",
		"Ip: 192.0.2.1\nLogin: я\nPass: “x”":                                    "192.0.2.1: я “x”",
	} {
		got := noted(t, strings.NewReplacer("Z", "\u200b", "N", "\u00a0").Replace(text), Options{Format: Text})
		want = "1 " + strings.ReplaceAll(want, "Z", "\u200b")
		if len(got) != 1 || got[0] != want {
			t.Errorf("%q:\n got %q\nwant %q", text, got, want)
		}
	}
}

package importer

import (
	"fmt"
	"strings"
	"testing"
)

// TestMixedFiles reads texts from several programs in one file. No server may be
// dropped without an error.
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
			[]string{"1 !markup", "2 !markup", "3 !markup", "4 !markup", "8 192.0.2.1: a <x>&y; mark"}},
		"YAML": {"- host: 192.0.2.1\n  user: &u a\n  pass: x\n- host: 192.0.2.2\n  user: *u\n  pass: y\n- host: 192.0.2.3\n  user: !!str 7\n  pass: y\n- host: 192.0.2.4\n  user: a\n  pass: >-\n",
			[]string{"1 !yaml", "4 !yaml", "7 !yaml", "10 !yaml"}},
		"no YAML": {"Host: 192.0.2.1\nUser: *a\nPass: &u!|\n", []string{"1 192.0.2.1: *a &u!|"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := notedKeys(t, tt.text, Options{}); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// TestHiddenAtTheEnds checks that each field from which characters were removed is
// named.
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
		got := notedKeys(t, strings.NewReplacer("Z", "\u200b", "N", "\u00a0").Replace(text), Options{Format: Text})
		want = "1 " + strings.ReplaceAll(want, "Z", "\u200b")
		if len(got) != 1 || got[0] != want {
			t.Errorf("%q:\n got %q\nwant %q", text, got, want)
		}
	}
}

// TestDrawnTables reads tables as spreadsheets, Markdown, databases and password
// managers write them.
func TestDrawnTables(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"Markdown": {"Our servers:\n\n| IP | Login | Password | Country |\n|----|:---:|---|---|\n| 192.0.2.1 | a | x | US |\n| 192.0.2.2 | a | x\\|y | US |\n| 192.0.2.3 | a | x|y | US |\n| 192.0.2.4 | a | \"x\" | |\n| 192.0.2.5 | a | `x` | US |\n| 192.0.2.6 | C\\a | x\\_y | |\n| 192.0.2.7 | C\\a | x<br> | |\n| 192.0.2.8 | C\\a | x | |\n",
			[]string{"5 192.0.2.1: a x US", "6 !columns", "7 !columns", "8 192.0.2.4: a \"x\"", "9 !bars", "10 !bars", "11 !markup", `12 192.0.2.8: C\a x`}},
		"without outer bars": {"IP | Login | Password\n--- | --- | ---\n192.0.2.1 | a | x y\n", []string{"3 192.0.2.1: a x y"}},
		"of a database":      {"+-----------+-------+----------+\n| ip        | login | password |\n+-----------+-------+----------+\n| 192.0.2.1 | a     | x        |\n+-----------+-------+----------+\n", []string{"4 192.0.2.1: a x"}},
		"bars above a text":  {"IP | Login | Password\n192.0.2.1:a:x\n", []string{"1 !header", "2 192.0.2.1: a x"}},
		"formulas":           {"IP,Login,Password\n\"=\"\"192.0.2.1\"\"\",a,x\n192.0.2.1,a,\"=\"\"007\"\"\"\n192.0.2.1,a,\"'=\"\"007\"\"\"\n192.0.2.1,a,=x\n", []string{"2 !formula", "3 !formula", `4 192.0.2.1: a ="007"`, "5 192.0.2.1: a =x"}},
		"shortened":          {"IP,Login,Password\n192.0.2.1,7.9E+10,1.23457E+11\n192.0.2.1,a,7E+1\n", []string{"2 192.0.2.1: 7.9E+10 1.23457E+11 shortened(login) shortened(password)", "3 192.0.2.1: a 7E+1"}},
		"Bitwarden":          {"folder,favorite,type,name,notes,fields,reprompt,login_uri,login_username,login_password,login_totp\nVPN,,login,Office,,,0,pptp://192.0.2.1,a,x,\n", []string{"2 192.0.2.1: a x"}},
		"KeePass":            {"\"Account\",\"Login Name\",\"Password\",\"Web Site\",\"Comments\"\n\"Office\",\"a\",\"x\",\"192.0.2.1\",\"\"\n", []string{"2 192.0.2.1: a x"}},
		"a list":             {"- 192.0.2.1 a x\n* 192.0.2.2:a:x\n3. a:x@192.0.2.3\n4) 192.0.2.4 - a:x\n> pptp://a:x@192.0.2.5\n• a b\n", []string{"1 192.0.2.1: a x", "2 192.0.2.2: a x", "3 192.0.2.3: a x", "4 192.0.2.4: a x", "5 192.0.2.5: a x", "6 !form"}},
		"marks at the end":   {"192.0.2.1 a x,\n192.0.2.1:a:x;\nIp: 192.0.2.1\nLogin: a\nPass: x,\n", []string{"1 192.0.2.1: a x, mark", "2 192.0.2.1: a x; mark", "3 192.0.2.1: a x,"}},
		"RouterOS, set":      {"/interface pptp-client set 0 connect-to=192.0.2.1 user=a password=x\n/interface pptp-client\nset [ find name=two ] connect-to=192.0.2.2 user=b password=y\nset 0 disabled=yes\n", []string{"1 192.0.2.1: a x", "3 192.0.2.2: b y |||||two"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := notedKeys(t, tt.text, Options{}); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
	named := Options{Mapping: []string{"", "address", "login", "password", "", ""}}
	if got := notedKeys(t, "| IP | Login | Password |\n|---|---|---|\n| 192.0.2.1 | a | x |\n| 192.0.2.2 | a | x|y |\n", named); fmt.Sprint(got) != "[3 192.0.2.1: a x 4 !columns]" {
		t.Errorf("with columns that a person has named: %q", got)
	}
	if got := notedKeys(t, "192.0.2.1|a|x\n", Options{Separator: "|"}); fmt.Sprint(got) != "[1 192.0.2.1: a x]" {
		t.Errorf("bars that a person has chosen: %q", got)
	}
	if got := notedKeys(t, "ip,login,password\n192.0.2.1,a,\"  \"\n", Options{}); fmt.Sprint(got) != "[2 192.0.2.1: a blank]" {
		t.Errorf("a password of blanks: %q", got)
	}
	for text, asks := range map[string]bool{"IP,Login,Login,Password\n192.0.2.1,a,b,x\n": true, "IP,Port,Port,Login,Password\n192.0.2.1,,1724,a,x\n": true,
		"IP,Note,Note,Login,Password\n192.0.2.1,,,a,x\n": false, "IP,Host,User,Login,Password\n192.0.2.1,h,b,a,x\n": false} {
		if got := mustImport(t, text, Options{}).Shape().Unmapped; got != asks {
			t.Errorf("%q: a person has to name the columns: %v, want %v", text, got, asks)
		}
	}
}

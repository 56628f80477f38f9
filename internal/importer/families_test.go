package importer

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// portForms maps lines with a number in the place of a port to the expected rows.
var portForms = map[string]string{
	"127.5.8.1 1723 opsone BlueKite":                                 "127.5.8.1:1723 opsone BlueKite",
	"127.5.8.1 1724 opsone BlueKite":                                 "127.5.8.1:1724 opsone BlueKite",
	"127.5.8.1 443 opsone BlueKite TX":                               "127.5.8.1:443 opsone BlueKite |TX",
	"127.5.8.1 443 opsone BlueKite New York":                         "127.5.8.1:443 opsone BlueKite |New York",
	"127.5.8.1 1723 opsone":                                          "!ambiguous.port",
	"127.5.8.1 1723":                                                 "!no_login",
	"127.5.8.1 1723 opsone TX":                                       "!ambiguous.port",
	"127.5.8.1 10001 opsone Germany":                                 "!ambiguous.port",
	"127.5.8.1 10001 BlueKite":                                       "127.5.8.1: 10001 BlueKite",
	"127.5.8.1 100001 BlueKite":                                      "127.5.8.1: 100001 BlueKite",
	"127.5.8.1 99999 opsone BlueKite":                                "!field.port",
	"127.5.8.1 0 opsone BlueKite":                                    "!field.port",
	"127.5.8.1 99999 BlueKite TX":                                    "127.5.8.1: 99999 BlueKite |TX",
	"127.5.8.1 opsone BlueKite 1723":                                 "127.5.8.1:1723 opsone BlueKite",
	"127.5.8.1 opsone BlueKite 1724":                                 "!ambiguous.number",
	"127.5.8.1 opsone BlueKite 90001":                                "!words",
	"127.5.8.1 opsone 1723":                                          "!ambiguous.port",
	"127.5.8.1 1723 opsone 1723":                                     "!ambiguous.port",
	"127.5.8.1:1724 1724 opsone TX":                                  "!ambiguous.port",
	"127.5.8.1:1724 opsone BlueKite":                                 "127.5.8.1:1724 opsone BlueKite",
	"127.5.8.1:1724 10001 BlueKite":                                  "127.5.8.1:1724 10001 BlueKite",
	"127.5.8.1:99999 opsone BlueKite":                                "!field.port",
	"127.5.8.1 1724 opsone:BlueKite":                                 "!ambiguous.port",
	"pptp://127.5.8.1 opsone BlueKite":                               "127.5.8.1: opsone BlueKite",
	"pptp://127.5.8.1:1724/ opsone BlueKite":                         "127.5.8.1:1724 opsone BlueKite",
	"socks5://127.5.8.1 opsone BlueKite":                             "!scheme.of",
	"127.5.8.1:1724:opsone:BlueKite":                                 "127.5.8.1:1724 opsone BlueKite",
	"127.5.8.1:1724:opsone:BlueKite:US:TX:78701":                     "127.5.8.1:1724 opsone BlueKite US|TX||78701",
	"127.5.8.1:70000:opsone:BlueKite":                                "!field.port",
	"127.5.8.1:opsone:Blue Kite":                                     "!ambiguous.blank",
	"127.5.8.1:1723:opsone:BlueKite TX":                              "!ambiguous.blank",
	"127.5.8.1 1724 - opsone:BlueKite":                               "127.5.8.1:1724 opsone BlueKite",
	"127.5.8.1:1724 - opsone:BlueKite - Texas/Austin":                "127.5.8.1:1724 opsone BlueKite |Texas|Austin",
	"127.5.8.1 - 1724 - opsone:BlueKite":                             "127.5.8.1:1724 opsone BlueKite",
	"127.5.8.1 - 1724:opsone:BlueKite":                               "!ambiguous.port",
	"127.5.8.1 - 1723:BlueKite":                                      "!ambiguous.port",
	"127.5.8.1:1 - 1724 - opsone:BlueKite":                           "!ports",
	"127.5.8.1 - opsone:Blue - Kite":                                 "!ambiguous.dash",
	"127.5.8.1 - opsone:Blue Kite":                                   "!ambiguous.blank",
	"127.5.8.1 - opsone:Blue|2025":                                   "127.5.8.1: opsone Blue|2025",
	"127.5.8.1 - opsone:BlueKite | 2025-09-03":                       "127.5.8.1: opsone BlueKite",
	"127.5.8.1 opsone Blue Kite":                                     "!words",
	"127.5.8.1 opsone BlueKite Ontario":                              "127.5.8.1: opsone BlueKite |Ontario",
	"leo:kite7@127.5.2.1:1723":                                       "127.5.2.1:1723 leo kite7",
	"leo:123456@127.5.2.1:1723":                                      "127.5.2.1:1723 leo 123456",
	"leo:kite7@127.5.2.1":                                            "127.5.2.1: leo kite7",
	"leo:p@w@vpn.example.net:1724":                                   "vpn.example.net:1724 leo p@w",
	"leo:a:b@127.5.2.1:1724":                                         "127.5.2.1:1724 leo a:b",
	"leo:a%41@127.5.2.1:1724":                                        "!ambiguous.percent",
	"leo:a%@127.5.2.1:1724":                                          "127.5.2.1:1724 leo a%",
	"leo:kite7@127.5.2.1:1724 TX":                                    "127.5.2.1:1724 leo kite7 |TX",
	"leo:kite7@127.5.2.1 1723":                                       "127.5.2.1:1723 leo kite7",
	"leo:kite7@127.5.2.1 x":                                          "!ambiguous.blank",
	"leo:kite7 @ 127.5.2.1:1724":                                     "127.5.2.1:1724 leo kite7",
	"leo:kite7@127.5.2.1:99999":                                      "!field.port",
	"127.5.2.4:1723@leo:kite7":                                       "127.5.2.4:1723 leo kite7",
	"127.5.2.4:1724@leo:kite7":                                       "!ambiguous.at",
	"127.5.2.4@leo:kite7":                                            "127.5.2.4: leo kite7",
	"vpn.example.net:1723@leo:kite7":                                 "vpn.example.net:1723 leo kite7",
	"127.5.2.4:1723@127.5.2.5:9":                                     "!ambiguous.at",
	"127.5.2.4:1723@leo":                                             "!no_password",
	"leo@127.5.2.4":                                                  "!no_password",
	"leo@127.5.2.4 kite7":                                            "127.5.2.4: leo kite7",
	"leo@127.5.2.4 1724 kite7":                                       "127.5.2.4:1724 leo kite7",
	"leo@127.5.2.4 1724 kite7 TX":                                    "127.5.2.4:1724 leo kite7 |TX",
	"leo@127.5.2.4 1724 TX":                                          "!ambiguous.port",
	"leo@127.5.2.4 1724":                                             "!ambiguous.port",
	"leo@127.5.2.4:1724 kite7":                                       "127.5.2.4:1724 leo kite7",
	"leo@corp.example 127.5.2.4 kite7":                               "!ambiguous.at",
	"127.5.2.4:leo@corp:kite7":                                       "127.5.2.4: leo@corp kite7",
	"127.5.2.4:1001@isp:kite7":                                       "!ambiguous.at",
	"127.5.2.4 leo@corp.example kite7":                               "127.5.2.4: leo@corp.example kite7",
	"127.5.2.4:leo:p@ss":                                             "127.5.2.4: leo p@ss",
	"127.5.2.4:leo:p@ss.word":                                        "!ambiguous.at",
	"john.doe:kite7@127.5.2.4:1723":                                  "!ambiguous.at",
	"john.doe:kite7@127.5.2.4":                                       "127.5.2.4: john.doe kite7",
	"IP: 127.5.2.4 1724\nLogin: leo\nPass: kite7":                    "127.5.2.4:1724 leo kite7",
	"IP:Port: 127.5.2.4:1724\nLogin: leo\nPass: kite7":               "127.5.2.4:1724 leo kite7",
	"Server: leo:kite7@127.5.2.4:1724":                               "127.5.2.4:1724 leo kite7",
	"Server: pptp://leo:kite7@127.5.2.4:1724":                        "127.5.2.4:1724 leo kite7",
	"Server: pptp://leo:kite7@127.5.2.4\nLogin: max\nPass: kite7":    "!logins",
	"Ip: 127.5.2.4\nCreds: 1723:leo:kite7":                           "!ambiguous.port",
	"IP: 127.5.2.4 Login: leo Password: kite7":                       "127.5.2.4: leo kite7",
	"ip=127.5.2.4 port=1724 user=leo pass=kite7":                     "127.5.2.4:1724 leo kite7",
	"ip=127.5.2.4; user=leo; pass='p w'":                             "127.5.2.4: leo p w",
	"ip=127.5.2.4 user=leo pass=p w":                                 "!ambiguous.labels",
	"Login: leo Password: kite7":                                     "!ambiguous.labels",
	"192.0.2.1,ops1,x,y\n192.0.2.2 ops1 x":                           "!table",
	"127.5.8.1 opsone BlueKite -":                                    "127.5.8.1: opsone BlueKite",
	"127.5.8.1 opsone BlueKite n/a":                                  "127.5.8.1: opsone BlueKite",
	"127.5.8.1 - opsone BlueKite":                                    "!credentials",
	"127.5.8.1 - opsone:BlueKite - Unknown":                          "127.5.8.1: opsone BlueKite",
	"127.5.8.1 - opsone - BlueKite":                                  "!credentials",
	"127.5.8.1|1723|opsone|BlueKite":                                 "!table",
	"{host: 127.5.2.4, user: leo, pass: kite7}":                      "127.5.2.4: leo kite7",
	"- {host: 127.5.2.4, user: leo, pass: \"kite}7\"},":              "127.5.2.4: leo kite}7",
	"{host: 127.5.2.4, user: leo, pass: kite7":                       "!ambiguous.labels",
	"Host: 127.5.2.4\nLogin: leo\nPass: kite7 # main":                "!ambiguous.labels",
	"Host: 127.5.2.4\nLogin: leo\nPass: kite7#main":                  "127.5.2.4: leo kite7#main",
	"\"ip\": \"127.5.2.4\", \"user\": \"leo\", \"pass\": \"kite7\",": "127.5.2.4: leo kite7",
	"hello": "!form",
}

// TestPorts checks where each form accepts a port. A number that may be the port or
// the login is neither.
func TestPorts(t *testing.T) {
	for text, want := range portForms {
		_, got := readRows(t, strings.NewReader(text), Options{Format: Text})
		if len(got) == 0 || got[0] != "1 "+want {
			t.Errorf("%q:\n got %q\nwant %q", text, got, want)
		}
	}
}

// forms are the ways to write one server. Each form with a port is listed with and
// without it.
var forms = map[string]func(host, port, login, password string) string{
	"words":      func(h, p, l, w string) string { return h + " " + l + " " + w },
	"words p":    func(h, p, l, w string) string { return h + " " + p + " " + l + " " + w },
	"words :p":   func(h, p, l, w string) string { return h + ":" + p + " " + l + " " + w },
	"colons":     func(h, p, l, w string) string { return h + ":" + l + ":" + w },
	"colons p":   func(h, p, l, w string) string { return h + ":" + p + ":" + l + ":" + w },
	"long":       func(h, p, l, w string) string { return h + ":" + l + ":" + w + ":US:TX:78701" },
	"long p":     func(h, p, l, w string) string { return h + ":" + p + ":" + l + ":" + w + ":US:TX:78701" },
	"dashes":     func(h, p, l, w string) string { return h + " - " + l + ":" + w },
	"dashes p":   func(h, p, l, w string) string { return h + ":" + p + " - " + l + ":" + w + " - Texas/Austin" },
	"dashes  p":  func(h, p, l, w string) string { return h + " - " + p + " - " + l + ":" + w },
	"at":         func(h, p, l, w string) string { return l + ":" + w + "@" + h },
	"at p":       func(h, p, l, w string) string { return l + ":" + w + "@" + h + ":" + p },
	"at first p": func(h, p, l, w string) string { return h + ":" + p + "@" + l + ":" + w },
	"at first":   func(h, p, l, w string) string { return h + "@" + l + ":" + w },
	"at words":   func(h, p, l, w string) string { return l + "@" + h + " " + w },
	"at words p": func(h, p, l, w string) string { return l + "@" + h + " " + p + " " + w },
	"URL p": func(h, p, l, w string) string {
		return "pptp://" + strings.ReplaceAll(url.PathEscape(l), ":", "%3A") + ":" + url.PathEscape(w) + "@" + h + ":" + p
	},
	"labels": func(h, p, l, w string) string {
		return "Host: " + h + "\nPort: " + p + "\nLogin: " + l + "\nPassword: " + w
	},
	"settings": func(h, p, l, w string) string { return "host=" + h + "\nport=" + p + "\nuser=" + l + "\npassword=" + w },
	"inline":   func(h, p, l, w string) string { return "host=" + h + " port=" + p + " user=" + l + " password=" + w },
}

// TestForms_NeverOtherValues writes servers in every form. Each must be read back
// unchanged or as a bad line, never with other values.
func TestForms_NeverOtherValues(t *testing.T) {
	good := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		host := rapid.SampledFrom([]string{"192.0.2.1", "vpn.example.net", "10.20.30.40", "h-1.example.org"}).Draw(t, "host")
		port := rapid.SampledFrom([]string{"1723", "1724", "443", "65535", "10001"}).Draw(t, "port")
		word := rapid.OneOf(
			rapid.StringMatching(`[A-Za-z][A-Za-z0-9_-]{0,8}`),
			rapid.StringMatching(`[a-z0-9@:.%|/,;=#'"!-]{1,9}`),
			rapid.SampledFrom([]string{"1723", "10001", "1724@leo", "TX", "US", "Texas", "Germany", "leo@corp.example", "john.doe", "x@192.0.2.9", "login", "192.0.2.9", "192.0.2.9:1723", "p:q", "-", "a|2025", "a%41", "пароль"}),
		)
		login, password := word.Draw(t, "login"), word.Draw(t, "password")
		name := rapid.SampledFrom(keysOf(forms)).Draw(t, "form")
		if (strings.HasPrefix(name, "colons") || strings.HasPrefix(name, "long") || strings.HasPrefix(name, "dashes") || strings.HasPrefix(name, "at")) &&
			strings.Contains(login, ":") {
			t.Skip("a login with a colon cannot be told from its password")
		}
		if (strings.HasPrefix(name, "colons") || strings.HasPrefix(name, "long")) && strings.Trim(login, "0123456789") == "" && strings.Contains(password, ":") {
			t.Skip("so cannot a login of digits before a password with a colon: see the form with a port")
		}
		if name == "labels" || name == "settings" || name == "inline" {
			if q := `"'`; strings.ContainsAny(login[:1], q) || strings.ContainsAny(password[:1], q) {
				t.Skip("quotes are those of the format")
			}
		}
		if login == "-" || password == "-" {
			t.Skip("a dash alone is that of the form with dashes")
		}
		text := forms[name](host, port, login, password)
		rd, err := New(strings.NewReader(text), Options{Format: Text})
		if err != nil {
			t.Fatal(err)
		}
		for row, err := range rd.Rows() {
			if err != nil {
				t.Fatal(err)
			}
			if !row.Problem.IsZero() {
				continue
			}
			n, secret, err := connexa.ParseNode(row.Input)
			if err != nil {
				t.Fatal(err)
			}
			want := port
			if !strings.HasSuffix(name, "p") && name != "labels" && name != "settings" && name != "inline" {
				want = "1723"
			}
			if n.Address != host || fmt.Sprint(n.Port) != want || n.Login != login || secret.Reveal() != password {
				t.Fatalf("%s: %q became %s:%d %q %q", name, text, n.Address, n.Port, n.Login, secret.Reveal())
			}
			good[name]++
		}
	})
	for name := range forms {
		if good[name] == 0 {
			t.Logf("no server came through as %s", name)
		}
	}
}

func keysOf(m map[string]func(_, _, _, _ string) string) []string {
	return slices.Sorted(maps.Keys(m))
}

func TestHeadings(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"two exports":         {"IP,Login,Password\n192.0.2.1,a,x\nIP,Login,Password\n192.0.2.2,b,y\n", []string{"2 192.0.2.1: a x", "4 192.0.2.2: b y"}},
		"another order":       {"IP,Login,Password\n192.0.2.1,a,x\nPassword,Login,Host\ny,b,192.0.2.2\n", []string{"2 192.0.2.1: a x", "4 192.0.2.2: b y"}},
		"more columns":        {"IP;Login;Password\n192.0.2.1;a;x\nIP;Port;Login;Password;City\n192.0.2.2;1724;b;y;Rome\n", []string{"2 192.0.2.1: a x", "4 192.0.2.2:1724 b y ||Rome"}},
		"fewer columns":       {"City,IP,Login,Password\nRome,192.0.2.1,a,x\nIP,Login,Password\n192.0.2.2,b,y\n", []string{"2 192.0.2.1: a x ||Rome", "4 192.0.2.2: b y"}},
		"in Russian, quoted":  {"\"Адрес\";\"Логин\";\"Пароль\"\n192.0.2.1;a;x\n\"IP адрес\";\"Пароль от VPN\";\"Логин\"\n192.0.2.2;y;b\n", []string{"2 192.0.2.1: a x", "4 192.0.2.2: b y"}},
		"BOM amid":            {"IP,Login,Password\n192.0.2.1,a,x\n\ufeffIP,Login,Password\n\ufeff192.0.2.2,b,y\n", []string{"2 192.0.2.1: a x", "4 192.0.2.2: b y"}},
		"incomplete":          {"IP,Login,Password\n192.0.2.1,a,x\nIP,Password\n192.0.2.2,b,y\n", []string{"2 192.0.2.1: a x", "3 !header", "4 192.0.2.2: b y"}},
		"title":               {"Our servers\nIP,Login,Password\n192.0.2.1,a,x\n", []string{"3 192.0.2.1: a x"}},
		"user_pass":           {"server_ip,user_name,user_pass\n192.0.2.1,a,x\n", []string{"2 192.0.2.1: a x"}},
		"titles and blanks":   {"Servers of 2026\n\nby ann, bob\nIP,Login,Password\n192.0.2.1,a,x\n", []string{"5 192.0.2.1: a x"}},
		"title with commas":   {"Servers,,\n,,\nIP,Login,Password\n192.0.2.1,a,x\n", []string{"4 192.0.2.1: a x"}},
		"title amid":          {"IP,Login,Password\n192.0.2.1,a,x\nMore servers\nIP,Login,Password\n192.0.2.2,b,y\n", []string{"2 192.0.2.1: a x", "3 !field.address.host", "5 192.0.2.2: b y"}},
		"in text":             {"IP Login Password\n192.0.2.1 a x\n", []string{"1 !header", "2 192.0.2.1: a x"}},
		"in text with colons": {"Host:Login:Password\n192.0.2.1:a:x\n", []string{"1 !header", "2 192.0.2.1: a x"}},
		"in text in Russian":  {"Адрес | Логин | Пароль\n192.0.2.1 a x\n", []string{"1 !header", "2 192.0.2.1: a x"}},
		"template of labels":  {"Ip: host\nLogin: login\nPass: password\n", []string{"1 !header"}},
	} {
		t.Run(name, func(t *testing.T) { checkRows(t, tt.text, Options{}, tt.want...) })
	}
	byHand := Options{Mapping: []string{"address", "login", "password"}}
	checkRows(t, "Machine,VPN account,Word\n192.0.2.1,a,x\n192.0.2.2,b,y\nMachine,VPN account,Word\n192.0.2.3,c,z\n", byHand,
		"2 192.0.2.1: a x", "3 192.0.2.2: b y", "5 192.0.2.3: c z")
	checkRows(t, "Fleet\nMachine,VPN account,Word\n192.0.2.1,a,x\n192.0.2.2,b,y\n", byHand, "3 192.0.2.1: a x", "4 192.0.2.2: b y")
	checkRows(t, "192.0.2.1,a,x\n192.0.2.2,b,y\nIP,Login,Password\n192.0.2.3,c,z\nServer,who,what\n", byHand,
		"1 192.0.2.1: a x", "2 192.0.2.2: b y", "4 192.0.2.3: c z", "5 !header")
	for _, names := range []string{"ip,Login,Password", "Server IP,User name,Pass", "IP-адрес сервера,Имя пользователя,Пароль", "HOST,who,what", "gateway,user,secret"} {
		for row, err := range mustImport(t, "192.0.2.1,a,x\n192.0.2.2,a,x\n"+names+"\n"+names+"\n", byHand).Rows() {
			if err != nil || row.Problem.IsZero() && row.Line > 2 {
				t.Errorf("%q became the server %q, %v", names, row.Input.Address, err)
			}
		}
	}
}

func mustImport(t *testing.T, text string, o Options) *Reader {
	t.Helper()
	rd, err := New(strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	return rd
}

func TestAddressCells(t *testing.T) {
	for cell, want := range map[string]string{
		"pptp://192.0.2.1":             "192.0.2.1: a x",
		"PPTP://vpn.example.net:1724/": "vpn.example.net:1724 a x",
		"pptp://a:x@192.0.2.1:1724":    "192.0.2.1:1724 a x",
		"pptp://b:x@192.0.2.1":         "!logins",
		"https://192.0.2.1/":           "!scheme.of",
		"socks5://192.0.2.1:1080":      "!scheme.of",
		"l2tp://vpn.example.net":       "!scheme.of",
		"foo://192.0.2.1":              "!scheme",
		"192.0.2.1/":                   "192.0.2.1: a x",
		"192.0.2.1 1724":               "192.0.2.1:1724 a x",
		"vpn.example.net/path":         "!field.address.host",
		"пример.рф":                    "пример.рф: a x",
		"vpn.пример.рф:1724":           "vpn.пример.рф:1724 a x",
	} {
		checkRows(t, "ip,login,password\n"+cell+",a,x\n", Options{}, "2 "+want)
	}
	checkRows(t, "vpn.пример.рф ops1 x\nсервер.пример.рф:ops1:x\nops1:x@münchen.example:1724\n", Options{},
		"1 vpn.пример.рф: ops1 x", "2 сервер.пример.рф: ops1 x", "3 münchen.example:1724 ops1 x")
}

// notedKeys returns the rows of text in short form, with their notes.
func notedKeys(t *testing.T, text string, o Options) []string {
	t.Helper()
	var rows []string
	for row, err := range mustImport(t, text, o).Rows() {
		if err != nil {
			t.Fatal(err)
		}
		s := strings.TrimSpace(shortText(row))
		for _, n := range row.Notes {
			s += " " + strings.TrimPrefix(n.Key, "import.note.")
			for _, a := range n.Args {
				if field, ok := a.(connexa.Text); ok {
					s += "(" + strings.TrimPrefix(field.Key, "import.field.") + ")"
				}
			}
		}
		rows = append(rows, s)
	}
	return rows
}

func TestOptionalCells(t *testing.T) {
	for _, tt := range []struct{ column, cell, want, note string }{
		{"country", "-", "", "empty(country)"}, {"country", "n/a", "", "empty(country)"}, {"country", "N/A", "", "empty(country)"}, {"country", "ZZ", "", "empty(country)"},
		{"country", "Неизвестно", "", "empty(country)"}, {"country", "Atlantis", "", "empty(country)"}, {"country", "NULL", "", "empty(country)"}, {"country", "??", "", "empty(country)"},
		{"country", "DE\u200b", " DE", ""}, {"country", "Germany\u00a0", " DE", ""},
		{"state", "-", "", "empty(state)"}, {"city", "n/a", "", "empty(city)"}, {"zip", "NULL", "", "empty(zip)"}, {"city", "неизвестно", "", "empty(city)"}, {"zip", "—", "", "empty(zip)"},
		{"city", "'-", " ||-", ""}, {"city", "'n/a", " ||n/a", ""}, {"comment", "n/a", "", "empty(comment)"}, {"comment", "-", "", "empty(comment)"},
		{"comment", "'n/a", " |||||n/a", ""}, {"comment", "'-", " |||||-", ""}, {"comment", "- n/a for now", " |||||- n/a for now", ""},
		{"comment", "a\u200db", " |||||a\u200db", ""}, {"city", "Los\u00a0Angeles", " ||Los\u00a0Angeles", ""},
		{"city", strings.Repeat("x", 300), "", "empty(city)"}, {"comment", strings.Repeat("x", 3000), "", "empty(comment)"}, {"tags", strings.Repeat("x", 50), "", "empty(tags)"},
		{"provider", "a\x01b", " ||||a\x01b", "hidden(provider)"}, {"tags", "none", "", "empty(tags)"},
		{"tags", "'-", "", "empty(tags)"}, {"tags", "old;-", "", "empty(tags)"},
		{"AS number", "AS24940", "", ""}, {"asn", "24940", "", ""}, {"asn", "Example Net", "", "empty(asn)"}, {"asn", "n/a", "", "empty(asn)"},
	} {
		want := strings.TrimSpace("2 192.0.2.1: a x" + tt.want + " " + tt.note)
		if got := notedKeys(t, "ip,login,password,"+tt.column+"\n192.0.2.1,a,x,"+tt.cell+"\n", Options{}); len(got) != 1 || strings.TrimSpace(got[0]) != want {
			t.Errorf("%s %.20q: %q, want %q", tt.column, tt.cell, got, want)
		}
	}
	for cell, want := range map[string]string{
		"": "192.0.2.1: a x", "NULL": "192.0.2.1: a x port.default", "-": "192.0.2.1: a x port.default", "n/a": "192.0.2.1: a x port.default", "None": "192.0.2.1: a x port.default",
		"1723": "192.0.2.1:1723 a x", "1723.0": "192.0.2.1:1723 a x port", "1723.00": "192.0.2.1:1723 a x port", "\"1,723\"": "192.0.2.1:1723 a x port", "1 723": "192.0.2.1:1723 a x port",
		"1\u202f723": "192.0.2.1:1723 a x port", "1.723": "192.0.2.1:1723 a x port", "1.723E+03": "192.0.2.1:1723 a x port", "1723/tcp": "192.0.2.1:1723 a x port", "\"1723,0\"": "192.0.2.1:1723 a x port",
		"１７２３": "192.0.2.1:1723 a x port", " 1724\u00a0": "192.0.2.1:1724 a x", "\ufeff1724": "192.0.2.1:1724 a x", "01724": "192.0.2.1:01724 a x",
		"99999": "!field.port", "abc": "!field.port", "0": "!field.port", "-1": "!field.port", "1723.5": "!field.port", "17 23": "!field.port", "1.000": "!field.port", "0x6bb": "!field.port", "1723;1724": "!field.port",
	} {
		if got := notedKeys(t, "ip,port,login,password\n192.0.2.1,"+cell+",a,x\n", Options{}); len(got) != 1 || got[0] != "2 "+want {
			t.Errorf("port %q: %q, want %q", cell, got, want)
		}
	}
	checkRows(t, "ip,port,login,password\n192.0.2.1:1724,1724.0,a,x\n192.0.2.1:1724,NULL,b,x\n192.0.2.1:1724,1723.0,c,x\n", Options{},
		"2 192.0.2.1:1724 a x", "3 192.0.2.1:1724 b x", "4 !ports")
	// A password in the wrong column must not appear in a note.
	for row, err := range mustImport(t, "ip,login,password,country,city\n192.0.2.1,a,x,Blue-Kite-7,Blue-Kite-7\n", Options{}).Rows() {
		if text := fmt.Sprint(row.Notes); err != nil || strings.Contains(text, "Blue") || len(row.Notes) != 1 {
			t.Errorf("notes %s, %v", text, err)
		}
	}
}

func TestHiddenCharacters(t *testing.T) {
	for _, c := range []string{"\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u200e", "\u202e", "\u2066", "\u00a0", "\u2003", "\ufe0f", "\U000e0041", "\u3164"} {
		for name, text := range map[string]string{
			"table":     "ip,login,password\n" + c + "192.0.2.1" + c + "," + c + "ops1" + c + "," + c + "Blue" + c + "\n",
			"quoted":    "ip;login;password\n\"192.0.2.1" + c + "\";\"ops1" + c + "\";\"Blue" + c + "\"\n",
			"colons":    "# x\n" + c + "192.0.2.1" + c + ":ops1" + c + ":Blue" + c + "\n",
			"dashes":    "# x\n192.0.2.1 - ops1" + c + ":" + c + "Blue" + c + "\n",
			"labels":    "# x\nIp: 192.0.2.1" + c + "\nLogin:" + c + "ops1" + c + "\nPass: Blue" + c + "\n",
			"URL":       "# x\npptp://ops1:Blue@192.0.2.1" + c + "\n",
			"at":        "# x\nops1" + c + ":Blue" + c + "@192.0.2.1" + c + "\n",
			"first":     "# x\n" + c + "192.0.2.1 ops1 Blue" + c + "\n",
			"JSON line": "# x\n{\"ip\":\"192.0.2.1" + c + "\",\"login\":\"" + c + "ops1\",\"pass\":\"Blue" + c + "\"}\n",
		} {
			n := 0
			if strings.TrimSpace(c) == "" && (name == "colons" || name == "at") {
				continue // white space would end the word
			}
			for row, err := range mustImport(t, text, Options{}).Rows() {
				n++
				if err != nil || !row.Problem.IsZero() {
					t.Errorf("%+q in %s: %v %v", c, name, row.Problem, err)
					continue
				}
				node, password, err := connexa.ParseNode(row.Input)
				if err != nil || node.Address != "192.0.2.1" || node.Login != "ops1" || password.Reveal() != "Blue" {
					t.Errorf("%+q in %s: %q %q %q %v", c, name, node.Address, node.Login, password.Reveal(), err)
				}
			}
			if n != 1 {
				t.Errorf("%+q in %s: %d rows", c, name, n)
			}
		}
		for name, text := range map[string]string{
			"table":  "ip,login,password\n192.0.2.1,ops1,Bl" + c + "ue\n",
			"login":  "ip,login,password\n192.0.2.1,op" + c + "s1,Blue\n",
			"labels": "Ip: 192.0.2.1\nLogin: ops1\nPass: Bl" + c + "ue\n",
			"URL":    "pptp://ops1:Bl" + url.PathEscape(c) + "ue@192.0.2.1\n",
		} {
			for row, err := range mustImport(t, text, Options{}).Rows() {
				if err != nil || row.Problem.Key != "import.bad.field" || row.Problem.Args[1].(connexa.Text).Key != "field.hidden" {
					t.Errorf("%+q inside, %s: %v %v", c, name, row.Problem, err)
				}
			}
		}
	}
	if got := notedKeys(t, "ip,login,password\n192.0.2.1,ops1\u200b,Blue\u00a0\n192.0.2.2,ops1,\"Blue \"\n", Options{}); !strings.HasSuffix(got[0], "hidden(login) hidden(password)") || !strings.HasSuffix(got[1], " blank") {
		t.Errorf("notes: %q", got)
	}
}

func TestQuotesOfOtherFormats(t *testing.T) {
	for text, want := range map[string]string{
		"ip: 192.0.2.1\nuser: \"ops1\"\npass: \"Blue\"":                                       "192.0.2.1: ops1 Blue",
		"ip: '192.0.2.1'\nuser: 'ops1'\npass: 'it''s'":                                        "192.0.2.1: ops1 it's",
		"ip: 192.0.2.1\nuser: ops1\npass: \"a\\\"b\\\\c\"":                                    `192.0.2.1: ops1 a"b\c`,
		"ip: 192.0.2.1\nuser: ops1\npass: \"\\u0041\\x42\"":                                   "192.0.2.1: ops1 AB",
		"ip: 192.0.2.1\nuser: ops1\npass: \"Blue\" # main":                                    "192.0.2.1: ops1 Blue",
		"export VPN_HOST=192.0.2.1\nexport VPN_USER=\"ops1\"\nexport PASS='x'":                "192.0.2.1: ops1 x",
		"HOST=192.0.2.1\nUSER=ops1\nPASS=\"a\\$b\"":                                           "192.0.2.1: ops1 a$b",
		"HOST=192.0.2.1\nUSER=ops1\nPASS='a'\\''b'":                                           "192.0.2.1: ops1 a'b",
		"[vpn1]\nhost = 192.0.2.1\nuser = \"ops1\"\npassword = 'x'":                           "192.0.2.1: ops1 x",
		"\"ip\": \"192.0.2.1\",\n\"user\": \"ops1\",\n\"pass\": \"x,\\\"y\",":                 `192.0.2.1: ops1 x,"y`,
		"{\n\"ip\": \"192.0.2.1\",\n\"port\": 1724,\n\"user\": \"ops1\",\n\"pass\": \"x\"\n}": "192.0.2.1:1724 ops1 x",
		"$host = '192.0.2.1';\n$user = 'ops1';\n$pass = 'x';":                                 "192.0.2.1: ops1 x",
		"- host: 192.0.2.1\n  user: ops1\n  pass: 'x'":                                        "192.0.2.1: ops1 x",
		"ip: 192.0.2.1\nuser: ops1\npass: \"x":                                                `192.0.2.1: ops1 "x`,
		"ip: 192.0.2.1\nuser: ops1\npass: x\"":                                                `192.0.2.1: ops1 x"`,
		"ip: 192.0.2.1\nuser: ops1\npass: 'x\"":                                               `192.0.2.1: ops1 'x"`,
		"ip: 192.0.2.1\nuser: ops1\npass: \"a\"b\"":                                           "!quotes",
		"ip: 192.0.2.1\nuser: ops1\npass: \"a\" \"b\"":                                        "!quotes",
		"ip: 192.0.2.1\nuser: ops1\npass: \"\"":                                               "!no_password",
		"192.0.2.1 ops1 \"Blue\"":                                                             `192.0.2.1: ops1 "Blue"`,
		"192.0.2.1:ops1:'Blue'":                                                               `192.0.2.1: ops1 'Blue'`,
		"192.0.2.1 - ops1:\"Blue\"":                                                           `192.0.2.1: ops1 "Blue"`,
	} {
		_, got := readRows(t, strings.NewReader("# x\n"+text), Options{})
		if len(got) != 1 || regexp.MustCompile(`^\d+ `).ReplaceAllString(got[0], "") != want {
			t.Errorf("%q:\n got %q\nwant %q", text, got, want)
		}
	}
}

// programFiles are files of other programs with the expected rows.
var programFiles = map[string]struct {
	text string
	want []string
}{
	"RouterOS": {`# 2026-11-29 12:00:00 by RouterOS 7.15
# software id = ABCD-EFGH
#
/interface bridge
add name=bridge1
/interface pptp-client
add allow=mschap2 comment="Main, office" connect-to=192.0.2.1 disabled=no \
    name=pptp-out1 password="a b\"c\\d\24" profile=default user=ops1
add connect-to=vpn.example.net disabled=yes name=pptp-out2 password=Blue-Kite-7 user=ops2
add connect-to=192.0.2.3 name=pptp-out3 user=ops3
/interface l2tp-client
add connect-to=192.0.2.9 name=l2tp-out1 password=x user=y
/ip address
add address=192.168.88.1/24 interface=bridge1
/ppp secret
add name=ops1 password=x service=pptp
`, []string{`7 192.0.2.1: ops1 a b"c\d$ |||||Main, office`, "9 vpn.example.net: ops2 Blue-Kite-7 |||||pptp-out2 disabled", "10 !no_password"}},
	"RouterOS, one line": {"/interface pptp-client add connect-to=192.0.2.1 user=ops1 password=x name=a disabled=no\n", []string{"1 192.0.2.1: ops1 x |||||a"}},
	"RouterOS, passwords later": {`/interface pptp-client
add connect-to=192.0.2.1 name=pptp-out1 user=ops1
add connect-to=192.0.2.2 disabled=yes name="two words" user=ops2
add connect-to=192.0.2.3 name=pptp-out3 user=ops3
add connect-to=192.0.2.4 comment=Office name=pptp-out4
add connect-to=192.0.2.5 name=pptp-out5 user=ops5
add connect-to=192.0.2.6 name=pptp-out6 user=ops6 password=y
add connect-to=192.0.2.7 name=pptp-out7 user=ops7
/ppp secret
set pptp-out5 password=other
/interface pptp-client
set pptp-out1 password=x
set "two words" password="a b"
set [ find where name=pptp-out3 ] password=z
set [find comment=Office] user=ops4
set pptp-out4 password=v port=1724
set pptp-out6 password=ignored
set [ find name!=pptp-out5 ] password=all
set pptp-out9 password=nobody
/interface pptp-client set pptp-out7 password=w
`, []string{"7 192.0.2.6: ops6 y |||||pptp-out6", "2 192.0.2.1: ops1 x |||||pptp-out1", "3 192.0.2.2: ops2 a b |||||two words disabled", "4 192.0.2.3: ops3 z |||||pptp-out3",
		"5 192.0.2.4:1724 ops4 v |||||Office", "8 192.0.2.7: ops7 w |||||pptp-out7", "6 !no_password"}},
	"RouterOS, no menu":                {"add connect-to=192.0.2.1 name=a user=ops1\nset a password=x\n", []string{"1 192.0.2.1: ops1 x |||||a"}},
	"RouterOS, a new address later":    {"/interface pptp-client\nadd connect-to=192.0.2.1 name=a user=ops1\nset a connect-to=192.0.2.2 password=x\n", []string{"2 192.0.2.2: ops1 x |||||a"}},
	"RouterOS, names of several":       {"/interface pptp-client\nadd connect-to=192.0.2.1 name=a user=ops1\nadd connect-to=192.0.2.2 name=a user=ops1 password=y\nset a password=x\n", []string{"3 192.0.2.2: ops1 y |||||a", "2 !no_password"}},
	"RouterOS, several are found":      {"/interface pptp-client\nadd connect-to=192.0.2.1 name=a user=ops1\nadd connect-to=192.0.2.2 name=b user=ops1\nset [ find user=ops1 ] password=x\nset a,b password=y\n", []string{"2 192.0.2.1: ops1 y |||||a", "3 192.0.2.2: ops1 y |||||b"}},
	"RouterOS, a change is unreadable": {"/interface pptp-client\nadd connect-to=192.0.2.1 name=a user=ops1\nset a password=\"x\n", []string{"2 !no_password"}},
	"RouterOS, lines": {"add connect-to=192.0.2.1 user=ops1 password=\"x\" name=a disabled=no\r\nadd connect-to=192.0.2.2 user=ops1 password=\"x\\\"\r\n",
		[]string{"1 192.0.2.1: ops1 x |||||a", "2 !routeros"}},
	"RouterOS, long":  {"/interface pptp-client\nadd comment=\"one \\\n    two\" connect-to=192.0.2.1 \\\n    password=x \\\n    user=ops1\n", []string{"2 192.0.2.1: ops1 x |||||one two"}},
	"RouterOS, after": {"192.0.2.5 a b\n/interface pptp-client\nadd connect-to=192.0.2.1 password=x user=ops1\n", []string{"1 192.0.2.5: a b", "3 192.0.2.1: ops1 x"}},
	"NetworkManager": {`[connection]
id=Main office
uuid=3c5e7b2c-6d0e-4a3c-9d0e-2d6a1c8b7f10
type=vpn
permissions=

[vpn]
gateway=192.0.2.1
password-flags=0
refuse-eap=yes
require-mppe=yes
user=ops1
service-type=org.freedesktop.NetworkManager.pptp

[vpn-secrets]
password=Blue\\Kite\s7

[ipv4]
address1=10.0.0.2/24,10.0.0.1
gateway=10.0.0.1
dns=192.0.2.53;
method=auto

[connection]
id=second
type=vpn
[vpn]
domain=CORP
gateway=vpn.example.net
user=ops2
service-type=org.freedesktop.NetworkManager.pptp
[vpn-secrets]
password=x

[connection]
id=home
type=wifi
[wifi-security]
psk=secret99
[vpn]
`, []string{`1 192.0.2.1: ops1 Blue\Kite 7 |||||Main office`, `24 vpn.example.net: CORP\ops2 x |||||second`, "35 !connection"}},
	"NetworkManager, openvpn":   {"[connection]\nid=a\ntype=vpn\n[vpn]\nremote=192.0.2.1\nuser=a\nservice-type=org.freedesktop.NetworkManager.openvpn\n[vpn-secrets]\npassword=x\n", []string{"1 !connection"}},
	"NetworkManager, no secret": {"[vpn]\ngateway=192.0.2.1\nuser=a\npassword-flags=1\n\n192.0.2.2 a b\n", []string{"1 !no_password", "6 192.0.2.2: a b"}},
	"settings": {"NAME=office\nHOST=192.0.2.1\nMTU=1400\nUSER=ops1\nfoo.bar=7\nPASSWORD=x\nRETRY=yes\n\nNAME=home\nHOST=192.0.2.2\nMTU=1400\nUSER=ops2\nPASSWORD=y\n",
		[]string{"2 192.0.2.1: ops1 x", "10 192.0.2.2: ops2 y"}},
	"INI": {"; ours\n[a]\nhost=192.0.2.1\nmtu=1400\nuser=a\npass=x\n[b]\nhost=192.0.2.2\nuser=b\n\n[c]\npass=z\n", []string{"3 192.0.2.1: a x", "8 !no_password", "12 !no_address"}},
}

func TestFilesOfOtherPrograms(t *testing.T) {
	for name, tt := range programFiles {
		t.Run(name, func(t *testing.T) {
			got := notedKeys(t, tt.text, Options{})
			if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"array":       {"[\n {\"ip\":\"192.0.2.1\",\"login\":\"ops1\",\"password\":\"a,\\\"b\"},\n {\"host\":\"vpn.example.net\",\"port\":1724,\"user\":\"ops2\",\"pass\":\"y\",\"country\":\"DE\"}\n]\n", []string{`2 192.0.2.1: ops1 a,"b`, "3 vpn.example.net:1724 ops2 y DE"}},
		"one":         {"{\n \"server\": \"192.0.2.1\",\n \"username\": \"ops1\",\n \"password\": \"x\", \"extra\": {\"a\": [1,2]}\n}", []string{"1 192.0.2.1: ops1 x"}},
		"lines":       {"{\"ip\":\"192.0.2.1\",\"login\":\"a\",\"password\":\"x\"}\n{\"ip\":\"192.0.2.2\",\"login\":\"b\",\"password\":\"y\"}\r\n\n{\"ip\":\"192.0.2.3\"}\n", []string{"1 192.0.2.1: a x", "2 192.0.2.2: b y", "4 !no_login"}},
		"nested":      {"{\"version\": 2, \"servers\": [{\"ip\":\"192.0.2.1\",\"login\":\"a\",\"password\":\"x\"},\n{\"ip\":\"192.0.2.2\",\"login\":\"b\",\"password\":\"y\"}], \"total\": 2}", []string{"1 192.0.2.1: a x", "2 192.0.2.2: b y"}},
		"two arrays":  {"{\"a\":[{\"ip\":\"192.0.2.1\",\"login\":\"a\",\"password\":\"x\"}],\n\"n\":1,\"s\":\"]\",\"b\":[{\"ip\":\"192.0.2.2\",\"login\":\"b\",\"password\":\"y\"}]}\n", []string{"1 192.0.2.1: a x", "2 192.0.2.2: b y"}},
		"by name":     {"{\"one\":{\"host\":\"192.0.2.1\",\"user\":\"a\",\"pass\":\"x\"},\n\"two\":{\"host\":\"192.0.2.2\",\"user\":\"b\",\"pass\":\"y\"}}", []string{"1 192.0.2.1: a x", "2 192.0.2.2: b y"}},
		"deep":        {"{\"ok\":true,\"data\":{\"items\":[{\"ip\":\"192.0.2.1\",\"login\":\"a\",\"password\":\"x\"}],\"more\":null}}\n{\"ip\":\"192.0.2.2\",\"login\":\"b\",\"password\":\"y\"}", []string{"1 192.0.2.1: a x", "2 192.0.2.2: b y"}},
		"in halves":   {"{\"net\":{\"ip\":\"192.0.2.1\"},\"acc\":{\"login\":\"a\",\"password\":\"x\"}}", []string{"1 192.0.2.1: a x"}},
		"with a list": {"{\"host\":\"192.0.2.1\",\"dns\":[{\"ip\":\"192.0.2.53\"}],\"user\":\"a\",\"pass\":\"x\",\"old\":{\"host\":\"192.0.2.1\"}}", []string{"1 !twice"}},
		"of objects":  {"[{\"host\":\"192.0.2.1\",\"auth\":{\"user\":\"a\",\"password\":\"x\"},\"location\":\"Texas (Austin)\"}]", []string{"1 192.0.2.1: a x |Texas|Austin"}},
		"numbers":     {"[{\"ip\":\"192.0.2.1\",\"port\":1723.0,\"login\":10001,\"password\":123456,\"tags\":[\"a\",\"b\"],\"zip\":null,\"allow_pap\":true}]", []string{"1 192.0.2.1:1723 10001 123456 ||||||a,b port"}},
		"texts":       {"[\"pptp://a:x@192.0.2.1\",\"192.0.2.2 b y\"]", []string{"1 192.0.2.1: a x", "1 192.0.2.2: b y"}},
		"broken":      {"[\n{\"ip\":\"192.0.2.1\",\"login\":\"a\" \"password\":\"x\"},\n{\"ip\":\"192.0.2.2\",\"login\":\"b\",\"password\":\"y\"},\n]", []string{"2 !json", "3 192.0.2.2: b y"}},
		"twice":       {"[{\"ip\":\"192.0.2.1\",\"login\":\"a\",\"password\":\"x\",\"password\":\"y\"}]", []string{"1 !twice"}},
		"no text":     {"[{\"ip\":\"192.0.2.1\",\"login\":{\"a\":1},\"password\":\"x\"},{\"ip\":[1],\"login\":\"a\",\"password\":\"x\"}]", []string{"1 !no_login", "1 !json.value"}},
		"cut off":     {"[{\"ip\":\"192.0.2.1\",\"login\":\"a\",\"password\":\"x\"},\n{\"ip\":\"192.0.2.2\",", []string{"1 192.0.2.1: a x", "2 !json"}},
		"amid text":   {"192.0.2.1 a x\n{\"ip\":\"192.0.2.2\",\"login\":\"b\",\"password\":\"y\"}\n192.0.2.3 c z\n", []string{"1 192.0.2.1: a x", "2 192.0.2.2: b y", "3 192.0.2.3: c z"}},
		"placeholder": {"[{\"ip\":\"192.0.2.1\",\"login\":\"a\",\"password\":\"x\",\"country\":\"n/a\",\"port\":null}]", []string{"1 192.0.2.1: a x empty(country)"}},
		"names":       {"[{\"ip\":\"IP\",\"login\":\"Login\",\"password\":\"Password\"}]", []string{"1 !header"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := notedKeys(t, tt.text, Options{}); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			for _, piece := range []string{"\n", "\r\n"} {
				if strings.Contains(tt.text, "\r") {
					break
				}
				checkRows(t, strings.ReplaceAll(tt.text, "\n", piece)+"  ", Options{}, read2(t, tt.text)...)
			}
		})
	}
	// A large array is read in windows, one row at a time.
	var b strings.Builder
	b.WriteString("{\"servers\":[")
	for i := range 20_000 {
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, `{"ip":"10.0.%d.%d","login":"a","password":"x"}`, i>>8, i&255)
	}
	b.WriteString("]}\n")
	n := 0
	for row, err := range mustImport(t, b.String(), Options{}).Rows() {
		if n++; err != nil || !row.Problem.IsZero() || row.Line != n {
			t.Fatalf("row %d: %+v %v", n, row.Problem, err)
		}
	}
	if n != 20_000 {
		t.Errorf("%d rows", n)
	}
}

func read2(t *testing.T, text string) []string {
	_, rows := readRows(t, strings.NewReader(text), Options{})
	return rows
}

package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// shortText formats a row as "line address:port login password
// country|state|city|zip|provider|comment|tags" or "line !reason".
func shortText(r connexa.ImportRow) string {
	if !r.Problem.IsZero() {
		key := r.Problem.Key
		if key == "import.bad.field" {
			key = r.Problem.Args[1].(connexa.Text).Key
		}
		return fmt.Sprintf("%d !%s", r.Line, strings.TrimPrefix(key, "import.bad."))
	}
	in := r.Input
	s := fmt.Sprintf("%d %s:%s %s %s", r.Line, in.Address, in.Port, in.Login, in.Password)
	if r.NoPassword {
		s += " nopassword"
	}
	return s + " " + strings.TrimRight(strings.Join([]string{in.Country, in.State, in.City, in.Zip, in.Provider, in.Comment, in.Tags}, "|"), "|")
}

func readRows(t *testing.T, r io.Reader, o Options) (*Reader, []string) {
	t.Helper()
	rd, err := New(r, o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	var rows []string
	for row, err := range rd.Rows() {
		if err != nil {
			t.Fatalf("Rows: %v", err)
		}
		if (row.Problem.IsZero() && !row.NoPassword) != (row.Raw == "") {
			t.Errorf("line %d: problem %v, raw of %d bytes", row.Line, row.Problem, len(row.Raw))
		}
		rows = append(rows, strings.TrimSpace(shortText(row)))
	}
	return rd, rows
}

func checkRows(t *testing.T, text string, o Options, want ...string) {
	t.Helper()
	pieces := iotest.OneByteReader(strings.NewReader(text))
	if len(text) > MaxLine/2 {
		pieces = iotest.HalfReader(strings.NewReader(text)) // reading byte by byte would be slow
	}
	for name, r := range map[string]io.Reader{"whole": strings.NewReader(text), "in pieces": pieces} {
		_, got := readRows(t, r, o)
		if len(got) != len(want) {
			t.Errorf("%s: %d rows, want %d:\n%s", name, len(got), len(want), strings.Join(got, "\n"))
			return
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: got  %q\nwant %q", name, got[i], want[i])
			}
		}
	}
}

// lineForms are texts of one server with the expected row.
var lineForms = map[string]struct{ text, want string }{
	"words":                {"192.0.2.20 ops1 Blue-Kite-7 TX", "1 192.0.2.20: ops1 Blue-Kite-7 |TX"},
	"words, no state":      {"192.0.2.20 ops1 Blue-Kite-7", "1 192.0.2.20: ops1 Blue-Kite-7"},
	"words, two of state":  {"192.0.2.20 ops1 Blue-Kite-7 New York", "1 192.0.2.20: ops1 Blue-Kite-7 |New York"},
	"words, country":       {"192.0.2.20 ops1 Blue-Kite-7 Germany", "1 192.0.2.20: ops1 Blue-Kite-7 DE"},
	"words, port and host": {"vpn.example.net:1724 ops1 Blue-Kite-7", "1 vpn.example.net:1724 ops1 Blue-Kite-7"},
	"words, tabs":          {"# a\n192.0.2.20 ops1\tBlue-Kite-7   TX", "2 192.0.2.20: ops1 Blue-Kite-7 |TX"},
	"words, colons inside": {"192.0.2.20 ops1 Blue:Kite TX", "1 192.0.2.20: ops1 Blue:Kite |TX"},
	"words, too many":      {"192.0.2.20 ops1 Blue Kite 7 TX", "1 !words"},
	"words, joined login":  {"192.0.2.20 ops1:Blue-Kite-7 TX", "1 !joined"},
	"words, joined":        {"192.0.2.20 ops1:Blue-Kite-7", "1 !joined"},
	"dashes":               {"192.0.2.30 - ops1:Blue-Kite-7 - Arizona/Phoenix 85001 | 2025-09-03 16:05:25", "1 192.0.2.30: ops1 Blue-Kite-7 |Arizona|Phoenix|85001"},
	"dashes, no date":      {"192.0.2.30 - ops1:Blue-Kite-7 - Arizona/Phoenix 85001", "1 192.0.2.30: ops1 Blue-Kite-7 |Arizona|Phoenix|85001"},
	"dashes, no place":     {"192.0.2.30 - ops1:Blue-Kite-7", "1 192.0.2.30: ops1 Blue-Kite-7"},
	"dashes, colons":       {"192.0.2.30 - ops1:Blue:Kite:7 - New York/New York 10001", "1 192.0.2.30: ops1 Blue:Kite:7 |New York|New York|10001"},
	"dashes, long ones":    {"192.0.2.30 – ops1:Blue-Kite-7 — Arizona/Phoenix 85001", "1 192.0.2.30: ops1 Blue-Kite-7 |Arizona|Phoenix|85001"},
	"dashes, country":      {"vpn.example.net - ops1:Blue-Kite-7 - Germany/Berlin 10115 | 2025-09-03", "1 vpn.example.net: ops1 Blue-Kite-7 DE||Berlin|10115"},
	"dashes, a bar":        {"192.0.2.30 - ops1:Blue|Kite - Texas/Austin 78701", "1 192.0.2.30: ops1 Blue|Kite |Texas|Austin|78701"},
	"dashes, too many":     {"192.0.2.30 - ops1:Blue - Kite - Texas/Austin 78701", "1 !dashes"},
	"dashes, no colon":     {"192.0.2.30 - ops1 - Texas/Austin 78701", "1 !credentials"},
	"colons, long":         {"192.0.2.40:ops1:Blue-Kite-7:US:AZ:85001", "1 192.0.2.40: ops1 Blue-Kite-7 US|AZ||85001"},
	"colons, long, names":  {"192.0.2.40:ops1:Blue-Kite-7:United States:New York:10001", "1 192.0.2.40: ops1 Blue-Kite-7 US|New York||10001"},
	"colons, long, empty":  {"192.0.2.40:ops1:Blue-Kite-7:DE::10115", "1 192.0.2.40: ops1 Blue-Kite-7 DE|||10115"},
	"colons, long, UK":     {"192.0.2.40:ops1:Blue-Kite-7:UK:England:SW1A 1AA", "1 192.0.2.40: ops1 Blue-Kite-7 GB|England||SW1A 1AA"},
	"colons, no country":   {"192.0.2.40:ops1:a:b:c:d", "1 !ambiguous"},
	"colons, no state":     {"192.0.2.40:ops1:Blue:US:Kite:7", "1 !ambiguous"},
	"colons, port in long": {"192.0.2.40:1723:ops1:US:TX:78701", "1 !ambiguous.port"},
	"colons, short":        {"192.0.2.70:ops1:Blue-Kite-7", "1 192.0.2.70: ops1 Blue-Kite-7"},
	"colons, host":         {"vpn.example.net:ops1:Blue-Kite-7", "1 vpn.example.net: ops1 Blue-Kite-7"},
	"colons, port":         {"192.0.2.70:1723:ops1:Blue-Kite-7", "1 192.0.2.70:1723 ops1 Blue-Kite-7"},
	"colons, no port":      {"192.0.2.70:ops1:Blue:Kite", "1 !ambiguous"},
	"colons, wrong port":   {"192.0.2.70:99999:ops1:Blue-Kite-7", "1 !field.port"},
	"colons, port alone":   {"192.0.2.70:1723:ops1", "1 !ambiguous.port"},
	"colons, five":         {"192.0.2.70:1723:ops1:Blue:Kite", "1 !ambiguous"},
	"colons, five again":   {"192.0.2.70:ops1:Blue-Kite-7:US:AZ", "1 !ambiguous"},
	"colons, seven":        {"192.0.2.70:1723:ops1:Blue-Kite-7:US:AZ:85001", "1 192.0.2.70:1723 ops1 Blue-Kite-7 US|AZ||85001"},
	"colons, no password":  {"192.0.2.70:ops1:", "1 !no_password"},
	"colons, no login":     {"192.0.2.70::Blue-Kite-7", "1 !no_login"},
	"colons, a number":     {"192.0.2.70:10001:Blue-Kite-7", "1 192.0.2.70: 10001 Blue-Kite-7"},
	"colons, not an octet": {"192.0.2.300:ops1:Blue-Kite-7", "1 !field.address.octet"},
	"colons, three octets": {"192.0.2:ops1:Blue-Kite-7", "1 !field.address.ipv4"},
	"URL":                  {"pptp://ops1:Blue%2DKite@vpn.example.net:1723", "1 vpn.example.net:1723 ops1 Blue-Kite"},
	"URL, no port":         {"PPTP://ops1:Blue-Kite-7@192.0.2.80/", "1 192.0.2.80: ops1 Blue-Kite-7"},
	"URL, colons":          {"pptp://ops1:Blue:Kite%3A7@192.0.2.80:1723", "1 192.0.2.80:1723 ops1 Blue:Kite:7"},
	"URL, at":              {"pptp://ops1:Blue@Kite%40@192.0.2.80", "1 192.0.2.80: ops1 Blue@Kite@"},
	"URL, plus and hash":   {"pptp://ops1:Blue+Kite#7@192.0.2.80", "1 192.0.2.80: ops1 Blue+Kite#7"},
	"URL, percent":         {"pptp://ops1:Blue%Kite@192.0.2.80", "1 !percent"},
	"URL, no password":     {"pptp://ops1@192.0.2.80", "1 !no_password"},
	"URL, nobody":          {"pptp://192.0.2.80:1723", "1 !no_login"},
	"URL, a path":          {"pptp://ops1:Blue-Kite-7@192.0.2.80/x?y", "1 !url"},
	"URL, another scheme":  {"http://ops1:Blue-Kite-7@192.0.2.80", "1 !scheme.of"},
	"range, bits":          {"192.0.2.0/24", "1 !field.address.range"},
	"range, bits, colons":  {"192.0.2.0/24:ops1:Blue-Kite-7", "1 !field.address.range"},
	"range, bits, words":   {"192.0.2.0/24 ops1 Blue-Kite-7", "1 !field.address.range"},
	"range, last octet":    {"192.0.2.1-50 ops1 Blue-Kite-7 TX", "1 !field.address.range"},
	"range, colons":        {"192.0.2.1-50:ops1:Blue-Kite-7", "1 !field.address.range"},
	"range, dashes":        {"192.0.2.1-50 - ops1:Blue-Kite-7 - Texas/Austin", "1 !field.address.range"},
	"range, spread":        {"192.0.2.1 - 192.0.2.50", "1 !field.address.range"},
	"range, spread, more":  {"192.0.2.1 - 192.0.2.50 ops1 Blue-Kite-7", "1 !field.address.range"},
	"range, en dash":       {"192.0.2.1–192.0.2.50 ops1 Blue-Kite-7", "1 !field.address.range"},
	"range, star":          {"192.0.2.*:ops1:Blue-Kite-7", "1 !field.address.range"},
	"range, URL":           {"pptp://ops1:Blue-Kite-7@192.0.2.0/24", "1 !field.address.range"},
	"range, URL, octet":    {"pptp://ops1:Blue-Kite-7@192.0.2.1-50:1723", "1 !field.address.range"},
	"range, label":         {"Ip: 192.0.2.1-50\nLogin: ops1\nPass: x", "1 !field.address.range"},
	"IPv6":                 {"2001:db8::1 ops1 Blue-Kite-7", "1 !field.address.ipv6"},
	"IPv6, brackets":       {"[2001:db8::1]:1723:ops1:Blue-Kite-7", "1 !field.address.ipv6"},
	"prose":                {"these are the servers", "1 !form"},
	"address alone":        {"192.0.2.70", "1 !no_login"},
	"address and login":    {"192.0.2.70 ops1", "1 !no_password"},
	"block": {"Ip: 192.0.2.10\nLogin: ops1\nPass: Blue-Kite-7\nState: CA\nCity: Los Angeles\nZip: 90001",
		"1 192.0.2.10: ops1 Blue-Kite-7 |CA|Los Angeles|90001"},
	"labelled":          {"IP: 192.0.2.50\nCredentials: ops1:Blue:Kite\nLocation: Texas (Austin)\nZIP: 78701", "1 192.0.2.50: ops1 Blue:Kite |Texas|Austin|78701"},
	"block, no blanks":  {"ip:192.0.2.10\nlogin:ops1\npass:Blue:Kite", "1 192.0.2.10: ops1 Blue:Kite"},
	"block, any order":  {"Pass: Blue-Kite-7\nLogin: ops1\nServer: vpn.example.net:1724", "1 vpn.example.net:1724 ops1 Blue-Kite-7"},
	"block, comment":    {"Ip: 192.0.2.10\n# x\nLogin: ops1\n// y\nPass: Blue-Kite-7", "1 192.0.2.10: ops1 Blue-Kite-7"},
	"block, spaced out": {"Ip: 192.0.2.10\n\nLogin: ops1\n\nPass: Blue-Kite-7\n\nState: CA", "1 192.0.2.10: ops1 Blue-Kite-7 |CA"},
	"block, Russian":    {"IP-адрес: 192.0.2.10\nЛогин: ops1\nПароль: Синий\nСтрана: Россия\nГород: Москва", "1 192.0.2.10: ops1 Синий RU||Москва"},
	"block, no login":   {"Ip: 192.0.2.10\nPass: Blue-Kite-7", "1 !no_login"},
	"block, login only": {"Login: ops1", "1 !no_address"},
	"block, twice":      {"Ip: 192.0.2.10\nLogin: ops1\nPass: a\nLogin: ops2\nPass: b", "1 !twice"},
	"block, ignored":    {"Ip: 192.0.2.10\nStatus: up\nLogin: ops1\nPass: Blue-Kite-7\nExpires: 2026-01-01", "1 192.0.2.10: ops1 Blue-Kite-7"},
}

func TestForms(t *testing.T) {
	for name, tt := range lineForms {
		t.Run(name, func(t *testing.T) {
			for _, ending := range []string{"\n", "\r\n", "\r"} {
				checkRows(t, strings.ReplaceAll(tt.text, "\n", ending), Options{}, tt.want)
				checkRows(t, strings.ReplaceAll(tt.text, "\n", ending)+ending, Options{}, tt.want)
			}
			checkRows(t, "\ufeff"+tt.text, Options{}, tt.want)
		})
	}
}

func TestMixed(t *testing.T) {
	text := `# our servers
// and more

Ip: 192.0.2.10
Login: ops1
Pass: Blue-Kite-7
State: CA
Ip: 192.0.2.11
Login: ops1
Pass: Blue-Kite-8
192.0.2.20 ops1 Blue-Kite-7 TX
192.0.2.30 - ops1:Blue-Kite-7 - Arizona/Phoenix 85001 | 2025-09-03 16:05:25

192.0.2.40:ops1:Blue-Kite-7:US:AZ:85001
nonsense
IP: 192.0.2.50
Credentials: ops1:Blue:Kite
Location: Texas (Austin)
ZIP: 78701

192.0.2.70:ops1:Blue-Kite-7
192.0.2.71:1723:ops1:Blue-Kite-7
pptp://ops1:Blue%2DKite@vpn.example.net:1723
Login: late
Pass: x
Ip: 192.0.2.90
Login: later
Pass: y
Ip: 192.0.2.91
`
	checkRows(t, text, Options{},
		"4 192.0.2.10: ops1 Blue-Kite-7 |CA",
		"8 192.0.2.11: ops1 Blue-Kite-8",
		"11 192.0.2.20: ops1 Blue-Kite-7 |TX",
		"12 192.0.2.30: ops1 Blue-Kite-7 |Arizona|Phoenix|85001",
		"14 192.0.2.40: ops1 Blue-Kite-7 US|AZ||85001",
		"15 !form",
		"16 192.0.2.50: ops1 Blue:Kite |Texas|Austin|78701",
		"21 192.0.2.70: ops1 Blue-Kite-7",
		"22 192.0.2.71:1723 ops1 Blue-Kite-7",
		"23 vpn.example.net:1723 ops1 Blue-Kite",
		"24 192.0.2.90: late x",
		"27 192.0.2.91: later y",
	)
}

func TestRowAmidText(t *testing.T) {
	checkRows(t, "192.0.2.1 ops1 x\n192.0.2.2 ops1 x\n192.0.2.3,ops1,x\n", Options{},
		"1 192.0.2.1: ops1 x", "2 192.0.2.2: ops1 x", "3 !table")
}

func TestBlocks(t *testing.T) {
	checkRows(t, "Country: US\nIp: 192.0.2.1\nLogin: a\nPass: 1\n\nIp: 192.0.2.2\nLogin: b\nPass: 2\n\nCountry: DE\nIp: 192.0.2.3\nLogin: c\nPass: 3\n", Options{},
		"1 192.0.2.1: a 1 US", "6 192.0.2.2: b 2", "10 192.0.2.3: c 3 DE")
	checkRows(t, "Ip: 192.0.2.1\nLogin: a\nPass: 1\nFoo bar: baz\nCity: Rome\n", Options{},
		"4 !label", "1 192.0.2.1: a 1 ||Rome")
	checkRows(t, "Login: a\n\nPass: 1\n\nIp: 192.0.2.1\n\nLogin: b\n\nPass: 2\n\nIp: 192.0.2.2\n", Options{},
		"1 192.0.2.1: a 1", "7 192.0.2.2: b 2")
	checkRows(t, "Ip: 192.0.2.1\nLogin: a\n\nIp: 192.0.2.2\nLogin: b\nPass: 2\n", Options{},
		"1 !no_password", "4 192.0.2.2: b 2")
}

func TestTables(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"plain": {"address,login,password\n192.0.2.1,ops1,Blue-Kite-7\n", []string{"2 192.0.2.1: ops1 Blue-Kite-7"}},
		"any order, aliases": {"Pass;User Name;Comment;HOST;Country;Region;Postal Code;ISP;Tag\nBlue;ops1;x;vpn.example.net;usa;TX;78701;Hoster;a,b\n",
			[]string{"2 vpn.example.net: ops1 Blue US|TX||78701|Hoster|x|a,b"}},
		"tabs":               {"ip\tport\tlogin\tpwd\n192.0.2.1\t1724\tops1\ta,b;c\n", []string{"2 192.0.2.1:1724 ops1 a,b;c"}},
		"quotes":             {"ip,login,password,city\n192.0.2.1,\"ops,1\",\"say \"\"hi\"\":x\",\"A, B\"\n", []string{`2 192.0.2.1: ops,1 say "hi":x ||A, B`}},
		"quotes inside":      {"ip,login,password\n192.0.2.1,ops1,Blue\"Kite\n", []string{`2 192.0.2.1: ops1 Blue"Kite`}},
		"colons":             {"ip,login,password\n192.0.2.1,ops1,a:b:c\n", []string{"2 192.0.2.1: ops1 a:b:c"}},
		"port in address":    {"ip,login,password\n192.0.2.1:1724,ops1,x\n", []string{"2 192.0.2.1:1724 ops1 x"}},
		"two ports":          {"ip,port,login,password\n192.0.2.1:1724,1723,ops1,x\n", []string{"2 !ports"}},
		"comments, blanks":   {"# x\n\nip,login,password\n// y\n192.0.2.1,ops1,x\n\n,,\n#192.0.2.2,ops1,x\n", []string{"5 192.0.2.1: ops1 x"}},
		"hash in first":      {"password,ip,login\n#x,192.0.2.1,ops1\n# 192.0.2.2\n", []string{"2 192.0.2.1: ops1 #x"}},
		"padded":             {"ip, login, password\n192.0.2.1, ops1, \"a b \"\n192.0.2.2 , ops2 , pw \n", []string{"2 192.0.2.1: ops1 a b", "3 192.0.2.2: ops2 pw"}},
		"blanks in password": {"ip,login,password,zip\n192.0.2.1,ops1,\" x \",1\n192.0.2.1,ops2,x ,1\n", []string{"2 192.0.2.1: ops1  x  |||1", "3 192.0.2.1: ops2 x  |||1"}},
		"short row":          {"ip,login,password,city\n192.0.2.1,ops1,x\n192.0.2.2,ops1\n", []string{"2 192.0.2.1: ops1 x", "3 !no_password"}},
		"long row":           {"ip,login,password\n192.0.2.1,ops1,x,y\n192.0.2.1,ops1,x,,\n", []string{"2 !columns", "3 192.0.2.1: ops1 x"}},
		"a bad one amid":     {"ip,login,password\n192.0.2.300,ops1,x\n192.0.2.1,,x\n192.0.2.0/24,ops1,x\n192.0.2.2,ops1,x\n", []string{"2 !field.address.octet", "3 !no_login", "4 !field.address.range", "5 192.0.2.2: ops1 x"}},
		"unknown country":    {"ip,login,password,country\n192.0.2.1,ops1,,Blue-Kite-7\n", []string{"2 !no_password"}},
		"bad port":           {"ip,port,login,password\n192.0.2.1,70000,ops1,x\n", []string{"2 !field.port"}},
		"sep":                {"sep=;\nip;login;password\n192.0.2.1;ops1;x\n", []string{"3 192.0.2.1: ops1 x"}},
		"quoted header":      {"\"ip\";\"login\";\"password\"\n\"192.0.2.1\";\"ops1\";\"x\"\n", []string{"2 192.0.2.1: ops1 x"}},
		"comment of lines":   {"ip,login,password,comment\n192.0.2.1,ops1,x,\"one\ntwo\"\n192.0.2.2,ops1,x,y\n", []string{"2 192.0.2.1: ops1 x |||||one\ntwo", "4 192.0.2.2: ops1 x |||||y"}},
		"quote left open":    {"ip,login,password\n192.0.2.1,ops1,\"x\n192.0.2.2,ops1,y\n192.0.2.3,ops1,\"z\"\n", []string{"2 !quote", "3 192.0.2.2: ops1 y", "4 192.0.2.3: ops1 z"}},
		"quote swallows":     {"ip,login,password,zip\n192.0.2.1,ops1,\"x\n192.0.2.2,ops1,y\",1\n192.0.2.3,ops1,z\n", []string{"2 !quote", "3 192.0.2.2: ops1 y\" |||1", "4 192.0.2.3: ops1 z"}},
		"quote at the end":   {"ip,login,password\n192.0.2.1,ops1,x\n192.0.2.2,ops1,\"y", []string{"2 192.0.2.1: ops1 x", "3 !quote"}},
		"text after quote":   {"ip,login,password\n192.0.2.1,ops1,\"x\"y\n192.0.2.2,ops1,y\n", []string{"2 !quote", "3 192.0.2.2: ops1 y"}},
		"no password column": {"ip,login,country\n192.0.2.1,ops1,DE\n", []string{"2 192.0.2.1: ops1  nopassword DE"}},
		"credentials":        {"ip,credentials,location\n192.0.2.1,ops1:a:b,Texas (Austin)\n", []string{"2 192.0.2.1: ops1 a:b |Texas|Austin"}},
		"Russian":            {"Адрес;Логин;Пароль;Страна;Город\n192.0.2.1;ops1;x;США;Остин\n", []string{"2 192.0.2.1: ops1 x US||Остин"}},
		"server is a name":   {"server,ip,login,password\nbox,192.0.2.1,ops1,x\n", []string{"2 192.0.2.1: ops1 x"}},
	} {
		t.Run(name, func(t *testing.T) {
			checkRows(t, tt.text, Options{}, tt.want...)
			checkRows(t, "\ufeff"+tt.text, Options{}, tt.want...)
			if name != "comment of lines" {
				checkRows(t, strings.ReplaceAll(tt.text, "\n", "\r\n"), Options{}, tt.want...)
				checkRows(t, strings.ReplaceAll(tt.text, "\n", "\r"), Options{}, tt.want...)
			}
		})
	}
}

func TestMapping(t *testing.T) {
	text := "192.0.2.1;1723;ops1;Blue-Kite-7;DE;Berlin\n192.0.2.2;1723;ops2;Blue-Kite-8;FR;Paris\n"
	rd, _ := readRows(t, strings.NewReader(text), Options{})
	s := rd.Shape()
	want := []string{"address", "port", "login", "password", "country", "city"}
	if s.Format != CSV || s.Separator != ";" || s.Header || !s.Unmapped || fmt.Sprint(s.Mapping) != fmt.Sprint(want) || len(s.Sample) != 2 {
		t.Errorf("shape is %+v", s)
	}
	checkRows(t, text, Options{Mapping: []string{"address", "", "password", "login", "", "city"}},
		"1 192.0.2.1: Blue-Kite-7 ops1 ||Berlin", "2 192.0.2.2: Blue-Kite-8 ops2 ||Paris")

	rd, _ = readRows(t, strings.NewReader("Box,VPN name,Word\n192.0.2.1,ops1,x\n192.0.2.2,ops1,x\n"), Options{})
	if s := rd.Shape(); !s.Header || !s.Unmapped {
		t.Errorf("unknown names: shape is %+v", s)
	}
	rd, _ = readRows(t, strings.NewReader("ip,word\n192.0.2.1,ops1\n"), Options{Separator: ","})
	if s := rd.Shape(); !s.Unmapped {
		t.Errorf("no login: shape is %+v", s)
	}
	checkRows(t, "Box,VPN name,Word\n192.0.2.1,ops1,x\n", Options{Mapping: []string{"address", "login", "password"}}, "2 192.0.2.1: ops1 x")
	for _, bad := range [][]string{nil, {"address"}, {"address", "login", "login"}, {"address", "login", "x"}} {
		if CheckMapping(bad) == nil {
			t.Errorf("mapping %q is taken", bad)
		}
	}
}

// TestTextIsNoTable checks that separators inside other forms do not make a text a
// CSV.
func TestTextIsNoTable(t *testing.T) {
	for _, text := range []string{
		"192.0.2.30 - ops1:Blue,Kite;7,8 - Arizona/Phoenix 85001",
		"192.0.2.70:ops1:Blue,Kite,7",
		"192.0.2.20 ops1 Blue;Kite;7 TX",
		"IP: 192.0.2.50\nCredentials: ops1:Blue,Kite,7\nLocation: Austin, TX, US",
		"pptp://ops1:a,b,c@192.0.2.1",
	} {
		rd, _ := readRows(t, strings.NewReader(text), Options{})
		if f := rd.Shape().Format; f != Text {
			t.Errorf("%q is %s", text, f)
		}
	}
}

func TestEncodings(t *testing.T) {
	text := "ip;login;password;country;city;comment\r\n192.0.2.1;ops1;Пароль;Россия;Москва;Ёлка — №1\r\n"
	want := "2 192.0.2.1: ops1 Пароль RU||Москва|||Ёлка — №1"
	cp1251, err := charmap.Windows1251.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	for encoding, text := range map[string]string{UTF8: text, Windows1251: cp1251, UTF16: wide} {
		rd, got := readRows(t, strings.NewReader(text), Options{})
		if rd.Shape().Encoding != encoding || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %s, %q", encoding, rd.Shape().Encoding, got)
		}
	}
	// The first byte that reveals the encoding may come late.
	late := "ip;login;password;city\n" + strings.Repeat("192.0.2.1;ops1;x;Rome\n", 20000) + "192.0.2.2;ops1;x;\xcc\xee\xf1\xea\xe2\xe0\n"
	rd, got := readRows(t, strings.NewReader(late), Options{})
	if rd.Shape().Encoding != Windows1251 || got[20000] != "20002 192.0.2.2: ops1 x ||Москва" {
		t.Errorf("late: %s, %q", rd.Shape().Encoding, got[20000])
	}
	checkRows(t, "ip;login;password;city\n192.0.2.1;ops1;x;M\xfcnchen\n", Options{}, "2 192.0.2.1: ops1 x ||München")
	checkRows(t, "ip;login;password;city\n192.0.2.1;ops1;x;\xcc\xee\xf1\xea\xe2\xe0\n", Options{Encoding: UTF8}, "2 !encoding")
	checkRows(t, "192.0.2.1 ops1 Пароль\n192.0.2.2 ops1 \xcf\xe0\n", Options{}, "1 192.0.2.1: ops1 Пароль", "2 !encoding")
}

func TestNoText(t *testing.T) {
	png := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), bytes.Repeat([]byte{0, 1, 2, 3, 0xff}, 100)...)
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"empty":    {nil, "import.error.empty"},
		"blank":    {[]byte(" \r\n\t\n"), "import.error.empty"},
		"only BOM": {[]byte("\ufeff"), "import.error.empty"},
		"PNG":      {png, "import.error.binary"},
		"NUL":      {[]byte("ip,login,password\n192.0.2.1,o\x00ps,x\n"), "import.error.binary"},
		"controls": {bytes.Repeat([]byte("\x01\x02ab"), 50), "import.error.binary"},
		"workbook": {[]byte("PK\x03\x04aaaaaa"), "import.error.workbook"},
	} {
		_, err := New(bytes.NewReader(tt.data), Options{})
		if got := connexa.TextOf(err).Key; err == nil || got != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("the disk is gone")
	rd, err := New(io.MultiReader(strings.NewReader(strings.Repeat("192.0.2.1 ops1 x\n", 100000)), iotest.ErrReader(broken)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, err = range rd.Rows() {
	}
	if !errors.Is(err, broken) {
		t.Errorf("the source's error is %v", err)
	}
}

func TestLongLines(t *testing.T) {
	just, over := strings.Repeat("x", MaxLine-len("192.0.2.2 ops1 ")), strings.Repeat("x", MaxLine)
	for _, ending := range []string{"\n", "\r\n", "\r"} {
		e := func(s string) string { return strings.ReplaceAll(s, "\n", ending) }
		checkRows(t, e("192.0.2.1 ops1 x\n192.0.2.2 ops1 "+over+"\n192.0.2.3 ops1 x\n"), Options{}, "1 192.0.2.1: ops1 x", "2 !long", "3 192.0.2.3: ops1 x")
		checkRows(t, e("192.0.2.2 ops1 "+just+"\n192.0.2.3 ops1 x\n"), Options{}, "1 !field.password.long", "2 192.0.2.3: ops1 x")
		checkRows(t, e("192.0.2.2 ops1 "+just+"x\n192.0.2.3 ops1 x\n"), Options{}, "1 !long", "2 192.0.2.3: ops1 x")
		checkRows(t, e("192.0.2.2 ops1 "+strings.Repeat(over, 9)), Options{}, "1 !long")
		checkRows(t, e("ip,login,password\n192.0.2.1,ops1,"+over+"\n192.0.2.3,ops1,x\n"), Options{}, "2 !long", "3 192.0.2.3: ops1 x")
		// A quoted record that does not end within the limit costs one line.
		rows := []string{"2 !long_record"}
		text := "ip,login,password\n192.0.2.1,ops1,\"x\n"
		for i := range 5000 {
			text += "192.0.2.3,ops1,x\n"
			rows = append(rows, fmt.Sprintf("%d 192.0.2.3: ops1 x", i+3))
		}
		checkRows(t, e(text), Options{}, rows...)
		checkRows(t, e(text+"192.0.2.4,ops1,\"y\"\n"), Options{}, append(rows, "5003 192.0.2.4: ops1 y")...)
	}
}

// TestExport reads an export of the panel.
func TestExport(t *testing.T) {
	checkRows(t, "address,port,login,password,country,state,city,zip,provider,comment,tags,status,suspect,step,cause,latency_ms,loss,down_mbps,up_mbps,last_check\n"+
		"192.0.2.1,1723,ops1,\"a,b\"\"c:d\",US,TX,Austin,78701,Hoster,\"=1+1, 'x'\",\"one,two\",ping_ok,0,control,,12.5,0,,,2025-09-03T16:05:25Z\n", Options{},
		`2 192.0.2.1:1723 ops1 a,b"c:d US|TX|Austin|78701|Hoster|=1+1, 'x'|one,two`)
	checkRows(t, "address,port,login,country,state,city,zip,provider,comment,tags,status,suspect,step,cause,latency_ms,loss,down_mbps,up_mbps,last_check\n"+
		"192.0.2.1,1723,ops1,US,TX,Austin,78701,,,,not_tested,0,none,,,,,,\n", Options{},
		"2 192.0.2.1:1723 ops1  nopassword US|TX|Austin|78701")
}

func TestCountry(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "us": "US", "USA": "US", "U.S.A.": "US", "United States": "US", "United States of America": "US", "США": "US", "Соединённые Штаты": "US",
		"UK": "GB", "England": "GB", "Great Britain": "GB", "Великобритания": "GB", "Англия": "GB", "Россия": "RU", "РФ": "RU", "Russian Federation": "RU",
		"deu": "DE", "Германия": "DE", "germany": "DE", "The Netherlands": "NL", "Голландия": "NL", "Нидерланды": "NL", "South Korea": "KR", "Южная Корея": "KR",
		"Türkiye": "TR", "Turkey": "TR", "Турция": "TR", "Czech Republic": "CZ", "Чехия": "CZ", "Hong Kong": "HK", "Гонконг": "HK", "Viet Nam": "VN",
		"Moldova": "MD", "Молдавия": "MD", "Белоруссия": "BY", "Беларусь": "BY", "Казахстан": "KZ", "ОАЭ": "AE", "Cote d’Ivoire": "CI", "Bosnia & Herzegovina": "BA",
		"Украина": "UA", "Франция": "FR", "Canada": "CA", "Brasil": "?", "Atlantis": "?", "ZZ": "?", "Blue-Kite-7": "?",
	} {
		code, ok := Country(name)
		if !ok {
			code = "?"
		}
		if code != want {
			t.Errorf("Country(%q) = %q, want %q", name, code, want)
		}
	}
}

func TestPlace(t *testing.T) {
	for s, want := range map[string]place{
		"Texas (Austin)":           {"", "Texas", "Austin", ""},
		"Germany (Berlin)":         {"DE", "", "Berlin", ""},
		"Arizona/Phoenix 85001":    {"", "Arizona", "Phoenix", "85001"},
		"US/Arizona/Phoenix 85001": {"US", "Arizona", "Phoenix", "85001"},
		"Austin, TX, USA":          {"US", "TX", "Austin", ""},
		"Austin, TX 78701":         {"", "TX", "Austin", "78701"},
		"TX, Austin":               {"", "TX", "Austin", ""},
		"Berlin, Germany":          {"DE", "", "Berlin", ""},
		"Georgia/Atlanta":          {"", "Georgia", "Atlanta", ""},
		"England/London SW1A 1AA":  {"GB", "", "London", "SW1A 1AA"},
		"TX":                       {"", "TX", "", ""},
		"Rome":                     {"", "", "Rome", ""},
		"":                         {},
	} {
		if got := parsePlace(s); got != want {
			t.Errorf("parsePlace(%q) = %+v, want %+v", s, got, want)
		}
	}
}

// FuzzRows checks for any text that reading ends without a panic, that a good row is a
// valid node, and that line numbers are inside the text.
func FuzzRows(f *testing.F) {
	for _, s := range []string{
		"ip,login,password\n192.0.2.1,ops1,\"x\ny\"\n", "Ip: 192.0.2.1\r\nLogin: a\rPass: b\n\n", "192.0.2.1:1723:ops1:x", "\ufeffa;b;c\n192.0.2.1;b;c",
		pppPeer + pppSecrets, "==> a <==\nuser b\npty \"pptp 192.0.2.1\"\nb * \\xff *", phonebookText, uciNetwork, "config interface 'a'\noption proto 'pptp'\n192.0.2.1 a b", "192.0.2.30 - ops1:x - Arizona/Phoenix 85001 | 2025-09-03", "pptp://a:b%41@h.example:1", "sep=;\nip;login\n1;\"", "192.0.2.1\tops1\t\xcf\xe0\xf0\xee\xeb\xfc",
	} {
		f.Add([]byte(s), byte(0))
	}
	f.Fuzz(func(t *testing.T, data []byte, mode byte) {
		o := Options{}
		if mode&1 != 0 {
			o.Separator = []string{",", ";", "\t"}[int(mode>>1)%3]
			o.Mapping = []string{"address", "login", "password", "country", "comment"}
		}
		rd, err := New(bytes.NewReader(data), o)
		if err != nil {
			return
		}
		for row, err := range rd.Rows() {
			if err != nil {
				t.Fatal(err)
			}
			if row.Line < 1 || row.Line > len(data) {
				t.Fatalf("line %d of %d bytes", row.Line, len(data))
			}
			if !row.Problem.IsZero() {
				continue
			}
			in := row.Input
			if row.NoPassword {
				in.Password = "-"
			}
			if _, _, err := connexa.ParseNode(in); err != nil {
				t.Fatalf("line %d is good, and %v", row.Line, err)
			}
		}
	})
}

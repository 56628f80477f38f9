package importer

import (
	"fmt"
	"strings"
	"testing"
)

// An interface of OpenWrt as /etc/config/network has it.
const uciNetwork = `config globals 'globals'
	option ula_prefix 'fd00::/48'

config interface 'wan'
	option proto 'dhcp'
	option server '198.51.100.1'
	option username 'nobody'
	option password 'x'

config interface 'office'
	option proto 'pptp'
	option server 'vpn.example.net'
	option username 'CORP\ops1'
	option password 'Blue'\''s Kite: 7'
	list dns '192.0.2.53'

config interface "lab"
	option proto "pptp"
	option server "192.0.2.20"
	option username ops2
	option password "a\"b"
	option auto '0'
`

func TestUCI(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"network", uciNetwork, `10 vpn.example.net "CORP\\ops1" "Blue's Kite: 7" office []|17 192.0.2.20 "ops2" "a\"b" lab [import.note.disabled]`},
		{"with other text", uciNetwork + "\n192.0.2.30:ops3:Blue-Kite-7\n", `10 vpn.example.net "CORP\\ops1" "Blue's Kite: 7" office []|17 192.0.2.20 "ops2" "a\"b" lab [import.note.disabled]|24 192.0.2.30 "ops3" "Blue-Kite-7"  []`},
		{"open quote", "config interface vpn\n\toption proto pptp\n\toption server 192.0.2.1\n\toption username a\n\toption password 'b\n", "1 import.bad.uci"},
		{"twice", "config interface vpn\n\toption proto pptp\n\toption server 192.0.2.1\n\toption server 192.0.2.2\n\toption username a\n\toption password b\n", "1 import.bad.twice"},
		{"no login", "config interface vpn\n\toption proto pptp\n\toption server 192.0.2.1\n\toption password b\n", "1 import.bad.no_login"},
		{"no password", "config interface vpn\n\toption proto pptp\n\toption server 192.0.2.1\n\toption username b\n", "1 import.bad.no_password"},
	} {
		if g := rowsOf(t, c.text); g != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, g, c.want)
		}
	}
}

// rowsOf returns the rows of a text with bars between them: line, address, login,
// password, comment and notes, or line and reason.
func rowsOf(t *testing.T, text string) string {
	t.Helper()
	r, err := New(strings.NewReader(text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for row, err := range r.Rows() {
		switch in := row.Input; {
		case err != nil:
			t.Fatal(err)
		case !row.Problem.IsZero():
			got = append(got, fmt.Sprint(row.Line, " ", row.Problem.Key))
		default:
			notes := []string{}
			for _, n := range row.Notes {
				notes = append(notes, n.Key)
			}
			got = append(got, fmt.Sprintf("%d %s %q %q %s %v", row.Line, in.Address, in.Login, in.Password, in.Comment, notes))
		}
	}
	return strings.Join(got, "|")
}

package importer

import (
	"strings"
	"testing"
)

func TestMask_ShowsTheAddressOnly(t *testing.T) {
	table := Shape{Format: CSV, Separator: ","}
	columns := []string{"login", "address", "password"}
	for _, tt := range []struct {
		text    string
		shape   Shape
		columns []string
		want    string
	}{
		{"192.0.2.20 ops1 Blue", Shape{Format: Text}, nil, "192.0.2.20 •••"},
		{"192.0.2.20:1723:ops1", Shape{Format: Text}, nil, "192.0.2.20 •••"},
		{"192.0.2.20", Shape{Format: Text}, nil, "192.0.2.20"},
		{"192.0.2.20\r ops1 Blue", Shape{Format: Text}, nil, "192.0.2.20 •••"},
		{"192.0.2.20\f,ops1,Blue", Shape{Format: Text}, nil, "192.0.2.20 •••"},
		{"192.0.2.20x ops1 Blue", Shape{Format: Text}, nil, "•••"},
		{"Blue.Kite", Shape{Format: Text}, nil, "•••"},
		{"vpn.example.net ops1 192.0.2.9", Shape{Format: Text}, nil, "•••"},
		{"ops1:Blue@192.0.2.9", Shape{Format: Text}, nil, "•••"},
		{"Blue Kite 192.0.2.9", Shape{Format: Text}, nil, "•••"},
		{"pptp://ops1:Blue@192.0.2.9:99999", Shape{Format: Text}, nil, "•••"},
		{"Ip: 192.0.2.9\nLogin: ops1\nPass: Blue\nKite", Shape{Format: Text}, nil, "Ip: 192.0.2.9\nLogin: •••\nPass: •••\n•••"},
		{"Ip: Blue.Kite\nPass: 192.0.2.9", Shape{Format: Text}, nil, "Ip: •••\nPass: •••"},
		{"Ip: 192.0.2.9 Pass: Blue", Shape{Format: Text}, nil, "Ip: •••"},
		{"{\"ip\":\"192.0.2.9\",\"pass\":\"Blue\"}", Shape{Format: JSON}, nil, "•••"},
		{"ops1,192.0.2.9,Blue", table, columns, "192.0.2.9 •••"},
		{"192.0.2.9,Blue.Kite,", table, columns, "•••"},
		{"ops1,\"192.0.2.9\",\"Blue", table, columns, "•••"},
		{"192.0.2.9", table, columns, "•••"},
	} {
		if got := Mask(tt.text, tt.shape, tt.columns); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add("192.0.2.1", "ops1", "Blue-Kite-7", byte(0))
	f.Add("vpn.example.net", "ops1", "x y", byte(3))
	f.Fuzz(func(t *testing.T, host, login, password string, form byte) {
		if len(password) < 3 || strings.ContainsAny(password, "•\r\n") || strings.TrimSpace(password) != password || strings.Contains(host, password) {
			return
		}
		s, columns := Shape{Format: Text}, []string(nil)
		text := host + []string{" ", ":", ",", "\t"}[form%4] + login + []string{" ", ":", ",", "\t"}[form%4] + password
		switch form / 4 % 3 {
		case 1:
			s, columns = Shape{Format: CSV, Separator: ","}, []string{"address", "login", "password"}
		case 2:
			text = "Ip: " + host + "\nLogin: " + login + "\nPass: " + password
		}
		got := Mask(text, s, columns)
		for shown := range strings.Lines(got) {
			shown = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(shown, "\n"), masked), " ")
			if l, ok := findLabel(shown); ok && l.field != "" && plainName.MatchString(shown) {
				continue
			}
			if _, address, ok := strings.Cut(shown, ": "); ok {
				shown = address
			}
			if shown != "" && !ipv4Alone.MatchString(shown) {
				t.Errorf("%q shows %q", text, got)
			}
		}
	})
}

func TestParseLine(t *testing.T) {
	table := Shape{Format: CSV, Separator: ";"}
	columns := []string{"address", "login", "password", "country"}
	for _, tt := range []struct {
		text    string
		shape   Shape
		columns []string
		want    string
	}{
		{"192.0.2.1;ops1;a;DE", table, columns, "1 192.0.2.1: ops1 a DE"},
		{"192.0.2.1;ops1;", table, columns, "1 !no_password"},
		{"192.0.2.1 ops1 a", table, columns, "1 192.0.2.1: ops1 a"},
		{"192.0.2.1 ops1 a", Shape{Format: Text}, nil, "1 192.0.2.1: ops1 a"},
		{"192.0.2.1", Shape{Format: Text}, nil, "1 !no_login"},
		{"Ip: 192.0.2.1\r\nLogin: ops1\r\nPass: a\r\n", Shape{Format: Text}, nil, "1 192.0.2.1: ops1 a"},
		{"192.0.2.1 ops1 a\n192.0.2.2 ops1 a", Shape{Format: Text}, nil, "1 !several"},
		{"192.0.2.1;ops1;a;DE\n192.0.2.2;ops1;a;DE", table, columns, "1 !several"},
		{"  ", Shape{Format: Text}, nil, "1 !no_address"},
		{"# 192.0.2.1 ops1 a", Shape{Format: Text}, nil, "1 !form"},
		{"{\"ip\":\"192.0.2.1\",\"login\":\"ops1\",\"password\":\"a\"}", Shape{Format: JSON}, nil, "1 192.0.2.1: ops1 a"},
		{"ip;login;password", table, columns, "1 !form"},
	} {
		row := ParseLine(tt.text, tt.shape, tt.columns)
		if got := strings.TrimSpace(shortText(row)); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
		if bad := !row.Problem.IsZero(); bad != (row.Raw.Reveal() == tt.text && tt.text != "") && bad {
			t.Errorf("%q: kept %q", tt.text, row.Raw.Reveal())
		}
	}
}

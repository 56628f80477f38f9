package connexa

import "testing"

func TestParseAddressSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"pptp://vpn.example.net":                   "field.address.url",
		"pptp://ops1:Blue-Kite@vpn.example.net:99": "field.address.url",
		"https://192.0.2.1/":                       "field.address.scheme",
		"socks5://192.0.2.1:1080":                  "field.address.scheme",
		"vpn\u200b.example.net":                    "field.hidden",
		"vpn.exa\u00admple.net":                    "field.hidden",
		"192.0.2.\u2060 1":                         "field.hidden",
		"пример..рф":                               "field.address.host",
		"при мер.рф":                               "field.address.host",
		"１９２.０.２.３００":                              "field.address.octet",
		"192.0.2.0/24":                             "field.address.range",
		"192.0.2.*":                                "field.address.range",
		"192.0.2.1-50":                             "field.address.range",
		"2001:db8::1":                              "field.address.ipv6",
		"vpn..example":                             "field.address.host",
		"192.0.2.300":                              "field.address.octet",
		"0x7f.0x0.0.1":                             "field.address.ipv4",
		"0xC0000201":                               "field.address.ipv4",
		"192.0.2.0x1":                              "field.address.ipv4",
		"vpn.1":                                    "field.address.ipv4",
		"vpn.example.0x":                           "field.address.ipv4",
		"":                                         "field.address.empty",
	} {
		if got, err := ParseAddress(text); err == nil || err.Text.Key != want {
			t.Errorf("%q: %q, %v; want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		" VPN.Example.net. ":          "vpn.example.net",
		"\u202a192.0.2.1\u202c":       "192.0.2.1",
		"\ufeffvpn.example.net\u00a0": "vpn.example.net",
		"Пример.рф":                   "xn--e1afmkfd.xn--p1ai",
		"vpn.münchen.example":         "vpn.xn--mnchen-3ya.example",
		"сервер。пример.рф":            "xn--b1afb6bcb.xn--e1afmkfd.xn--p1ai",
		"xn--e1afmkfd.xn--p1ai":       "xn--e1afmkfd.xn--p1ai",
		"１９２.０.２.１":                   "192.0.2.1",
		"vpn_1.example.net":           "vpn_1.example.net",
		"192.0.2.1.example.net":       "192.0.2.1.example.net",
		"0xvpn":                       "0xvpn",
		"vpn1":                        "vpn1",
		"МОСКВА-1.VPN.example.net":    "xn---1-6kch3bloy.vpn.example.net",
	} {
		if got, err := ParseAddress(text); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestUnicodeHost(t *testing.T) {
	for address, want := range map[string]string{
		"xn--e1afmkfd.xn--p1ai": "пример.рф", "vpn.example.net": "", "192.0.2.1": "", "xn--.example": "",
	} {
		if got := UnicodeHost(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}

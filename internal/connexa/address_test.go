package connexa

import "testing"

func TestParseAddressSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"pptp://vpn.example.net":                   "field.address.url",
		"pptp://ops1:Blue-Kite@vpn.example.net:99": "field.address.url",
		"https://192.0.2.1/":                       "field.address.url",
		"192.0.2.0/24":                             "field.address.range",
		"192.0.2.*":                                "field.address.range",
		"192.0.2.1-50":                             "field.address.range",
		"2001:db8::1":                              "field.address.ipv6",
		"vpn..example":                             "field.address.host",
		"192.0.2.300":                              "field.address.octet",
		"":                                         "field.address.empty",
	} {
		if got, err := ParseAddress(text); err == nil || err.Text.Key != want {
			t.Errorf("%q: %q, %v; want %s", text, got, err, want)
		}
	}
	if got, err := ParseAddress(" VPN.Example.net. "); err != nil || got != "vpn.example.net" {
		t.Errorf("%q, %v", got, err)
	}
}

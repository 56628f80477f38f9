package importer

import (
	"fmt"
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
		"the same names again": {nm + "\ngateway=192.0.2.2\nuser=ops2\npassword=y\n", []string{"1 192.0.2.1: ops1 x |||||a", "11 192.0.2.2: ops2 y"}},
		"blanks around the signs": {"[vpn]\ngateway = 192.0.2.1\nuser = ops1\nservice-type = org.freedesktop.NetworkManager.openvpn\n[vpn-secrets]\npassword = x\n", []string{"1 !connection"}},
		"another kind of connection": {"[connection]\nid=home\ntype=gsm\n[gsm]\nusername=a\npassword=b\n[vpn]\n", []string{"1 !connection"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := noted(t, tt.text, Options{}); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

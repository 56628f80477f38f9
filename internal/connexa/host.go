package connexa

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// idnaLookup converts host names as a browser does before it asks the DNS (UTS 46).
var idnaLookup = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))

// asciiHost returns the host name s in ASCII: labels in other scripts become punycode
// (RFC 5891). ok is false if s is not a valid name.
func asciiHost(s string) (host string, ok bool) {
	if isASCII(s) {
		return s, true
	}
	host, err := idnaLookup.ToASCII(s)
	return host, err == nil
}

// ASCIIHost returns the host name or address s as a browser sends it: in lower case,
// and other scripts as punycode. ok is false if s is not a valid name.
func ASCIIHost(s string) (host string, ok bool) {
	host, ok = asciiHost(s)
	return strings.ToLower(host), ok
}

// UnicodeHost returns the host name in its own script if address is punycode,
// otherwise "".
func UnicodeHost(address string) string {
	if !strings.Contains(address, "xn--") {
		return ""
	}
	host, err := idna.Display.ToUnicode(address)
	if err != nil || host == address {
		return ""
	}
	if back, ok := asciiHost(host); !ok || back != address { // it would be a different name
		return ""
	}
	return host
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

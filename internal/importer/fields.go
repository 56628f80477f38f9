package importer

import (
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// setField sets one field of in to s, as it was typed.
func setField(in *connexa.NodeInput, field, s string) connexa.Text {
	switch field {
	case "address":
		in.Address = s
	case "port":
		in.Port = s
	case "login":
		in.Login = s
	case "password":
		in.Password = s
	case "tags":
		in.Tags = s
	case "credentials":
		login, password, ok := strings.Cut(s, ":")
		login, password = strings.TrimSpace(login), strings.TrimSpace(password)
		if !ok {
			return connexa.T("import.bad.credentials")
		}
		if isPort(login) && (login == "1723" || strings.Contains(password, ":")) {
			return problemPort
		}
		in.Login, in.Password = login, password
	case "location":
		p := parsePlace(s)
		if p.country != "" {
			in.Country = p.country
		}
		if p.state != "" {
			in.State = p.state
		}
		if p.city != "" {
			in.City = p.city
		}
		if p.zip != "" {
			in.Zip = p.zip
		}
	default:
		if c := connexa.ColumnNamed(field); c != nil {
			*c.Input(in) = s
		}
	}
	return connexa.Text{}
}

// readAddress splits the value of the address field: it may have a port, or be a URL
// with a login and a password, which apply if the row has none.
func readAddress(in *connexa.NodeInput) connexa.Text {
	s := connexa.TrimHidden(in.Address)
	scheme, rest, isURL := strings.Cut(s, "://")
	switch {
	case isURL && !strings.EqualFold(scheme, "pptp"):
		return problemScheme(scheme)
	case isURL && !strings.Contains(rest, "@"):
		if s = strings.TrimSuffix(rest, "/"); strings.ContainsAny(s, "?#") || strings.Contains(s, "/") && !looksLikeRange(s) {
			return connexa.T("import.bad.url")
		}
	case isURL || strings.Contains(s, "@"):
		from, problem := fromURL(rest)
		if !isURL {
			from, problem = fromAt(s)
		}
		if !problem.IsZero() {
			return problem
		}
		if in.Login != "" && in.Login != from.Login || in.Password != "" && in.Password != from.Password {
			return connexa.T("import.bad.logins")
		}
		in.Login, in.Password = from.Login, from.Password
		s = from.Address
		if from.Port != "" {
			s += ":" + from.Port
		}
	default:
		s = strings.TrimSuffix(s, "/")
	}
	if words := strings.Fields(s); len(words) == 2 && isPort(words[1]) && looksLikeAddress(words[0]) {
		s = words[0] + ":" + words[1]
	}
	if looksLikeRange(s) {
		return problemRange
	}
	in.Address = s
	return splitPort(in)
}

// splitPort moves the port out of an address such as vpn.example.net:1723.
func splitPort(in *connexa.NodeInput) connexa.Text {
	host, port, ok := strings.Cut(in.Address, ":")
	if !ok || strings.Contains(port, ":") {
		return connexa.Text{}
	}
	if own := connexa.TrimHidden(in.Port); own != "" && own != port && !connexa.IsPlaceholder(own) && !samePort(own, port) {
		return connexa.T("import.bad.ports")
	}
	in.Address, in.Port = host, port
	return connexa.Text{}
}

func samePort(a, b string) bool {
	n := portNumber(a)
	return n > 0 && n == portNumber(b)
}

// isPort reports whether s is a number that a port can have.
func isPort(s string) bool {
	if s == "" || len(s) > 5 || strings.Trim(s, "0123456789") != "" {
		return false
	}
	_, err := connexa.ParsePort(s)
	return err == nil
}

// knownSchemes are the schemes that a reason may name: other text before "://" could
// be part of a password.
var knownSchemes = strings.Fields("http https socks socks4 socks5 socks5h l2tp ipsec ikev2 sstp ssh ftp sftp vpn vless vmess ss ssr trojan wireguard wg openvpn hysteria tuic rdp vnc tcp udp telnet ppp pppoe ws wss")

func problemScheme(scheme string) connexa.Text {
	scheme = strings.ToLower(connexa.TrimHidden(scheme))
	if slices.Contains(knownSchemes, scheme) {
		return connexa.T("import.bad.scheme.of", scheme)
	}
	return connexa.T("import.bad.scheme")
}

// looksLikeAddress reports whether s is meant as an address, even if it is invalid: an
// IPv4 address, a range or a host name with a dot, with or without a port.
func looksLikeAddress(s string) bool {
	s = connexa.TrimHidden(s)
	host, port, hasPort := strings.Cut(s, ":")
	if hasPort && (port == "" || strings.Trim(port, "0123456789") != "" || len(port) > 5) {
		return false
	}
	if looksLikeRange(host) {
		return true
	}
	if strings.Trim(host, "0123456789.") == "" {
		return strings.Count(host, ".") == 3
	}
	return looksLikeHost(host)
}

// looksLikeHost requires a dot and a last label of letters, because any word of a text
// could be a host name.
func looksLikeHost(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if strings.IndexAny(s, ".。") <= 0 {
		return false
	}
	s, err := connexa.ParseAddress(s)
	if err != nil {
		return false
	}
	top := s[strings.LastIndexByte(s, '.')+1:]
	return len(top) >= 2 && (top[0]|0x20 >= 'a' && top[0]|0x20 <= 'z')
}

// looksLikeRange reports whether s means several addresses: 192.0.2.0/24,
// 192.0.2.1-50, 192.0.2.1–192.0.2.50, 192.0.2.*.
func looksLikeRange(s string) bool {
	if net, bits, ok := strings.Cut(s, "/"); ok {
		_, err := netip.ParseAddr(net)
		return bits != "" && (err == nil || net != "" && strings.Trim(net, "0123456789.") == "") && strings.Trim(bits, "0123456789.") == ""
	}
	if strings.ContainsRune(s, '*') {
		return strings.Contains(s, ".") && strings.Trim(s, "0123456789.*") == ""
	}
	for _, dash := range []string{"-", "–", "—", "−", "..", "~"} {
		from, to, ok := strings.Cut(s, dash)
		if !ok {
			continue
		}
		from, to = strings.TrimSpace(from), strings.TrimSpace(to)
		if strings.Count(from, ".") == 3 && strings.Trim(from, "0123456789.") == "" && to != "" && strings.Trim(to, "0123456789.") == "" {
			return true
		}
	}
	return false
}

func looksLikeZip(s string) bool {
	if s == "" || len(s) > 12 || strings.IndexFunc(s, unicode.IsDigit) < 0 {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return !unicode.IsDigit(r) && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != ' ' && r != '-'
	}) < 0
}

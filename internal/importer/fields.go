package importer

import (
	"net/netip"
	"strings"
	"unicode"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// set puts s, as it was typed, into one field of in.
func set(in *connexa.NodeInput, field, s string) connexa.Text {
	switch field {
	case "address":
		in.Address = strings.TrimSpace(s)
	case "port":
		in.Port = strings.TrimSpace(s)
	case "login":
		in.Login = s
	case "password":
		in.Password = s
	case "country":
		in.Country = s
	case "state":
		in.State = s
	case "city":
		in.City = s
	case "zip":
		in.Zip = s
	case "provider":
		in.Provider = s
	case "comment":
		in.Comment = s
	case "tags":
		in.Tags = s
	case "credentials":
		login, password, ok := strings.Cut(s, ":")
		if !ok {
			return connexa.T("import.bad.credentials")
		}
		in.Login, in.Password = strings.TrimSpace(login), strings.TrimSpace(password)
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
	}
	return connexa.Text{}
}

// splitPort takes the port off an address like vpn.example.net:1723.
func splitPort(in *connexa.NodeInput) connexa.Text {
	host, port, ok := strings.Cut(in.Address, ":")
	if !ok || strings.Contains(port, ":") {
		return connexa.Text{}
	}
	if in.Port != "" && in.Port != port {
		return connexa.T("import.bad.ports")
	}
	in.Address, in.Port = host, port
	return connexa.Text{}
}

// looksLikeAddress says whether s is meant as an address, be it a wrong one: it
// is an IPv4 address, a range or a host name with a dot, with or without a port.
func looksLikeAddress(s string) bool {
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

// looksLikeHost wants a dot and a last label of letters: in running text any
// word could be a host name.
func looksLikeHost(s string) bool {
	s = strings.TrimSuffix(s, ".")
	dot := strings.LastIndexByte(s, '.')
	if dot <= 0 {
		return false
	}
	if _, err := connexa.ParseAddress(s); err != nil {
		return false
	}
	top := s[dot+1:]
	return len(top) >= 2 && (top[0]|0x20 >= 'a' && top[0]|0x20 <= 'z')
}

// looksLikeRange says whether s means several addresses: 192.0.2.0/24,
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

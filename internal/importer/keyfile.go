package importer

import (
	"maps"
	"slices"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// keyfile reads connections of NetworkManager (nm-settings-keyfile(5)): sections of
// key=value lines. The sections of the VPN describe a server; other sections have
// addresses of other things.
type keyfile struct {
	open    bool
	blank   bool // the line before is blank
	line    int
	section string
	values  map[string]string // "section.key"
	hidden  []string          // as of a block
	raw     strings.Builder
}

// sectionName returns the name in "[vpn]"; ok is false if s is not a section line.
func sectionName(s string) (name string, ok bool) {
	if len(s) < 3 || s[0] != '[' || s[len(s)-1] != ']' || strings.ContainsAny(s, ":@,;\"{") {
		return "", false
	}
	name = s[1 : len(s)-1]
	return strings.ToLower(strings.TrimSpace(name)), !strings.ContainsAny(name, "[]")
}

// ofConnection reports whether a section belongs to a connection of NetworkManager,
// and whether it begins the next connection.
func (k *keyfile) ofConnection(section string) (is, next bool) {
	switch section {
	case "connection":
		return true, true
	case "vpn", "vpn-secrets":
		return true, !k.open || k.hasKey(section)
	}
	return k.open, false
}

func (k *keyfile) hasKey(section string) bool {
	for name := range k.values {
		if strings.HasPrefix(name, section+".") {
			return true
		}
	}
	return false
}

func (k *keyfile) beginSection(line int) {
	k.open, k.line, k.values, k.hidden = true, line, map[string]string{}, nil
	k.raw.Reset()
}

// addKey adds a line of the connection profile that is being read.
func (k *keyfile) addKey(s string, hidden bool) {
	k.blank = false
	if k.raw.Len() < maxRaw && (k.section == "connection" || strings.HasPrefix(k.section, "vpn")) {
		k.raw.WriteString(s + "\n")
	}
	name, value, ok := strings.Cut(s, "=")
	if !ok {
		return
	}
	name = k.section + "." + strings.ToLower(strings.TrimSpace(name))
	if _, twice := k.values[name]; !twice {
		k.values[name] = strings.TrimSpace(value)
		if at := map[string]string{"vpn.gateway": "address", "vpn.user": "login", "vpn-secrets.password": "password"}[name]; hidden && at != "" {
			k.hidden = append(k.hidden, at)
		}
	}
}

// endsBefore reports whether a setting with that name starts another server, which has
// no section.
func (k *keyfile) endsBefore(name string) bool {
	a, _ := fieldOf(name)
	if !isIdentity(a.field) {
		return false
	}
	if kind := k.values["connection.type"]; kind != "" && kind != "vpn" {
		return false
	}
	switch k.section {
	case "vpn":
		if service := k.values["vpn.service-type"]; service != "" && !strings.HasSuffix(service, "pptp") {
			return false
		}
		_, again := k.values["vpn."+strings.ToLower(strings.TrimSpace(name))]
		return again || k.blank && k.hasField(a.field)
	case "vpn-secrets":
		return a.field != "password" || k.hasField(a.field)
	}
	return a.field != "address" || !slices.Contains([]string{"gateway", "address"}, strings.ToLower(strings.TrimSpace(name)))
}

// hasField reports whether the current section has a value for the field.
func (k *keyfile) hasField(field string) bool {
	for name := range k.values {
		if own, is := strings.CutPrefix(name, k.section+"."); is {
			if a, known := fieldOf(own); known && a.field == field {
				return true
			}
		}
	}
	return false
}

// isIdentity reports whether a field identifies a server or is a credential.
func isIdentity(field string) bool {
	return field == "address" || field == "login" || field == "password" || field == "credentials"
}

// toRow returns the server of the connection.
func (k *keyfile) toRow() connexa.ImportRow {
	row := connexa.ImportRow{Line: k.line}
	service := k.values["vpn.service-type"]
	kind := k.values["connection.type"]
	bad := false
	value := func(name string) string {
		s, ok := keyfileValue(k.values[name])
		bad = bad || !ok
		return s
	}
	in := &row.Input
	in.Address, in.Port, in.Login, in.Password = value("vpn.gateway"), value("vpn.port"), value("vpn.user"), value("vpn-secrets.password")
	if in.Comment = value("connection.id"); in.Comment == in.Address { // a connection must have a name
		in.Comment = ""
	}
	if in.Address == "" && service == "" { // a section of that name in another file
		for _, name := range slices.Sorted(maps.Keys(k.values)) {
			key, of := strings.CutPrefix(name, "vpn.")
			if a, known := fieldOf(key); of && known && a.field != "" {
				text, problem := unquoteText(k.values[name], '=', false)
				if row.Problem.IsZero() {
					row.Problem = problem
				}
				setField(in, a.field, text)
			}
		}
	}
	if domain := value("vpn.domain"); domain != "" && in.Login != "" {
		in.Login = domain + `\` + in.Login // as its PPTP plugin sends it
	}
	switch {
	case service != "" && !strings.HasSuffix(service, "pptp"), kind != "" && kind != "vpn":
		row.Problem = connexa.T("import.bad.connection")
	case bad && row.Problem.IsZero():
		row.Problem = connexa.T("import.bad.escape")
	case in.Login == "" && in.Address != "":
		row.Problem = missing["login"]
	}
	if row = finishRow(row, false); !row.Problem.IsZero() {
		row.Raw = cutLabel(strings.TrimSpace(k.raw.String()))
		return row
	}
	for _, field := range k.hidden {
		row.Notes = addHidden(row.Notes, field)
	}
	return row
}

// keyfileValue resolves the escapes of GLib's key files.
func keyfileValue(s string) (string, bool) {
	if !strings.Contains(s, `\`) {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			return "", false
		}
		at := strings.IndexByte(`sntr\;`, s[i])
		if at < 0 {
			return "", false
		}
		b.WriteByte(" \n\t\r\\;"[at])
	}
	return b.String(), true
}

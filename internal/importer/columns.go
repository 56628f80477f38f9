package importer

import (
	"slices"
	"strings"
	"unicode"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Fields lists the fields that a column may hold; "" is a column that is skipped.
// Credentials are a login and a password with a colon between them. A location is
// "Texas (Austin)" or "Arizona/Phoenix".
func Fields() []string {
	fields := []string{"address", "port", "login", "password"}
	for _, c := range connexa.Columns() {
		fields = append(fields, c.Name)
	}
	return append(fields, "tags", "credentials", "location")
}

// CheckMapping returns an error unless the mapping has an address and a login, and no
// field twice.
func CheckMapping(mapping []string) error {
	seen := map[string]bool{}
	for _, f := range mapping {
		switch {
		case f == "":
		case fieldNames[f].IsZero():
			return connexa.Errorf(connexa.Invalid, "import.mapping.unknown")
		case seen[f]:
			return connexa.Errorf(connexa.Invalid, "import.mapping.twice", fieldNames[f])
		}
		seen[f] = true
	}
	if !seen["address"] || !seen["login"] && !seen["credentials"] {
		return connexa.Errorf(connexa.Invalid, "import.mapping.short")
	}
	return nil
}

// aliases are the names of columns and labels besides those of connexa.Columns, as
// columnKey makes them, the most specific first: where two columns of a file mean
// one field, the more specific name has it.
var aliases = map[string][]string{
	"address": {"address", "ipaddress", "ipaddr", "ip", "ipv4", "host", "hostname", "serverip", "serveraddress", "server", "remote", "gateway",
		"connectto", "remoteaddress", "remotehost", "endpoint", "ipport", "hostport", "url", "uri", "loginuri", "website",
		"адрес", "адреспорт", "ipсервера", "ipадрес", "айпи", "айпиадрес", "хост", "адрессервера", "сервер"},
	"port":        {"port", "serverport", "порт"},
	"login":       {"login", "username", "user", "userid", "loginname", "loginusername", "account", "accountname", "логин", "пользователь", "имяпользователя", "учетнаязапись", "аккаунт"},
	"password":    {"password", "pass", "passwd", "pwd", "passw", "userpassword", "secret", "пароль", "пасс"},
	"tags":        {"tags", "tag", "labels", "group", "groups", "теги", "тег", "тэги", "тэг", "метки", "метка", "группа", "группы"},
	"credentials": {"credentials", "credential", "creds", "auth", "loginpassword", "loginpass", "userpass", "логинпароль", "учетныеданные", "доступ"},
	"location":    {"location", "place", "geo", "geolocation", "расположение", "местоположение", "место", "локация"},
}

// ignored are names of columns that do not identify a server: those of the panel's
// export and of other common lists.
var ignored = []string{"status", "suspect", "step", "cause", "latencyms", "latency", "loss", "downmbps", "upmbps", "lastcheck",
	"ping", "speed", "date", "time", "added", "created", "updated", "checked", "expires", "expire", "type", "protocol", "proto", "id", "no", "number",
	"статус", "пинг", "скорость", "дата", "время", "тип", "протокол"}

type alias struct {
	field string
	rank  int
}

var byAlias = func() map[string]alias {
	m := map[string]alias{}
	add := func(field string, names []string) {
		for i, name := range names {
			m[name] = alias{field, i}
		}
	}
	for field, names := range aliases {
		add(field, names)
	}
	for _, c := range connexa.Columns() {
		add(c.Name, c.Aliases)
	}
	for _, name := range ignored {
		m[name] = alias{"", 0}
	}
	return m
}()

// columnKey returns the name of a column or label in lower case, without blanks and
// punctuation.
func columnKey(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == 'ё' || r == 'Ё':
			return 'е'
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// readHeader reads a record as names of columns. It is a header if it names an address
// and another known column.
func readHeader(names []string) (mapping []string, known int, ok bool) {
	mapping = make([]string, len(names))
	best := map[string]int{}
	for i, name := range names {
		a, found := columnField(name)
		if !found {
			continue
		}
		known++
		if a.field == "" {
			continue
		}
		if j, taken := best[a.field]; taken {
			if other, _ := columnField(names[j]); other.rank <= a.rank {
				continue
			}
			mapping[j] = ""
		}
		mapping[i], best[a.field] = a.field, i
	}
	_, hasLogin := best["login"]
	_, hasPassword := best["password"]
	if at, both := best["credentials"]; both && hasLogin && !hasPassword { // "user_pass" beside "user_name"
		mapping[at] = "password"
	}
	_, ok = best["address"]
	return mapping, known, ok && known > 1
}

// namesTwice reports whether two columns have the same name for an address, a port, a
// login or a password. The user must then choose one.
func namesTwice(names []string) bool {
	seen := map[string]bool{}
	for _, name := range names {
		a, found := columnField(name)
		if !found || !isIdentity(a.field) && a.field != "port" {
			continue
		}
		if k := columnKey(name); seen[k] {
			return true
		} else {
			seen[k] = true
		}
	}
	return false
}

// proposeMapping guesses what the columns of records hold. The user confirms it.
func proposeMapping(records [][]string) []string {
	width := 0
	for _, r := range records {
		width = max(width, len(r))
	}
	mapping := make([]string, width)
	most := func(test func(string) bool) int {
		column, hits := -1, 0
		for i := range width {
			if mapping[i] != "" {
				continue
			}
			n := 0
			for _, r := range records {
				if i < len(r) && test(strings.TrimSpace(r[i])) {
					n++
				}
			}
			if n > hits && 2*n >= len(records) {
				column, hits = i, n
			}
		}
		return column
	}
	give := func(field string, column int) {
		if column >= 0 && column < width && mapping[column] == "" {
			mapping[column] = field
		}
	}
	give("address", most(looksLikeAddress))
	port := most(func(s string) bool { return s == "1723" })
	if after := slices.Index(mapping, "address") + 1; port < 0 && width > after+2 && after > 0 && most(isPort) == after {
		port = after // another port, followed by a login and a password
	}
	give("port", port)
	free := slices.Index(mapping, "")
	give("login", free)
	give("password", slices.Index(mapping, ""))
	give("country", most(func(s string) bool {
		_, ok := Country(s)
		return ok && s != "" && !(connexa.IsUSState(s) && len(s) == 2 && s != "US")
	}))
	give("state", most(connexa.IsUSState))
	give("zip", most(looksLikeZip))
	give("city", most(func(s string) bool { return s != "" && strings.IndexFunc(s, unicode.IsDigit) < 0 }))
	return mapping
}

package i18n

import "strings"

// renamed are the beginnings of keys that older versions stored in the audit table
// and the history, and what they are now. The first that fits applies.
var renamed = [][2]string{
	{"audit.access.", "audit.clients."},
	{"audit.access", "audit.client"},
	{"access.", "clients."},
}

// currentKey returns the present name of a key of an older version.
func currentKey(key string) string {
	for _, r := range renamed {
		if rest, ok := strings.CutPrefix(key, r[0]); ok {
			return r[1] + rest
		}
	}
	return key
}

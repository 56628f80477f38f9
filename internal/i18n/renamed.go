package i18n

import "strings"

// renamed maps the prefixes of keys that older versions stored in the audit table and
// the history to the current prefixes. The first match applies.
var renamed = [][2]string{
	{"audit.access.", "audit.clients."},
	{"audit.access", "audit.client"},
	{"access.", "clients."},
	{"rung.", "step.note."},
}

// currentKey returns the current name of a stored key.
func currentKey(key string) string {
	for _, r := range renamed {
		if rest, ok := strings.CutPrefix(key, r[0]); ok {
			return r[1] + rest
		}
	}
	return key
}

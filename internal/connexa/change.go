package connexa

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Change is one field that an edit changed, for the audit table.
type Change struct {
	Field string // text key of the field's name
	From  any    // a string, a whole number or a Text; an empty string is shown as "none"
	To    any
}

// secretChange is the change of a field whose values must not be in the audit table.
func secretChange(field string) Change { return Change{Field: field} }

// maxChangeValue is the maximum length of a value in the audit table, in characters.
const maxChangeValue = 80

// ChangesText returns a sentence with the old and the new value of each change. It is
// zero if nothing changed.
func ChangesText(list []Change) Text {
	var all Text
	for _, c := range list {
		one := T("audit.change", T(c.Field), changeValue(c.From), changeValue(c.To))
		if c.From == nil && c.To == nil {
			one = T("audit.change.secret", T(c.Field))
		}
		if all.IsZero() {
			all = one
		} else {
			all = T("audit.change.and", all, one)
		}
	}
	return all
}

func changeValue(v any) any {
	s, ok := v.(string)
	switch {
	case !ok:
		return v
	case s == "":
		return T("audit.change.none")
	}
	return shortenText(s)
}

// shortenText cuts a value to maxChangeValue.
func shortenText(s string) string {
	if utf8.RuneCountInString(s) <= maxChangeValue {
		return s
	}
	return string([]rune(s)[:maxChangeValue]) + "…"
}

// changes collects the fields that differ between two values.
type changes []Change

func (c *changes) add(field string, from, to any) {
	if from != to {
		*c = append(*c, Change{field, from, to})
	}
}

// addPort is add for a port, which is written without separators.
func (c *changes) addPort(field string, from, to int) {
	c.add(field, strconv.Itoa(from), strconv.Itoa(to))
}

func (c *changes) addText(field string, from, to Text) {
	if from.String() != to.String() {
		*c = append(*c, Change{field, from, to})
	}
}

func (c *changes) addSwitch(field string, from, to bool) {
	word := func(on bool) Text {
		if on {
			return T("audit.change.on")
		}
		return T("audit.change.off")
	}
	if from != to {
		*c = append(*c, Change{field, word(from), word(to)})
	}
}

func (c *changes) addPolicy(field string, from, to EncryptionPolicy) {
	if from != to {
		*c = append(*c, Change{field, policyText(from), policyText(to)})
	}
}

func policyText(p EncryptionPolicy) Text {
	if p == EncryptionDefault {
		return T("encryption.default")
	}
	return T("encryption." + string(p))
}

// NodeChanges lists the fields that differ between two versions of a node, without the
// password. The name of a field is "node." and its name in the form.
func NodeChanges(was, is *Node) []Change {
	var c changes
	c.add("node.address", was.Address, is.Address)
	c.addPort("node.port", was.Port, is.Port)
	c.add("node.login", was.Login, is.Login)
	for _, column := range columns {
		c.add("node."+column.Name, *column.Value(was), *column.Value(is))
	}
	c.add("node.tags", strings.Join(was.Tags, ", "), strings.Join(is.Tags, ", "))
	c.addPolicy("node.encryption", was.Encryption, is.Encryption)
	c.addSwitch("node.pap", was.AllowPAP, is.AllowPAP)
	return c
}

// PasswordChange records a change of the password, without the values.
func PasswordChange() Change { return secretChange("node.password") }

// Exposes reports whether a node edited from was to is would take its stored password
// to another server, or show it to whoever answers or listens: another address or
// port, PAP allowed, or less encryption. byDefault is the policy of nodes without one
// of their own.
func Exposes(was, is *Node, byDefault EncryptionPolicy) bool {
	return was.Address != is.Address || was.Port != is.Port || is.AllowPAP && !was.AllowPAP ||
		is.Encryption.Under(byDefault).Weaker(was.Encryption.Under(byDefault))
}

// Under returns p, or byDefault if p is EncryptionDefault.
func (p EncryptionPolicy) Under(byDefault EncryptionPolicy) EncryptionPolicy {
	if p == EncryptionDefault {
		return byDefault
	}
	return p
}

// Weaker reports whether p protects less than q. Neither may be EncryptionDefault.
func (p EncryptionPolicy) Weaker(q EncryptionPolicy) bool {
	strength := map[EncryptionPolicy]int{EncryptionOff: 0, EncryptionPreferred: 1, EncryptionRequired: 2}
	return strength[p] < strength[q]
}

// Changes lists the settings that differ between s and is.
func (s Settings) Changes(is Settings) []Change {
	var c changes
	c.add("settings.concurrency", s.Concurrency, is.Concurrency)
	c.add("settings.connect_rate", s.ConnectRate, is.ConnectRate)
	c.add("settings.per_network", s.PerNetwork, is.PerNetwork)
	c.add("settings.per_address", s.PerAddress, is.PerAddress)
	c.add("settings.ping_attempts", s.PingAttempts, is.PingAttempts)
	c.addPolicy("settings.encryption", s.Encryption, is.Encryption)
	c.add("settings.history_raw_days", s.HistoryRawDays, is.HistoryRawDays)
	c.add("settings.history_hour_days", s.HistoryHourDays, is.HistoryHourDays)
	c.add("settings.history_day_days", s.HistoryDayDays, is.HistoryDayDays)
	c.add("settings.zone", s.Zone, is.Zone)

	c.add("audit.speed.mode", string(s.Speed.Mode), string(is.Speed.Mode))
	c.add("settings.speed_at_once", s.Speed.AtOnce, is.Speed.AtOnce)
	c.add("settings.speed_quick_mb", s.Speed.QuickMB, is.Speed.QuickMB)
	c.add("settings.speed_full_mb", s.Speed.FullMB, is.Speed.FullMB)
	c.add("settings.speed_slow_kbit", s.Speed.SlowKbit, is.Speed.SlowKbit)
	c.add("settings.speed_hour_gb", s.Speed.HourGB, is.Speed.HourGB)
	c.add("settings.speed_month_gb", s.Speed.MonthGB, is.Speed.MonthGB)

	c.add("audit.services.listen", s.Service.Listen, is.Service.Listen)
	c.add("services.settings.clients", s.Service.Clients, is.Service.Clients)
	c.addPort("audit.services.first", s.Service.FirstPort, is.Service.FirstPort)
	c.addPort("audit.services.last", s.Service.LastPort, is.Service.LastPort)
	c.add("audit.vpn.listen", s.Service.VPNListen, is.Service.VPNListen)
	c.addPort("audit.vpn.first", s.Service.VPNFirstPort, is.Service.VPNFirstPort)
	c.addPort("audit.vpn.last", s.Service.VPNLastPort, is.Service.VPNLastPort)

	c.addSwitch("audit.monitor", s.Monitor.On, is.Monitor.On)
	c.add("monitor.ping", s.Monitor.PingMinutes, is.Monitor.PingMinutes)
	c.add("monitor.login", s.Monitor.LoginHours, is.Monitor.LoginHours)
	c.add("monitor.tags", s.Monitor.Tags, is.Monitor.Tags)
	c.add("monitor.targets", s.Monitor.Targets, is.Monitor.Targets)
	return c
}

// ClientChanges lists the fields that differ between two versions of a client, without
// the name and the password. Last days are in zone.
func ClientChanges(was, is *Client, zone *time.Location) []Change {
	var c changes
	c.add("clients.note", was.Note, is.Note)
	c.addSwitch("audit.clients.on", was.Enabled, is.Enabled)
	c.addText("clients.may", was.scopeText(), is.scopeText())
	c.addText("clients.quota", quotaAmount(was.Quota), quotaAmount(is.Quota))
	c.addText("clients.period", was.Period.periodText(), is.Period.periodText())
	c.addText("clients.expires", lastDay(was.Expires, zone), lastDay(is.Expires, zone))
	c.addText("clients.sources", was.sourcesText(), is.sourcesText())
	return c
}

// scopeText names what a client may use.
func (u *Client) scopeText() Text {
	switch u.Scope {
	case ScopeNodes:
		ids := make([]string, len(u.Nodes))
		for i, id := range u.Nodes {
			ids[i] = strconv.FormatInt(id, 10)
		}
		return T("audit.clients.nodes", len(ids), shortenText(strings.Join(ids, ", ")))
	case ScopeTags:
		return T("clients.scope.tagged", shortenText(strings.Join(u.Tags, ", ")))
	default: // ScopeAll
	}
	return T("clients.scope.all")
}

func (u *Client) sourcesText() Text {
	list := make([]string, len(u.Sources))
	for i, s := range u.Sources {
		list[i] = SourceText(s)
	}
	return textOr(strings.Join(list, ", "), "clients.anywhere")
}

func (p QuotaPeriod) periodText() Text {
	if p == QuotaOnce {
		return T("clients.period.once")
	}
	return T("clients.period." + string(p))
}

func lastDay(expires time.Time, zone *time.Location) Text {
	return textOr(ExpiryDay(expires, zone), "clients.never")
}

func quotaAmount(quota uint64) Text {
	number, unit := QuotaText(quota)
	if number == "" {
		return T("audit.clients.unlimited")
	}
	return T("audit.clients.amount", number, T("clients.unit."+strings.ToLower(unit)))
}

// textOr returns value as a Text, or the text of the key none if value is empty.
func textOr(value, none string) Text {
	if value == "" {
		return T(none)
	}
	return T("audit.value", shortenText(value))
}

// DestinationChanges lists the changes of the non-public destinations that a service
// allows.
func DestinationChanges(was, is ServiceRow) []Change {
	var c changes
	c.addSwitch("audit.services.private", was.Private, is.Private)
	c.addSwitch("audit.services.mail", was.Mail, is.Mail)
	return c
}

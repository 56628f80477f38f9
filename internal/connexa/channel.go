package connexa

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// Channel is a place that notifications are sent to.
type Channel struct {
	ID       int64
	Name     string // for people
	Address  Secret // a URL that names the service and holds its tokens
	Lang     string // of its messages
	On       bool
	Kinds    []NotificationKind // the switches that are on
	SentAt   time.Time          // of the last message that went out; zero: none did
	FailedAt time.Time          // of the last failure
	Problem  string             // of that failure, without the address, as AuditDetail keeps it or in a service's own words
}

// ChannelLangs lists the languages of messages.
func ChannelLangs() []string { return []string{"en", "ru"} }

// NotificationSwitches lists the kinds of notification that a channel can switch on.
func NotificationSwitches() []NotificationKind {
	return []NotificationKind{
		NotifyServiceFailed, NotifyServiceRecovered, NotifyNodeDown, NotifyNodeRecovered,
		NotifyRunFinished, NotifyOffline, NotifyOnline, NotifyNewLogin,
	}
}

// Switch returns the kind whose switch controls k. Flapping belongs to down, the end
// of flapping to recovery, and a changed password to a login from a new address.
func (k NotificationKind) Switch() NotificationKind {
	switch k {
	case NotifyNodeFlapping:
		return NotifyNodeDown
	case NotifyNodeStable:
		return NotifyNodeRecovered
	case NotifyPassword:
		return NotifyNewLogin
	default:
		return k
	}
}

// Muted reports that n must not be sent, because its node flaps.
func (n Notification) Muted() bool {
	return n.Flapping && (n.Kind == NotifyNodeDown || n.Kind == NotifyNodeRecovered)
}

// Wants reports whether n is sent to c.
func (c Channel) Wants(n Notification) bool {
	return c.On && !n.Muted() && slices.Contains(c.Kinds, n.Kind.Switch())
}

// Transport returns the service that the scheme of the address names, such as
// "telegram" or "smtp".
func (c Channel) Transport() string {
	scheme, _, _ := strings.Cut(c.Address.Reveal(), ":")
	name, _, _ := strings.Cut(scheme, "+")
	return strings.ToLower(name)
}

// tailLeast is the minimum length of a word of an address whose last four characters
// are shown. For a shorter word, they would reveal too much.
const tailLeast = 8

// Tail returns the part of the address that may be shown: the last four characters of
// the word that distinguishes it. It is empty if that word is short.
func (c Channel) Tail() string {
	u, err := url.Parse(c.Address.Reveal())
	if err != nil {
		return ""
	}
	var word string
	switch c.Transport() {
	case TransportTelegram:
		word, _ = u.User.Password()
	case TransportMail:
		word = u.Query().Get("to") + u.Query().Get("toaddresses")
	default:
		parts := strings.FieldsFunc(u.Host+"/"+u.Path, func(r rune) bool { return r == '/' })
		if len(parts) > 0 {
			word = parts[len(parts)-1]
		}
	}
	letters := []rune(word)
	if len(letters) < tailLeast {
		return ""
	}
	return string(letters[len(letters)-4:])
}

// Transports that have a form of their own.
const (
	TransportTelegram = "telegram"
	TransportMail     = "smtp"
	TransportWebhook  = "generic"
	TransportOther    = "url" // any, by its address
)

// transportNames are the proper names of transports. Mail and webhooks have translated
// names instead.
var transportNames = map[string]string{
	"bark": "Bark", "discord": "Discord", "googlechat": "Google Chat", "hangouts": "Google Chat", "gotify": "Gotify", "ifttt": "IFTTT",
	"join": "Join", "lark": "Lark", "matrix": "Matrix", "mattermost": "Mattermost", "notifiarr": "Notifiarr", "ntfy": "ntfy", "opsgenie": "Opsgenie",
	"pagerduty": "PagerDuty", "pushbullet": "Pushbullet", "pushover": "Pushover", "rocketchat": "Rocket.Chat", "signal": "Signal", "slack": "Slack",
	"teams": "Microsoft Teams", "telegram": "Telegram", "wecom": "WeCom", "zulip": "Zulip",
}

// TransportName returns the proper name of a transport, or "".
func TransportName(transport string) string { return transportNames[transport] }

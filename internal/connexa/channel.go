package connexa

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// Channel is a place that notices are sent to.
type Channel struct {
	ID       int64
	Name     string // for people
	Address  Secret // a URL that names the service and holds its tokens
	Lang     string // of its messages
	On       bool
	Kinds    []NoticeKind // the switches that are on
	SentAt   time.Time    // of the last message that went out; zero: none did
	FailedAt time.Time    // of the last failure
	Problem  string       // of that failure, without the address, as AuditDetail keeps it or in a service's own words
}

// ChannelLangs are the languages that messages are written in.
func ChannelLangs() []string { return []string{"en", "ru"} }

// NoticeSwitches are the kinds that a channel can be told of, each by a switch.
func NoticeSwitches() []NoticeKind {
	return []NoticeKind{
		NoticeServiceFailed, NoticeServiceRecovered, NoticeNodeDown, NoticeNodeRecovered,
		NoticeRunFinished, NoticeOffline, NoticeOnline, NoticeNewLogin,
	}
}

// Switch returns the kind whose switch decides about k. Flapping goes with dropping
// out, the end of flapping with recovery, and a changed password with a login from a
// new address.
func (k NoticeKind) Switch() NoticeKind {
	switch k {
	case NoticeNodeFlapping:
		return NoticeNodeDown
	case NoticeNodeStable:
		return NoticeNodeRecovered
	case NoticePassword:
		return NoticeNewLogin
	default:
		return k
	}
}

// Muted says that n is not to be sent anywhere: its node flaps.
func (n Notice) Muted() bool {
	return n.Flapping && (n.Kind == NoticeNodeDown || n.Kind == NoticeNodeRecovered)
}

// Wants says whether n is to be sent to c.
func (c Channel) Wants(n Notice) bool {
	return c.On && !n.Muted() && slices.Contains(c.Kinds, n.Kind.Switch())
}

// Service is the name of the service in the address: "telegram", "smtp".
func (c Channel) Service() string {
	scheme, _, _ := strings.Cut(c.Address.Reveal(), ":")
	name, _, _ := strings.Cut(scheme, "+")
	return strings.ToLower(name)
}

// tailLeast is how long a word of an address is at least, for its last four
// characters to be shown: of a shorter one they would tell too much.
const tailLeast = 8

// Tail is what may be shown of the address: the last four characters of the word
// that tells it from others. It is empty when that word is short.
func (c Channel) Tail() string {
	u, err := url.Parse(c.Address.Reveal())
	if err != nil {
		return ""
	}
	var word string
	switch c.Service() {
	case ServiceTelegram:
		word, _ = u.User.Password()
	case ServiceMail:
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

// Services that have a form of their own.
const (
	ServiceTelegram = "telegram"
	ServiceMail     = "smtp"
	ServiceWebhook  = "generic"
	ServiceOther    = "url" // any, by its address
)

// serviceNames are how services call themselves; mail and webhooks are words of
// the reader's language instead.
var serviceNames = map[string]string{
	"bark": "Bark", "discord": "Discord", "googlechat": "Google Chat", "hangouts": "Google Chat", "gotify": "Gotify", "ifttt": "IFTTT",
	"join": "Join", "lark": "Lark", "matrix": "Matrix", "mattermost": "Mattermost", "notifiarr": "Notifiarr", "ntfy": "ntfy", "opsgenie": "Opsgenie",
	"pagerduty": "PagerDuty", "pushbullet": "Pushbullet", "pushover": "Pushover", "rocketchat": "Rocket.Chat", "signal": "Signal", "slack": "Slack",
	"teams": "Microsoft Teams", "telegram": "Telegram", "wecom": "WeCom", "zulip": "Zulip",
}

// ServiceName is how a service calls itself; empty when it has no such name.
func ServiceName(service string) string { return serviceNames[service] }

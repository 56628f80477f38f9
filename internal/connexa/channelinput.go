package connexa

import (
	"cmp"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ChannelInput is the content of the form of a channel, not yet checked.
type ChannelInput struct {
	Name  string
	Lang  string
	On    bool
	Kinds []string

	Transport string // selects the form; the fields of the other forms are ignored

	Token string // of the Telegram bot
	Chat  string // or several, separated by commas

	Host     string // of mail
	Port     string
	User     string
	Password Secret
	From     string
	To       string // or several, separated by commas
	Plain    bool   // a server without TLS is accepted

	Webhook string // its address
	Bearer  Secret // sent with each request. Optional.

	URL string // of any service
}

// Bounds of a channel.
const (
	channelNameLongest    = 60 // characters
	channelAddressLongest = 2000
)

// Parse checks the input; the error is FieldErrors. With keep, the address may be
// empty.
func (in ChannelInput) Parse(keep bool) (Channel, error) {
	errs := FieldErrors{}
	c := Channel{Name: strings.TrimSpace(in.Name), Lang: in.Lang, On: in.On}
	switch n := utf8.RuneCountInString(c.Name); {
	case n == 0:
		errs.Add("name", "field.channel.name")
	case !isLine(c.Name):
		errs.Add("name", "field.control")
	case n > channelNameLongest:
		errs.Add("name", "field.channel.name.long", channelNameLongest)
	}
	if !slices.Contains(ChannelLangs(), c.Lang) {
		errs.Add("lang", "field.channel.lang")
	}
	for _, k := range NotificationSwitches() { // in order, each once, without unknown kinds
		if slices.Contains(in.Kinds, string(k)) {
			c.Kinds = append(c.Kinds, k)
		}
	}
	if len(c.Kinds) == 0 {
		errs.Add("kinds", "field.channel.kinds")
	}
	if !keep || in.shoutrrrURL() {
		c.Address = in.buildAddress(errs)
	}
	if len(c.Address) > channelAddressLongest {
		errs.Add(in.AddressField(), "field.channel.long", channelAddressLongest)
	}
	return c, errs.OrNil()
}

// AddressField returns the form field for a problem with the whole address.
func (in ChannelInput) AddressField() string {
	switch in.Transport {
	case TransportTelegram:
		return "token"
	case TransportMail:
		return "host"
	case TransportWebhook:
		return "webhook"
	default:
		return "url"
	}
}

// shoutrrrURL reports whether a field of the address was filled in.
func (in ChannelInput) shoutrrrURL() bool {
	var typed string
	switch in.Transport {
	case TransportTelegram:
		typed = in.Token + in.Chat
	case TransportMail:
		if in.Plain { // the checkbox belongs to the address and has no effect without one
			return true
		}
		typed = in.Host + in.Port + in.User + in.Password.Reveal() + in.From + in.To
	case TransportWebhook:
		typed = in.Webhook + in.Bearer.Reveal()
	default:
		typed = in.URL
	}
	return strings.TrimSpace(typed) != ""
}

func (in ChannelInput) buildAddress(errs FieldErrors) Secret {
	switch in.Transport {
	case TransportTelegram:
		return in.telegramURL(errs)
	case TransportMail:
		return in.mailURL(errs)
	case TransportWebhook:
		return in.webhookURL(errs)
	default:
		return in.otherURL(errs)
	}
}

var (
	botToken = regexp.MustCompile(`^([0-9]+):([A-Za-z0-9_-]+)$`)
	chatName = regexp.MustCompile(`^(-?[0-9]+(:[0-9]+)?|@[A-Za-z0-9_]+)$`)
)

func (in ChannelInput) telegramURL(errs FieldErrors) Secret {
	token := botToken.FindStringSubmatch(strings.TrimSpace(in.Token))
	if token == nil {
		errs.Add("token", "field.channel.token")
	}
	chats := splitList(in.Chat)
	if len(chats) == 0 || slices.ContainsFunc(chats, func(c string) bool { return !chatName.MatchString(c) }) {
		errs.Add("chat", "field.channel.chat")
	}
	if token == nil {
		return ""
	}
	q := url.Values{"chats": {strings.Join(chats, ",")}, "preview": {"no"}}
	return Secret((&url.URL{Scheme: TransportTelegram, User: url.UserPassword(token[1], token[2]), Host: TransportTelegram, RawQuery: q.Encode()}).String())
}

// mailPort is the submission port of a mail server (RFC 6409).
const mailPort = "587"

func (in ChannelInput) mailURL(errs FieldErrors) Secret {
	host, port := strings.TrimSpace(in.Host), strings.TrimSpace(in.Port)
	if host == "" || strings.ContainsAny(host, "/@?#: \t\r\n") {
		errs.Add("host", "field.channel.host")
	}
	port = cmp.Or(port, mailPort)
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		errs.Add("port", "field.port")
	}
	from, to := splitList(in.From), splitList(in.To)
	if len(from) != 1 || !areMailboxes(from) {
		errs.Add("from", "field.channel.mailbox")
	}
	if len(to) == 0 || !areMailboxes(to) {
		errs.Add("to", "field.channel.mailboxes")
	}
	if in.User == "" && in.Password != "" {
		errs.Add("user", "field.channel.user")
	}
	if len(errs) > 0 {
		return ""
	}
	q := url.Values{"from": from, "to": {strings.Join(to, ",")}, "fromname": {"Connexa"}}
	if !in.Plain && port != "465" { // port 465 uses implicit TLS
		q.Set("requirestarttls", "yes")
	}
	u := url.URL{Scheme: TransportMail, Host: net.JoinHostPort(host, port), Path: "/", RawQuery: q.Encode()}
	if in.User != "" {
		u.User = url.UserPassword(in.User, in.Password.Reveal())
	}
	return Secret(u.String())
}

// reservedKeys are the query keys of a webhook's address that would be read as options
// of the service. Two underscores before a key escape it.
var reservedKeys = []string{"contenttype", "disabletls", "template", "title", "titlekey", "messagekey", "method"}

func (in ChannelInput) webhookURL(errs FieldErrors) Secret {
	u, err := url.Parse(strings.TrimSpace(in.Webhook))
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		errs.Add("webhook", "field.channel.webhook")
		return ""
	case u.User != nil || u.Fragment != "":
		errs.Add("webhook", "field.channel.webhook.plain")
		return ""
	}
	q := u.Query()
	for key, values := range u.Query() {
		if slices.Contains(reservedKeys, strings.ToLower(key)) {
			q.Del(key)
			q["__"+key] = values
		}
	}
	q.Set("template", "json")
	if u.Scheme == "http" {
		q.Set("disabletls", "yes")
	}
	if bearer := strings.TrimSpace(in.Bearer.Reveal()); bearer != "" {
		if strings.ContainsFunc(bearer, func(r rune) bool { return r <= ' ' || r > '~' }) {
			errs.Add("bearer", "field.channel.bearer")
		}
		q.Set("@Authorization", "Bearer "+bearer)
	}
	u.Scheme, u.RawQuery = TransportWebhook, q.Encode()
	return Secret(u.String())
}

func (in ChannelInput) otherURL(errs FieldErrors) Secret {
	typed := strings.TrimSpace(in.URL)
	u, err := url.Parse(typed)
	if err != nil || u.Scheme == "" || u.Host == "" {
		errs.Add("url", "field.channel.url")
		return ""
	}
	return Secret(fromBrowser(u))
}

// fromBrowser reads the address of a webhook as Discord and Slack show it.
func fromBrowser(u *url.URL) string {
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	switch {
	case (u.Host == "discord.com" || u.Host == "discordapp.com") && len(parts) == 4 && parts[0] == "api" && parts[1] == "webhooks":
		return "discord://" + parts[3] + "@" + parts[2]
	case u.Host == "hooks.slack.com" && len(parts) == 4 && parts[0] == "services":
		return "slack://hook:" + strings.Join(parts[1:], "-") + "@webhook"
	default:
		return u.String()
	}
}

func splitList(text string) []string {
	var list []string
	for s := range strings.SplitSeq(text, ",") {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list
}

func areMailboxes(list []string) bool {
	return !slices.ContainsFunc(list, func(s string) bool {
		a, err := mail.ParseAddress(s)
		return err != nil || a.Address != s // no names, no comments
	})
}

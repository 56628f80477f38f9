package views

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// ChannelsPage is the page of notification channels.
type ChannelsPage struct {
	List   []connexa.Channel
	NoLink bool // messages cannot contain links to the panel
}

// ChannelForm is the form that adds or edits a channel: the values that were typed and
// their errors.
type ChannelForm struct {
	ID     int64 // 0 for a new channel
	Input  connexa.ChannelInput
	Errors connexa.FieldErrors
	Tail   string // the end of the stored address, which may be shown
	Called string // the name of the channel that is edited
}

// ChannelInputOf returns the initial values of the form for a new channel of a
// transport. lang is the language of its messages.
func ChannelInputOf(transport string, lang i18n.Lang) connexa.ChannelInput {
	in := connexa.ChannelInput{Transport: ChannelTransport(transport), Lang: string(lang), On: true}
	for _, k := range connexa.NotificationSwitches() {
		if k != connexa.NotifyRunFinished { // the admin who starts a run sees its end on the page
			in.Kinds = append(in.Kinds, string(k))
		}
	}
	return in
}

// channelTransports are the transports with a form of their own.
var channelTransports = []string{connexa.TransportTelegram, connexa.TransportMail, connexa.TransportWebhook, connexa.TransportOther}

// ChannelTransport returns the transport whose form is that of another.
func ChannelTransport(transport string) string {
	switch transport {
	case connexa.TransportTelegram, connexa.TransportMail, connexa.TransportWebhook:
		return transport
	case "":
		return connexa.TransportTelegram
	default:
		return connexa.TransportOther
	}
}

// channelExamples are example addresses of some transports. The parts in capitals are
// placeholders.
var channelExamples = [][2]string{
	{"Discord", "https://discord.com/api/webhooks/ID/TOKEN"},
	{"Slack", "https://hooks.slack.com/services/T…/B…/…"},
	{"ntfy", "ntfy://ntfy.sh/TOPIC"},
	{"Gotify", "gotify://HOST/TOKEN"},
	{"Pushover", "pushover://shoutrrr:TOKEN@USER/"},
	{"Mattermost", "mattermost://HOST/TOKEN/CHANNEL"},
	{"Matrix", "matrix://USER:PASSWORD@HOST/?rooms=ROOM"},
	{"Rocket.Chat", "rocketchat://HOST/TOKEN_A/TOKEN_B/CHANNEL"},
}

func (f ChannelForm) actionURL() string {
	if f.ID == 0 {
		return "/channels"
	}
	return channelURL(f.ID) + "/edit"
}

func channelURL(id int64) string { return "/channels/" + strconv.FormatInt(id, 10) }

func (f ChannelForm) fieldArgs(name, label, help, class string) FieldArgs {
	return FieldArgs{Name: name, Label: label, Help: help, Error: f.Errors[name], Class: class}
}

func (f ChannelForm) optionalField(name, label, help, class string) FieldArgs {
	a := f.fieldArgs(name, label, help, class)
	a.Optional = f.ID == 0 // an edit may leave each field of the address empty, so that none needs the mark
	return a
}

func (f ChannelForm) wantsKind(k connexa.NotificationKind) bool {
	return slices.Contains(f.Input.Kinds, string(k))
}

// portField returns the value of the port field.
func (f ChannelForm) portField() string {
	if f.Input.Port == "" && f.ID == 0 {
		return "587"
	}
	return f.Input.Port
}

// transportCalled returns the name of a transport in the reader's language.
func transportCalled(p *i18n.Printer, transport string) string {
	if name := connexa.TransportName(transport); name != "" {
		return name
	}
	if key := "channel.transport." + transport; p.Has(key) {
		return p.T(key)
	}
	return transport
}

// addressShown returns the parts of an address that may be shown: the transport and
// the last characters.
func addressShown(p *i18n.Printer, c connexa.Channel) string {
	shown := transportCalled(p, c.Transport())
	if tail := c.Tail(); tail != "" {
		shown += " ···" + tail
	}
	return shown
}

func langName(code string) string {
	l, _ := i18n.ParseLang(code)
	return l.Name()
}

// channelEvents lists the events that a channel receives.
func channelEvents(p *i18n.Printer, c connexa.Channel) string {
	if len(c.Kinds) == len(connexa.NotificationSwitches()) {
		return p.T("channels.events.all")
	}
	var list []string
	for _, k := range c.Kinds {
		list = append(list, p.T("channel.kind."+string(k)))
	}
	return strings.Join(list, ", ")
}

// isFailing reports whether the last message could not be sent.
func isFailing(c connexa.Channel) bool { return c.FailedAt.After(c.SentAt) }

func secretInput(extra templ.Attributes) templ.Attributes {
	a := templ.Attributes{"class": "mono", "autocomplete": "off", "spellcheck": "false", "autocapitalize": "off", "maxlength": "2000"}
	maps.Copy(a, extra)
	return a
}

// ConfirmRemoveChannel asks for confirmation before a channel is removed.
func ConfirmRemoveChannel(p *i18n.Printer, c connexa.Channel) Confirm {
	return Confirm{
		Title: p.T("channel.remove.title", c.Name), Text: p.T("channel.remove.text"), URL: channelURL(c.ID) + "/remove",
		Button: p.T("channel.remove"), Danger: true, Fields: []Hidden{{"yes", "1"}},
	}
}

func langOptions() []Option {
	var list []Option
	for _, code := range connexa.ChannelLangs() {
		list = append(list, Option{code, langName(code)})
	}
	return list
}

package views

import (
	"testing"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// channelSamples returns the notification pages.
func channelSamples(p *i18n.Printer, pg Page) map[string]templ.Component {
	list := []connexa.Channel{
		{ID: 1, Name: "Ops chat", Address: "telegram://110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw@telegram?chats=-100123", Lang: "ru", On: true, Kinds: connexa.NotificationSwitches(), SentAt: now.Add(-3 * time.Minute)},
		{
			ID: 2, Name: "Night shift", Address: "smtp://ops:pw@mail.example.net:587/?from=a@example.net&to=ann@example.org", Lang: "en", On: true,
			Kinds: []connexa.NotificationKind{connexa.NotifyServiceFailed, connexa.NotifyNodeDown}, SentAt: now.Add(-26 * time.Hour), FailedAt: now.Add(-2 * time.Hour),
			Problem: "failed to authenticate: 535 5.7.8 Error: authentication failed for •••: authentication failure",
		},
		{ID: 3, Name: "Home automation", Address: "generic://hooks.example.net/in/Copper-Lantern-42?template=json", Lang: "en", Kinds: []connexa.NotificationKind{connexa.NotifyOffline}},
		{
			ID: 4, Name: "Phone", Address: "ntfy://ntfy.sh/ops", Lang: "en", On: true, Kinds: []connexa.NotificationKind{connexa.NotifyNewLogin},
			SentAt: now.Add(-time.Hour), FailedAt: now.Add(-5 * time.Hour), Problem: connexa.AuditDetail(connexa.T("channel.slow", 20*time.Second)),
		},
	}
	form := func(service string) ChannelForm { return ChannelForm{Input: ChannelInputOf(service, p.Lang())} }
	wrong := form(connexa.TransportMail)
	wrong.Input.Host, wrong.Input.Kinds, wrong.Input.From = "mail.example.net:25", nil, "me"
	wrong.Errors = connexa.FieldErrors{
		"name": connexa.T("field.channel.name"), "host": connexa.T("field.channel.host"), "from": connexa.T("field.channel.mailbox"), "kinds": connexa.T("field.channel.kinds"),
	}
	edit := ChannelForm{
		ID: 1, Called: "Ops chat", Tail: "Dsaw",
		Input: connexa.ChannelInput{Name: "Ops chat", Lang: "ru", On: true, Transport: connexa.TransportTelegram, Kinds: []string{"node_dropped", "new_login"}},
	}
	return map[string]templ.Component{
		"channels":         Channels(pg, ChannelsPage{List: list, NoLink: true}),
		"channels-none":    Channels(pg, ChannelsPage{}),
		"channel-telegram": ChannelFormPage(pg, form(connexa.TransportTelegram)),
		"channel-webhook":  ChannelFormPage(pg, form(connexa.TransportWebhook)),
		"channel-other":    ChannelFormPage(pg, form(connexa.TransportOther)),
		"channel-wrong":    ChannelFormPage(pg, wrong),
		"channel-edit":     ChannelFormPage(pg, edit),
		"channel-remove":   ConfirmPage(pg, ConfirmRemoveChannel(p, list[0])),
	}
}

func TestAnAddressIsShownByItsEnd(t *testing.T) {
	p := i18n.New(i18n.English, nil)
	for address, want := range map[connexa.Secret]string{
		"telegram://110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw@telegram?chats=-100123":     "Telegram ···Dsaw",
		"smtp://ops:Blue-Kite-7@mail.example.net:587/?from=a@example.net&to=ann@example.org": "E-mail ···.org",
		"generic://hooks.example.net/in/Copper-Lantern-42?template=json":                     "Webhook ···n-42",
		"generic+https://hooks.example.net/in/Copper-Lantern-42/":                            "Webhook ···n-42",
		"discord://token_of-webhook@123456789":                                               "Discord ···6789",
		"gotify://push.example.net/Aq7.xyz-secret_1":                                         "Gotify ···et_1",
		"ntfy://ntfy.sh/ops": "ntfy", // the tail would be most of such a short word
		"carrier-pigeon://%": "carrier-pigeon",
	} {
		if got := addressShown(p, connexa.Channel{Address: address}); got != want {
			t.Errorf("%s is shown as %q, want %q", address.Reveal(), got, want)
		}
	}
}

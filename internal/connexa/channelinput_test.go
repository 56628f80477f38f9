package connexa

import (
	"errors"
	"testing"
)

// TestAnAddressIsTypedWhole checks that an edit which changes a part of a channel's
// address must contain the whole address.
func TestAnAddressIsTypedWhole(t *testing.T) {
	base := ChannelInput{Name: "Ops", Lang: "en", Kinds: []string{string(NotifyOffline)}}
	for name, change := range map[string]func(*ChannelInput){
		"port of mail":      func(in *ChannelInput) { in.Transport, in.Port = TransportMail, "2525" },
		"mail without TLS":  func(in *ChannelInput) { in.Transport, in.Plain = TransportMail, true },
		"password of mail":  func(in *ChannelInput) { in.Transport, in.Password = TransportMail, "Copper-77" },
		"bearer":            func(in *ChannelInput) { in.Transport, in.Bearer = TransportWebhook, "Copper-77" },
		"chat of Telegram":  func(in *ChannelInput) { in.Transport, in.Chat = TransportTelegram, "@ops" },
		"address of others": func(in *ChannelInput) { in.Transport, in.URL = TransportOther, "ntfy" },
	} {
		in := base
		change(&in)
		c, err := in.Parse(true)
		if errs := (FieldErrors{}); !errors.As(err, &errs) || errs[in.AddressField()].IsZero() {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	for _, service := range []string{TransportMail, TransportWebhook, TransportTelegram, TransportOther} {
		in := base
		in.Transport = service
		if c, err := in.Parse(true); err != nil || c.Address != "" {
			t.Errorf("%s: %v", service, err)
		}
	}
}

package connexa

import (
	"testing"
	"time"
)

// TestNamesAreLines puts characters that are invalid in a line into every name that a
// user can enter.
func TestNamesAreLines(t *testing.T) {
	fields := map[string]func(s string) error{
		"label of a profile": func(s string) error { return NewProfile{Label: s}.Check(time.Now()) },
		"note of a user": func(s string) error {
			_, _, err := ParseClient(ClientInput{Name: "ann", Scope: "all", Note: s}, time.UTC)
			return err
		},
		"name of a user": func(s string) error {
			_, _, err := ParseClient(ClientInput{Name: s, Scope: "all"}, time.UTC)
			return err
		},
		"name of a channel": func(s string) error {
			_, err := ChannelInput{Name: s, Transport: TransportWebhook, Webhook: "https://a.example/", Lang: "en", Kinds: []string{string(NotificationKinds()[0])}}.Parse(false)
			return err
		},
		"comment of a node": func(s string) error {
			_, _, err := ParseNode(NodeInput{Address: "192.0.2.1", Login: "ops", Password: "x", Comment: s})
			return err
		},
	}
	for name, check := range fields {
		if err := check("phone"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for what, c := range map[string]string{
			"a null": "\x00", "an escape": "\x1b", "a delete": "\x7f", "a C1 control": "\u0085",
			"a line separator": "\u2028", "a paragraph separator": "\u2029",
			"an override": "\u202e", "an isolate": "\u2066", "a noncharacter": "\ufdd0",
		} {
			if err := check("pho" + c + "ne"); err == nil {
				t.Errorf("%s takes %s in its middle", name, what)
			}
		}
	}
	if err := fields["label of a profile"]("a\"\nup \"/bin/sh\"\nsetenv x"); err == nil {
		t.Error("a label of several lines")
	}
	if err := fields["label of a profile"]("Анин ноутбук, 2-й"); err != nil {
		t.Error(err)
	}
}

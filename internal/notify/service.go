package notify

import (
	"context"
	"encoding/json"
	"mime"
	"net/url"
	"slices"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
	"github.com/nicholas-fedor/shoutrrr/pkg/util/jsonclient"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/guard"
)

// Check is the function of that name.
func (n *Notifier) Check(address connexa.Secret) error { return Check(address) }

// Check says whether shoutrrr can read an address; it sends nothing. The errors
// are *connexa.Error and hold nothing of the address.
func Check(address connexa.Secret) (err error) {
	defer func() { // the converters of some addresses do on bad ones
		if recover() != nil {
			err = connexa.Errorf(connexa.Invalid, "field.channel.form")
		}
	}()
	r := router.ServiceRouter{}
	service, u, err := r.ExtractServiceName(address.Reveal())
	if err != nil {
		return connexa.Errorf(connexa.Invalid, "field.channel.url")
	}
	service = strings.ToLower(service)
	if !slices.Contains(r.ListServices(), service) || service == "logger" { // that one sends nowhere
		return connexa.Errorf(connexa.Invalid, "field.channel.service")
	}
	if service == "matrix" && u.User.Username() != "" { // reading it would log in
		return nil
	}
	if _, err := r.Locate(address.Reveal()); err != nil {
		return connexa.Errorf(connexa.Invalid, "field.channel.form")
	}
	return nil
}

// withTitle are the services that have a place for a title. The others take none, or
// change the form of the text for its sake.
var withTitle = []string{connexa.ServiceMail, connexa.ServiceWebhook, "ntfy", "gotify", "pushover", "bark", "join", "pushbullet"}

// sendMessage sends m by the service that address names, where dial lets it. Its error may
// hold the address.
func sendMessage(ctx context.Context, dial *guard.Guard, address connexa.Secret, m Message) error {
	replaceTransports(dial)
	r := router.ServiceRouter{}
	service, err := r.Locate(address.Reveal())
	if err != nil {
		return err
	}
	replaceClients(service, dial)
	if service.GetID() == connexa.ServiceMail {
		// The service dials by itself, so the name is judged just before it does.
		u, err := url.Parse(address.Reveal())
		if err != nil {
			return err
		}
		if err := dial.CheckHost(ctx, u.Hostname()); err != nil {
			return err
		}
	}
	params := types.Params{}
	if slices.Contains(withTitle, service.GetID()) {
		title := m.Title
		if service.GetID() == connexa.ServiceMail { // the service writes it into the header as it is
			title = mime.BEncoding.Encode("utf-8", title)
		}
		params.SetTitle(title)
	}
	return service.Send(m.Text, &params)
}

type jsonClient struct{ jsonclient.Client }

// Post implements jsonclient.Client.
func (c jsonClient) Post(url string, request, response any) error {
	err := c.Client.Post(url, request, response)
	if err != nil && jsonclient.ErrorBody(err) == "" {
		return unanswered{err}
	}
	return err
}

// unanswered is an error to which no body of an answer belongs; asked for one, it
// says itself in the form that Telegram's answers have.
type unanswered struct{ error }

func (e unanswered) Unwrap() error { return e.error }

// As implements what errors.As looks for.
func (e unanswered) As(target any) bool {
	to, ok := target.(*jsonclient.Error)
	if !ok {
		return false
	}
	body, err := json.Marshal(map[string]any{"ok": false, "description": e.Error()})
	if err != nil {
		return false
	}
	*to = jsonclient.Error{Body: string(body)}
	return true
}

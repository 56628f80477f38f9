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

// Check calls the function Check.
func (n *Notifier) Check(address connexa.Secret) error { return Check(address) }

// Check reports whether shoutrrr can parse an address; it sends nothing. The errors
// are *connexa.Error and contain nothing of the address.
func Check(address connexa.Secret) (err error) {
	defer func() { // some parsers panic on bad addresses
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
	if !slices.Contains(r.ListServices(), service) || service == "logger" { // the logger sends nowhere
		return connexa.Errorf(connexa.Invalid, "field.channel.service")
	}
	if service == "matrix" && u.User.Username() != "" { // parsing it would log in
		return nil
	}
	if _, err := r.Locate(address.Reveal()); err != nil {
		return connexa.Errorf(connexa.Invalid, "field.channel.form")
	}
	return nil
}

// withTitle are the transports that get a title. The others support none, or change the
// form of the text because of it.
var withTitle = []string{connexa.TransportMail, connexa.TransportWebhook, "ntfy", "gotify", "pushover", "bark", "join", "pushbullet"}

// sendMessage sends m through the service of the address, to destinations that dial
// allows. The error may contain the address.
func sendMessage(ctx context.Context, dial *guard.Guard, address connexa.Secret, m Message) error {
	replaceTransports(dial)
	r := router.ServiceRouter{}
	service, err := r.Locate(address.Reveal())
	if err != nil {
		return err
	}
	replaceClients(service, dial)
	if service.GetID() == connexa.TransportMail {
		// The service dials by itself, so the host is checked just before.
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
		if service.GetID() == connexa.TransportMail { // the service writes the title into the header unencoded
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

// unanswered is an error without a response body. As a jsonclient.Error it has a body in
// the form of Telegram's responses, which shoutrrr would parse.
type unanswered struct{ error }

func (e unanswered) Unwrap() error { return e.error }

// As implements the method that errors.As calls. The only target is *jsonclient.Error.
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

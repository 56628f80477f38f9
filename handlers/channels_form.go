package handlers

import (
	"net/http"
	"net/url"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// newChannel answers GET /channels/new with the form for one kind of channel.
func (h *Handlers) newChannel(w http.ResponseWriter, r *http.Request) error {
	in := views.ChannelInputOf(r.URL.Query().Get("service"), i18n.From(r.Context()).Lang())
	return h.channelForm(w, r, http.StatusOK, views.ChannelForm{Input: in})
}

// addChannel answers POST /channels.
func (h *Handlers) addChannel(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	in := readChannel(r.PostForm)
	c, err := h.channels.AddChannel(r.Context(), in)
	if err != nil {
		return renderFormError(err, func(status int, errs connexa.FieldErrors) error {
			return h.channelForm(w, r, status, views.ChannelForm{Input: in, Errors: errs})
		})
	}
	return h.redirectDone(w, r, connexa.T("channel.added", c.Name), "/channels")
}

// editChannel answers GET /channels/{id}/edit. It shows no more of the address than the
// list does.
func (h *Handlers) editChannel(w http.ResponseWriter, r *http.Request) error {
	c, err := h.pathChannel(r)
	if err != nil {
		return err
	}
	in := connexa.ChannelInput{Name: c.Name, Lang: c.Lang, On: c.On, Transport: views.ChannelTransport(c.Transport())}
	for _, k := range c.Kinds {
		in.Kinds = append(in.Kinds, string(k))
	}
	return h.channelForm(w, r, http.StatusOK, views.ChannelForm{ID: c.ID, Input: in, Tail: c.Tail(), Called: c.Name})
}

// saveChannel answers POST /channels/{id}/edit.
func (h *Handlers) saveChannel(w http.ResponseWriter, r *http.Request) error {
	c, err := h.pathChannel(r)
	if err != nil {
		return err
	}
	if err := parseForm(r); err != nil {
		return err
	}
	in := readChannel(r.PostForm)
	if err := h.channels.EditChannel(r.Context(), c.ID, in); err != nil {
		return renderFormError(err, func(status int, errs connexa.FieldErrors) error {
			return h.channelForm(w, r, status, views.ChannelForm{ID: c.ID, Input: in, Errors: errs, Tail: c.Tail(), Called: c.Name})
		})
	}
	return h.redirectDone(w, r, connexa.T("channel.saved", in.Name), "/channels")
}

func (h *Handlers) channelForm(w http.ResponseWriter, r *http.Request, status int, f views.ChannelForm) error {
	title := connexa.T("channel.new.title")
	if f.ID != 0 {
		title = connexa.T("channel.edit.title", f.Called)
	}
	return h.renderStatus(w, r, status, views.ChannelFormPage(h.layoutData(w, r, title, views.NavSettings), f))
}

func (h *Handlers) pathChannel(r *http.Request) (connexa.Channel, error) {
	id, err := pathID(r)
	if err != nil {
		return connexa.Channel{}, err
	}
	return h.channels.Channel(r.Context(), id)
}

func readChannel(f url.Values) connexa.ChannelInput {
	return connexa.ChannelInput{
		Name: f.Get("name"), Lang: f.Get("lang"), On: f.Get("on") == "1", Kinds: f["kinds"], Transport: views.ChannelTransport(f.Get("service")),
		Token: f.Get("token"), Chat: f.Get("chat"),
		Host: f.Get("host"), Port: f.Get("port"), User: f.Get("user"), Password: connexa.Secret(f.Get("password")),
		From: f.Get("from"), To: f.Get("to"), Plain: f.Get("plain") == "1",
		Webhook: f.Get("webhook"), Bearer: connexa.Secret(f.Get("bearer")), URL: f.Get("url"),
	}
}

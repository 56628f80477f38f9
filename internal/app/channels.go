package app

import (
	"context"
	"errors"

	"github.com/connexa-panel/connexa/internal/connexa"
)

type channelStore interface {
	Channels(ctx context.Context) ([]connexa.Channel, error)
	Channel(ctx context.Context, id int64) (connexa.Channel, error)
	AddChannel(ctx context.Context, c connexa.Channel, most int) (id int64, err error)
	SaveChannel(ctx context.Context, c connexa.Channel) error
	RemoveChannel(ctx context.Context, id int64) error
}

// notifier sends to the channels.
type notifier interface {
	Check(address connexa.Secret) error // returns a *connexa.Error for an address that the user must correct
	Test(ctx context.Context, c connexa.Channel) error
	Wake()
}

const maxChannels = 50

// Channels are the places that notifications are sent to.
type Channels struct {
	env      Env
	store    channelStore
	notifier notifier
}

// NewChannels returns Channels.
func NewChannels(env Env, store channelStore, notifier notifier) *Channels {
	return &Channels{env: env, store: store, notifier: notifier}
}

// AllChannels lists the channels.
func (a *Channels) AllChannels(ctx context.Context) ([]connexa.Channel, error) {
	return a.store.Channels(ctx)
}

// Channel returns the channel with that id, or NotFound.
func (a *Channels) Channel(ctx context.Context, id int64) (connexa.Channel, error) {
	return a.store.Channel(ctx, id)
}

// AddChannel adds a channel, or says with FieldErrors what is wrong with it.
func (a *Channels) AddChannel(ctx context.Context, in connexa.ChannelInput) (connexa.Channel, error) {
	c, err := a.parseChannel(in, false)
	if err != nil {
		return c, err
	}
	if c.ID, err = a.store.AddChannel(ctx, c, maxChannels); err != nil {
		return c, err
	}
	a.channelChanged(ctx, connexa.T("audit.channel.added", c.Name))
	return c, nil
}

// EditChannel changes a channel, or says with FieldErrors what is wrong with in. An
// empty address keeps the stored one.
func (a *Channels) EditChannel(ctx context.Context, id int64, in connexa.ChannelInput) error {
	c, err := a.parseChannel(in, true)
	if err != nil {
		return err
	}
	c.ID = id
	if err := a.store.SaveChannel(ctx, c); err != nil {
		return err
	}
	said := "audit.channel.changed"
	if c.Address != "" {
		said = "audit.channel.readdressed"
	}
	a.channelChanged(ctx, connexa.T(said, c.Name))
	return nil
}

func (a *Channels) parseChannel(in connexa.ChannelInput, keep bool) (connexa.Channel, error) {
	c, err := in.Parse(keep)
	if err != nil {
		return c, err
	}
	if c.Address != "" {
		var bad *connexa.Error
		if err := a.notifier.Check(c.Address); errors.As(err, &bad) {
			return c, connexa.FieldErrors{in.AddressField(): bad.Text}
		} else if err != nil {
			return c, err
		}
	}
	return c, nil
}

// RemoveChannel removes a channel.
func (a *Channels) RemoveChannel(ctx context.Context, id int64) error {
	c, err := a.store.Channel(ctx, id)
	if err != nil {
		return err
	}
	if err := a.store.RemoveChannel(ctx, id); err != nil {
		return err
	}
	a.channelChanged(ctx, connexa.T("audit.channel.removed", c.Name))
	return nil
}

// TestChannel sends a message to a channel now, even if the channel is off.
func (a *Channels) TestChannel(ctx context.Context, id int64) (connexa.Channel, error) {
	c, err := a.store.Channel(ctx, id)
	if err != nil {
		return c, err
	}
	a.env.recordAct(ctx, connexa.ActSettings, connexa.T("audit.channel.tested", c.Name))
	return c, a.notifier.Test(ctx, c)
}

func (a *Channels) channelChanged(ctx context.Context, what connexa.Text) {
	a.env.recordAct(ctx, connexa.ActSettings, what)
	a.notifier.Wake()
}

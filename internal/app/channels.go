package app

import (
	"context"
	"errors"
	"slices"

	"github.com/connexa-panel/connexa/internal/connexa"
)

type channelStore interface {
	Channels(ctx context.Context) ([]connexa.Channel, error)
	Channel(ctx context.Context, id int64) (connexa.Channel, error)
	AddChannel(ctx context.Context, c connexa.Channel, most int) (id int64, err error)
	SaveChannel(ctx context.Context, c connexa.Channel) error
	RemoveChannel(ctx context.Context, id int64) error
	LoginAddresses(ctx context.Context, user string) ([]string, error)
}

// notifier sends notices to channels.
type notifier interface {
	Check(address connexa.Secret) error // its errors for people are *connexa.Error
	Notify(connexa.Notice)
	Test(ctx context.Context, c connexa.Channel) error
	Wake()
}

const maxChannels = 50

// AllChannels lists where notices are sent to.
func (a *App) AllChannels(ctx context.Context) ([]connexa.Channel, error) {
	return a.Channels.Channels(ctx)
}

// Channel returns the channel with that id, or NotFound.
func (a *App) Channel(ctx context.Context, id int64) (connexa.Channel, error) {
	return a.Channels.Channel(ctx, id)
}

// AddChannel adds a channel, or says with FieldErrors what is wrong with it.
func (a *App) AddChannel(ctx context.Context, in connexa.ChannelInput) (connexa.Channel, error) {
	c, err := a.parseChannel(in, false)
	if err != nil {
		return c, err
	}
	if c.ID, err = a.Channels.AddChannel(ctx, c, maxChannels); err != nil {
		return c, err
	}
	a.channelChanged(ctx, connexa.T("audit.channel.added", c.Name))
	return c, nil
}

// EditChannel changes a channel, or says with FieldErrors what is wrong. Without
// a new address it keeps the one that it has.
func (a *App) EditChannel(ctx context.Context, id int64, in connexa.ChannelInput) error {
	c, err := a.parseChannel(in, true)
	if err != nil {
		return err
	}
	c.ID = id
	if err := a.Channels.SaveChannel(ctx, c); err != nil {
		return err
	}
	said := "audit.channel.changed"
	if c.Address != "" {
		said = "audit.channel.readdressed"
	}
	a.channelChanged(ctx, connexa.T(said, c.Name))
	return nil
}

func (a *App) parseChannel(in connexa.ChannelInput, keep bool) (connexa.Channel, error) {
	c, err := in.Parse(keep)
	if err != nil {
		return c, err
	}
	if c.Address != "" {
		var bad *connexa.Error
		if err := a.Notifier.Check(c.Address); errors.As(err, &bad) {
			return c, connexa.FieldErrors{in.AddressField(): bad.Text}
		} else if err != nil {
			return c, err
		}
	}
	return c, nil
}

// RemoveChannel takes a channel away.
func (a *App) RemoveChannel(ctx context.Context, id int64) error {
	c, err := a.Channels.Channel(ctx, id)
	if err != nil {
		return err
	}
	if err := a.Channels.RemoveChannel(ctx, id); err != nil {
		return err
	}
	a.channelChanged(ctx, connexa.T("audit.channel.removed", c.Name))
	return nil
}

// TestChannel sends a message to a channel at once, whether it is on or not.
func (a *App) TestChannel(ctx context.Context, id int64) (connexa.Channel, error) {
	c, err := a.Channels.Channel(ctx, id)
	if err != nil {
		return c, err
	}
	a.recordAct(ctx, connexa.ActSettings, connexa.T("audit.channel.tested", c.Name))
	return c, a.Notifier.Test(ctx, c)
}

func (a *App) channelChanged(ctx context.Context, what connexa.Text) {
	a.recordAct(ctx, connexa.ActSettings, what)
	a.Notifier.Wake()
}

// fromElsewhere says whether a user logs in from an address that is new: none of
// the earlier logins came from it, or from its IPv6 network. The first login of
// all is no news.
func (a *App) fromElsewhere(ctx context.Context, user, address string) (bool, error) {
	known, err := a.Channels.LoginAddresses(ctx, user)
	if err != nil || len(known) == 0 {
		return false, err
	}
	here := addressKey(address)
	return !slices.ContainsFunc(known, func(k string) bool { return addressKey(k) == here }), nil
}

package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// purposeChannel binds a sealed address to its column.
const purposeChannel = "channel.address"

// Channels lists the channels with their addresses, in the order in which they were
// added.
func (d *DB) Channels(ctx context.Context) ([]connexa.Channel, error) {
	return d.queryChannels(ctx, "")
}

// Channel returns the channel with that id, or NotFound.
func (d *DB) Channel(ctx context.Context, id int64) (connexa.Channel, error) {
	list, err := d.queryChannels(ctx, "WHERE id = ?", id)
	if err == nil && len(list) == 0 {
		err = translateError(sql.ErrNoRows)
	}
	if err != nil {
		return connexa.Channel{}, fmt.Errorf("channel %d: %w", id, err)
	}
	return list[0], nil
}

func (d *DB) queryChannels(ctx context.Context, where string, args ...any) ([]connexa.Channel, error) {
	var list []connexa.Channel
	for scan := range eachRow(d.read.QueryContext(ctx, `
		SELECT id, name, address, lang, enabled, sent_at, failed_at, problem,
			coalesce((SELECT group_concat(kind) FROM channel_kinds WHERE channel_id = channels.id), '')
		FROM channels `+where+` ORDER BY id`, args...)) {
		var (
			c            connexa.Channel
			sealed       []byte
			sent, failed int64
			kinds        string
		)
		if err := scan(&c.ID, &c.Name, &sealed, &c.Lang, &c.On, &sent, &failed, &c.Problem, &kinds); err != nil {
			return nil, fmt.Errorf("list channels: %w", err)
		}
		address, err := d.ring.unseal(purposeChannel, sealed)
		if err != nil {
			return nil, fmt.Errorf("channel %d: %w", c.ID, err)
		}
		c.Address, c.SentAt, c.FailedAt = connexa.Secret(address), fromMillis(sent), fromMillis(failed)
		for _, k := range connexa.NotificationSwitches() {
			if strings.Contains(","+kinds+",", ","+string(k)+",") {
				c.Kinds = append(c.Kinds, k)
			}
		}
		list = append(list, c)
	}
	return list, nil
}

// AddChannel adds a channel if there are fewer than most. Otherwise it returns Conflict.
func (d *DB) AddChannel(ctx context.Context, c connexa.Channel, most int) (id int64, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `
			INSERT INTO channels (name, address, lang, enabled) SELECT ?, ?, ?, ? WHERE (SELECT count(*) FROM channels) < ? RETURNING id`,
			c.Name, d.ring.seal(purposeChannel, []byte(c.Address.Reveal())), c.Lang, c.On, most).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return connexa.Errorf(connexa.Conflict, "channel.many", most)
		}
		if err != nil {
			return fmt.Errorf("add a channel: %w", err)
		}
		return setChannelKinds(ctx, tx, id, c.Kinds)
	})
	return id, err
}

// SaveChannel writes the fields of a channel that an admin may edit, or returns NotFound.
// An empty address keeps the old one; a new address clears the results of earlier
// messages.
func (d *DB) SaveChannel(ctx context.Context, c connexa.Channel) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		err := oneRow(tx.ExecContext(ctx, `UPDATE channels SET name = ?, lang = ?, enabled = ? WHERE id = ?`, c.Name, c.Lang, c.On, c.ID))
		if err != nil {
			return fmt.Errorf("save channel %d: %w", c.ID, err)
		}
		if c.Address != "" {
			if _, err := tx.ExecContext(ctx, `UPDATE channels SET address = ?, sent_at = 0, failed_at = 0, problem = '' WHERE id = ?`,
				d.ring.seal(purposeChannel, []byte(c.Address.Reveal())), c.ID); err != nil {
				return fmt.Errorf("save the address of channel %d: %w", c.ID, err)
			}
		}
		return setChannelKinds(ctx, tx, c.ID, c.Kinds)
	})
}

func setChannelKinds(ctx context.Context, tx *sql.Tx, id int64, kinds []connexa.NotificationKind) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM channel_kinds WHERE channel_id = ?`, id); err != nil {
		return fmt.Errorf("set the events of channel %d: %w", id, err)
	}
	for _, k := range kinds {
		if _, err := tx.ExecContext(ctx, `INSERT INTO channel_kinds (channel_id, kind) VALUES (?, ?)`, id, k); err != nil {
			return fmt.Errorf("set the events of channel %d: %w", id, err)
		}
	}
	return nil
}

// RemoveChannel deletes a channel, or returns NotFound.
func (d *DB) RemoveChannel(ctx context.Context, id int64) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		err := oneRow(tx.ExecContext(ctx, `DELETE FROM channels WHERE id = ?`, id))
		if err != nil {
			return fmt.Errorf("remove channel %d: %w", id, err)
		}
		return nil
	})
}

// ChannelSent records that a message was sent.
func (d *DB) ChannelSent(ctx context.Context, id int64, at time.Time) error {
	return d.noteChannel(ctx, id, `UPDATE channels SET sent_at = ? WHERE id = ?`, toMillis(at), id)
}

// ChannelFailed records that a message was not sent, and why.
func (d *DB) ChannelFailed(ctx context.Context, id int64, at time.Time, problem string) error {
	return d.noteChannel(ctx, id, `UPDATE channels SET failed_at = ?, problem = ? WHERE id = ?`, toMillis(at), problem, id)
}

// noteChannel updates a channel. It ignores a channel that was deleted meanwhile.
func (d *DB) noteChannel(ctx context.Context, id int64, query string, args ...any) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, query, args...); err != nil {
			return fmt.Errorf("note the state of channel %d: %w", id, err)
		}
		return nil
	})
}

package access

import (
	"context"
	"fmt"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/socks5"
)

// Load reads the clients.
func (d *Directory) Load(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.loadLocked(ctx)
}

// loadLocked reads the clients. d.mu is held, so that no count is saved in between and
// counted twice.
func (d *Directory) loadLocked(ctx context.Context) error {
	logins, err := d.cfg.Store.ClientLogins(ctx)
	if err != nil {
		return fmt.Errorf("read the clients: %w", err)
	}
	tags, err := d.cfg.Store.ServiceTags(ctx)
	if err != nil {
		return fmt.Errorf("read the clients: %w", err)
	}
	v := &snapshot{names: make(map[string]*client, len(logins)), ids: make(map[int64]*client, len(logins)), tags: tags}
	for _, l := range logins {
		a := d.usages[l.ID]
		if a == nil {
			a = &usage{savedVisit: visit{at: l.SeenAt}}
			d.usages[l.ID] = a
		}
		a.offsetUp.Store(int64(l.Up) - int64(a.saved.Up))
		a.offsetDown.Store(int64(l.Down) - int64(a.saved.Down))
		p := &client{Client: l.Client, digest: d.passwordDigest(l.Password), usage: a}
		v.names[p.Name], v.ids[p.ID] = p, p
	}
	for id := range d.usages {
		if v.ids[id] == nil {
			delete(d.usages, id)
		}
	}
	d.snapshot.Store(v)
	d.publishStates()
	d.cfg.OnRevoked() // some clients may have lost access
	return nil
}

// Run keeps the clients current until ctx is done, then saves the counters.
func (d *Directory) Run(ctx context.Context) error {
	judge, flush, reload := time.NewTicker(checkEvery), time.NewTicker(flushEvery), time.NewTicker(reloadEvery)
	defer judge.Stop()
	defer flush.Stop()
	defer reload.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return d.Flush(context.WithoutCancel(ctx))
		case <-d.wake:
			err = d.Load(ctx)
		case <-reload.C:
			err = d.Load(ctx)
		case <-judge.C:
			err = d.checkPeriods(ctx)
		case <-flush.C:
			err = d.Flush(ctx)
		}
		if err != nil && ctx.Err() == nil {
			d.cfg.Log.Error("update the clients", "err", err) // the next tick retries
		}
	}
}

// checkPeriods finds clients whose time or quota has ended, and resets the counters of
// those whose period is over.
func (d *Directory) checkPeriods(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.cfg.Now()
	var due []int64
	zone, since := d.cfg.Zone()
	for id, p := range d.snapshot.Load().ids {
		if p.Period.IsOver(p.CountedFrom, now, zone, since) {
			due = append(due, id)
		}
	}
	if len(due) > 0 {
		return d.resetLocked(ctx, due, now)
	}
	d.publishStates()
	return nil
}

// publishStates publishes changed states of clients. d.mu is held.
func (d *Directory) publishStates() {
	now, worse := d.cfg.Now(), false
	for id, p := range d.snapshot.Load().ids {
		state := p.State(now, p.usage.totalBytes())
		if state == p.usage.state {
			continue
		}
		p.usage.state = state
		worse = worse || state != connexa.ClientGranted
		d.cfg.Publish(connexa.Event{Topic: connexa.ClientTraffic, ID: id})
	}
	if worse {
		d.cfg.OnRevoked()
	}
}

// Reset resets the counters of clients.
func (d *Directory) Reset(ctx context.Context, ids ...int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.resetLocked(ctx, ids, d.cfg.Now())
}

// resetLocked first saves the counts so far, because they belong to the old period.
func (d *Directory) resetLocked(ctx context.Context, ids []int64, at time.Time) error {
	if err := d.flushLocked(ctx); err != nil {
		return err
	}
	if err := d.cfg.Store.ResetClientUsage(ctx, ids, at); err != nil {
		return err
	}
	if err := d.loadLocked(ctx); err != nil {
		return err
	}
	for _, id := range ids {
		d.cfg.Publish(connexa.Event{Topic: connexa.ClientTraffic, ID: id})
	}
	return nil
}

// Flush saves the counts since the last time.
func (d *Directory) Flush(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.flushLocked(ctx)
}

func (d *Directory) flushLocked(ctx context.Context) error {
	type done struct {
		account *usage
		written socks5.Counts
		visit   visit
	}
	var (
		counts []connexa.ClientCount
		after  []done
	)
	now := d.cfg.Now()
	for id, a := range d.usages {
		c, seen := a.meter.Counts(), visit{}
		if s := a.seen.Load(); s != nil {
			seen = *s
		}
		moved := c.Up != a.saved.Up || c.Down != a.saved.Down
		if moved {
			seen.at = now // traffic means that the client is connected
		}
		if c.Open != a.published.Open || moved || seen.at.After(a.savedVisit.at) {
			d.cfg.Publish(connexa.Event{Topic: connexa.ClientTraffic, ID: id})
		}
		a.published = c
		if !moved && !seen.at.After(a.savedVisit.at) {
			continue
		}
		count := connexa.ClientCount{ClientID: id, Up: c.Up - a.saved.Up, Down: c.Down - a.saved.Down}
		if seen.from.IsValid() {
			count.SeenAt, count.SeenFrom = seen.at, seen.from.String()
		}
		counts = append(counts, count)
		after = append(after, done{a, c, seen})
	}
	if len(counts) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if err := d.cfg.Store.AddClientTraffic(ctx, counts); err != nil {
		return err // the counts are kept for the next attempt
	}
	for _, f := range after {
		f.account.saved, f.account.savedVisit = f.written, f.visit
	}
	return nil
}

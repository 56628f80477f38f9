package access

import (
	"context"
	"fmt"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/socks5"
)

// Load reads the users.
func (d *Directory) Load(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.load(ctx)
}

// load reads the users. d.mu is held, so that nothing is written in between and
// counted twice.
func (d *Directory) load(ctx context.Context) error {
	logins, err := d.cfg.Store.AccessLogins(ctx)
	if err != nil {
		return fmt.Errorf("read the access users: %w", err)
	}
	tags, err := d.cfg.Store.ServiceTags(ctx)
	if err != nil {
		return fmt.Errorf("read the access users: %w", err)
	}
	v := &view{names: make(map[string]*person, len(logins)), ids: make(map[int64]*person, len(logins)), tags: tags}
	for _, l := range logins {
		a := d.accounts[l.ID]
		if a == nil {
			a = &account{told: visit{at: l.SeenAt}}
			d.accounts[l.ID] = a
		}
		a.beforeUp.Store(int64(l.Up) - int64(a.written.Up))
		a.beforeDown.Store(int64(l.Down) - int64(a.written.Down))
		p := &person{AccessUser: l.AccessUser, digest: d.digest(l.Password), account: a}
		v.names[p.Name], v.ids[p.ID] = p, p
	}
	for id := range d.accounts {
		if v.ids[id] == nil {
			delete(d.accounts, id)
		}
	}
	d.view.Store(v)
	d.watch()
	d.cfg.Cut() // whoever lost something by the change
	return nil
}

// Run keeps the view current until ctx is done, then writes what was counted.
func (d *Directory) Run(ctx context.Context) error {
	judge, flush, reload := time.NewTicker(judgeEvery), time.NewTicker(flushEvery), time.NewTicker(reloadEvery)
	defer judge.Stop()
	defer flush.Stop()
	defer reload.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return d.Flush(context.WithoutCancel(ctx))
		case <-d.poke:
			err = d.Load(ctx)
		case <-reload.C:
			err = d.Load(ctx)
		case <-judge.C:
			err = d.tick(ctx)
		case <-flush.C:
			err = d.Flush(ctx)
		}
		if err != nil && ctx.Err() == nil {
			d.cfg.Log.Error("keep the access users", "err", err) // the next time will do
		}
	}
}

// tick looks for users whose time or quota has ended, and for those whose
// counters begin anew.
func (d *Directory) tick(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.cfg.Now()
	var due []int64
	zone, since := d.cfg.Zone()
	for id, p := range d.view.Load().ids {
		if p.Period.IsOver(p.CountedFrom, now, zone, since) {
			due = append(due, id)
		}
	}
	if len(due) > 0 {
		return d.reset(ctx, due, now)
	}
	d.watch()
	return nil
}

// watch tells of users whose state has changed. d.mu is held.
func (d *Directory) watch() {
	now, worse := d.cfg.Now(), false
	for id, p := range d.view.Load().ids {
		state := p.State(now, p.account.used())
		if state == p.account.state {
			continue
		}
		p.account.state = state
		worse = worse || state != connexa.AccessGranted
		d.cfg.Publish(connexa.Event{Topic: connexa.AccessFigures, ID: id})
	}
	if worse {
		d.cfg.Cut()
	}
}

// Reset begins the counters of users anew.
func (d *Directory) Reset(ctx context.Context, ids ...int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reset(ctx, ids, d.cfg.Now())
}

// reset writes first what was counted until now: it belongs to what ends.
func (d *Directory) reset(ctx context.Context, ids []int64, at time.Time) error {
	if err := d.flush(ctx); err != nil {
		return err
	}
	if err := d.cfg.Store.ResetAccess(ctx, ids, at); err != nil {
		return err
	}
	if err := d.load(ctx); err != nil {
		return err
	}
	for _, id := range ids {
		d.cfg.Publish(connexa.Event{Topic: connexa.AccessFigures, ID: id})
	}
	return nil
}

// Flush writes what was counted since the last time.
func (d *Directory) Flush(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.flush(ctx)
}

func (d *Directory) flush(ctx context.Context) error {
	type done struct {
		account *account
		written socks5.Counts
		told    visit
	}
	var (
		counts []connexa.AccessCount
		after  []done
	)
	now := d.cfg.Now()
	for id, a := range d.accounts {
		c, seen := a.meter.Counts(), visit{}
		if s := a.seen.Load(); s != nil {
			seen = *s
		}
		moved := c.Up != a.written.Up || c.Down != a.written.Down
		if moved {
			seen.at = now // whoever moves something is there
		}
		if c.Open != a.shown.Open || moved || seen.at.After(a.told.at) {
			d.cfg.Publish(connexa.Event{Topic: connexa.AccessFigures, ID: id})
		}
		a.shown = c
		if !moved && !seen.at.After(a.told.at) {
			continue
		}
		count := connexa.AccessCount{UserID: id, Up: c.Up - a.written.Up, Down: c.Down - a.written.Down}
		if seen.from.IsValid() {
			count.SeenAt, count.SeenFrom = seen.at, seen.from.String()
		}
		counts = append(counts, count)
		after = append(after, done{a, c, seen})
	}
	if len(counts) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	if err := d.cfg.Store.CountAccess(ctx, counts); err != nil {
		return err // what was counted is still there
	}
	for _, f := range after {
		f.account.written, f.account.told = f.written, f.told
	}
	return nil
}

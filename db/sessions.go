package db

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// The lifetime of a session.
const (
	SessionIdle = 12 * time.Hour     // without a request
	SessionLife = 7 * 24 * time.Hour // in total
)

const (
	touchEvery   = time.Minute     // the precision of the last-seen time
	touchTimeout = 2 * time.Second // an import may hold the writer; the next request tries again
	touchesMost  = 8               // concurrent
)

// aliveSession is the condition that a session is valid. Its two arguments are those of
// aliveArgs.
const aliveSession = `expires_at > ? AND seen_at > ?`

func (d *DB) aliveArgs() (now, idle int64) {
	t := d.now()
	return toMillis(t), toMillis(t.Add(-SessionIdle))
}

// tokenHash returns the hash of a token, which the table stores instead of the token: a
// reader of the table cannot log in.
func tokenHash(token connexa.Secret) []byte {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return sum[:]
}

// StartSession adds the row of a new login. Nothing else does: a commit of the session
// store only changes rows. It also deletes expired sessions.
func (d *DB) StartSession(ctx context.Context, token connexa.Secret, s connexa.Session) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		now, idle := d.aliveArgs()
		if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE NOT (`+aliveSession+`)`, now, idle); err != nil {
			return fmt.Errorf("prune sessions: %w", err)
		}
		_, err := tx.ExecContext(ctx, `
			INSERT INTO sessions (token_hash, account_id, data, address, agent, created_at, seen_at, expires_at)
			VALUES (?, ?, x'', ?, ?, ?, ?, ?)`,
			tokenHash(token), s.AccountID, s.Address, s.Agent, now, now, toMillis(d.now().Add(SessionLife)))
		if err != nil {
			return fmt.Errorf("start a session: %w", err)
		}
		return nil
	})
}

// SessionAlive reports whether the session with that token is valid.
func (d *DB) SessionAlive(ctx context.Context, token connexa.Secret) (bool, error) {
	now, idle := d.aliveArgs()
	var alive bool
	err := d.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sessions WHERE token_hash = ? AND `+aliveSession+`)`,
		tokenHash(token), now, idle).Scan(&alive)
	if err != nil {
		return false, fmt.Errorf("find a session: %w", err)
	}
	return alive, nil
}

// Sessions lists the sessions of an account, the last seen first. The one with the token
// current is marked.
func (d *DB) Sessions(ctx context.Context, accountID int64, current connexa.Secret) ([]connexa.Session, error) {
	now, idle := d.aliveArgs()
	var list []connexa.Session
	for scan := range eachRow(d.read.QueryContext(ctx, `
		SELECT id, account_id, created_at, seen_at, expires_at, address, agent, token_hash = ?
		FROM sessions WHERE account_id = ? AND `+aliveSession+` ORDER BY seen_at DESC, id DESC`,
		tokenHash(current), accountID, now, idle)) {
		var s connexa.Session
		var created, seen, expires int64
		if err := scan(&s.ID, &s.AccountID, &created, &seen, &expires, &s.Address, &s.Agent, &s.Current); err != nil {
			return nil, fmt.Errorf("list sessions: %w", err)
		}
		s.CreatedAt, s.SeenAt, s.ExpiresAt = fromMillis(created), fromMillis(seen), fromMillis(expires)
		list = append(list, s)
	}
	return list, nil
}

// EndSession ends one session of an account, or returns NotFound.
func (d *DB) EndSession(ctx context.Context, accountID, id int64) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		if err := oneRow(tx.ExecContext(ctx, `DELETE FROM sessions WHERE id = ? AND account_id = ?`, id, accountID)); err != nil {
			return fmt.Errorf("end session %d: %w", id, err)
		}
		return nil
	})
}

// EndOtherSessions ends all sessions of an account except the one with the token keep, and
// returns their number.
func (d *DB) EndOtherSessions(ctx context.Context, accountID int64, keep connexa.Secret) (ended int, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		n, err := rowsChanged(tx.ExecContext(ctx, `DELETE FROM sessions WHERE account_id = ? AND token_hash <> ?`, accountID, tokenHash(keep)))
		ended = int(n)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("end the other sessions: %w", err)
	}
	return ended, nil
}

// SessionStore implements the store of package scs on the table of sessions. Unlike the
// store that comes with scs, it reads on the read pool, and a commit of a session that
// was ended meanwhile changes nothing.
type SessionStore struct {
	d *DB
}

// SessionStore returns d as a store for scs.
func (d *DB) SessionStore() *SessionStore { return &SessionStore{d} }

// FindCtx returns the data of a valid session. At most once a minute it records, in the
// background, that the session was seen.
func (s *SessionStore) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	var seen int64
	hash := tokenHash(connexa.Secret(token))
	now, idle := s.d.aliveArgs()
	err = s.d.read.QueryRowContext(ctx, `SELECT data, seen_at FROM sessions WHERE token_hash = ? AND data <> x'' AND `+aliveSession,
		hash, now, idle).Scan(&data, &seen)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("find a session: %w", err)
	}
	if now-seen >= touchEvery.Milliseconds() {
		s.d.touches.addTouch(string(hash), func() { s.d.touchSession(hash, now) })
	}
	return data, true, nil
}

// CommitCtx stores the data of an existing session. It neither creates nor prolongs one.
func (s *SessionStore) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	return s.d.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE sessions SET data = ?, expires_at = min(expires_at, ?) WHERE token_hash = ?`,
			data, toMillis(expiry), tokenHash(connexa.Secret(token)))
		if err != nil {
			return fmt.Errorf("commit a session: %w", err)
		}
		return nil
	})
}

// DeleteCtx ends a session. A missing session is not an error.
func (s *SessionStore) DeleteCtx(ctx context.Context, token string) error {
	return s.d.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE token_hash = ?`, tokenHash(connexa.Secret(token))); err != nil {
			return fmt.Errorf("delete a session: %w", err)
		}
		return nil
	})
}

// AllCtx returns the data of every valid session, by the hash of its token in hex. Only
// browsers have the tokens.
func (s *SessionStore) AllCtx(ctx context.Context) (map[string][]byte, error) {
	now, idle := s.d.aliveArgs()
	all := map[string][]byte{}
	for scan := range eachRow(s.d.read.QueryContext(ctx, `SELECT token_hash, data FROM sessions WHERE data <> x'' AND `+aliveSession, now, idle)) {
		var hash, data []byte
		if err := scan(&hash, &data); err != nil {
			return nil, fmt.Errorf("read all sessions: %w", err)
		}
		all[hex.EncodeToString(hash)] = data
	}
	return all, nil
}

// storeTimeout is the time limit of calls without a context.
const storeTimeout = 10 * time.Second

// Find is FindCtx for callers without a context.
func (s *SessionStore) Find(token string) ([]byte, bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	return s.FindCtx(ctx, token)
}

// Commit is CommitCtx for callers without a context.
func (s *SessionStore) Commit(token string, data []byte, expiry time.Time) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	return s.CommitCtx(ctx, token, data, expiry)
}

// Delete is DeleteCtx for callers without a context.
func (s *SessionStore) Delete(token string) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	return s.DeleteCtx(ctx, token)
}

// All is AllCtx for callers without a context.
func (s *SessionStore) All() (map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	return s.AllCtx(ctx)
}

// touchSession records that a session was seen at that time, which may be some time ago.
// It has a short time limit of its own, because the request may have ended.
func (d *DB) touchSession(hash []byte, at int64) {
	ctx, cancel := context.WithTimeout(context.Background(), touchTimeout)
	defer cancel()
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE sessions SET seen_at = max(seen_at, ?) WHERE token_hash = ?`, at, hash)
		return err
	})
	if err != nil {
		d.log.Debug("touch a session", "err", err)
	}
}

// touches runs writes that no request waits for: one per key at a time, touchesMost in
// total, and none after closeTouches.
type touches struct {
	mu      sync.Mutex
	running map[string]struct{}
	closed  bool
	wg      sync.WaitGroup
}

// addTouch runs fn, unless one with that key runs, too many run, or t is closed. A touch
// that is left out costs a minute of precision.
func (t *touches) addTouch(key string, fn func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.running[key]; ok || t.closed || len(t.running) >= touchesMost {
		return
	}
	if t.running == nil {
		t.running = map[string]struct{}{}
	}
	t.running[key] = struct{}{}
	t.wg.Go(func() {
		defer func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			delete(t.running, key)
		}()
		fn()
	})
}

// closeTouches waits for running touches and prevents new ones.
func (t *touches) closeTouches() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.wg.Wait()
}

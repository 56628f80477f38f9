package handlers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

const (
	sharedTimeout = 10 * time.Second
	sharedKept    = 5 * time.Second // longer than the interval of any page stream
)

// sharedParts are parts of pages that many streams show. Each part is drawn once for
// all streams that ask for it in the same interval. The zero value is ready to use.
type sharedParts struct {
	mu    sync.Mutex
	drawn map[string]*partBatch
	swept time.Time
}

// sharedPart is the HTML of a part.
type sharedPart struct {
	html  string
	moves bool // it changes without events

	live, ended []connexa.BulkAct // of the bar of the runs
}

// partBatch are parts that one stream draws. done is closed after parts and err are set.
type partBatch struct {
	began time.Time
	done  chan struct{}
	parts map[string]sharedPart
	err   error
}

var errNotDrawn = errors.New("the part was not drawn")

// get returns the parts with these names, from values that were read at since
// or later. draw draws those that no stream has drawn in the interval; a part that it
// leaves out does not exist.
func (s *sharedParts) get(ctx context.Context, names []string, since time.Time, draw func(ctx context.Context, names []string) (map[string]sharedPart, error)) (map[string]sharedPart, error) {
	mine := &partBatch{began: time.Now(), done: make(chan struct{})}
	var missing []string
	others := make(map[string]*partBatch)
	s.mu.Lock()
	s.sweep(mine.began)
	for _, name := range names {
		if b := s.drawn[name]; b != nil && !b.began.Before(since) {
			others[name] = b
			continue
		}
		s.drawn[name] = mine
		missing = append(missing, name)
	}
	s.mu.Unlock()
	if len(missing) > 0 {
		// Other streams wait for the parts, so they are drawn even if this stream ends.
		drawing, cancel := context.WithTimeout(context.WithoutCancel(ctx), sharedTimeout)
		defer cancel()
		mine.err = errNotDrawn // if draw panics
		func() {
			defer close(mine.done)
			mine.parts, mine.err = draw(drawing, missing)
		}()
	}
	if mine.err != nil {
		return nil, mine.err
	}
	parts := make(map[string]sharedPart, len(names))
	for _, name := range missing {
		if part, ok := mine.parts[name]; ok {
			parts[name] = part
		}
	}
	for name, b := range others {
		select {
		case <-b.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if b.err != nil {
			return nil, b.err
		}
		if part, ok := b.parts[name]; ok {
			parts[name] = part
		}
	}
	return parts, nil
}

// sweep forgets old parts from time to time.
func (s *sharedParts) sweep(now time.Time) {
	if s.drawn == nil {
		s.drawn = make(map[string]*partBatch)
	}
	if now.Sub(s.swept) < sharedKept {
		return
	}
	s.swept = now
	for name, b := range s.drawn {
		if now.Sub(b.began) > sharedKept {
			delete(s.drawn, name)
		}
	}
}

// sharedName names a part that depends on the language and the time zone of the reader.
func sharedName(ctx context.Context, kind, what string) string {
	p := i18n.From(ctx)
	return fmt.Sprint(kind, " ", p.Lang(), " ", p.Zone(), " ", what)
}

// renderParts returns the HTML of components.
func renderParts(ctx context.Context, parts ...templ.Component) (string, error) {
	var b bytes.Buffer
	for _, c := range parts {
		if err := c.Render(ctx, &b); err != nil {
			return "", fmt.Errorf("draw a part of a page: %w", err)
		}
	}
	return b.String(), nil
}

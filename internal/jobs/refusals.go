package jobs

import (
	"context"
	"maps"
	"sync"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// tooManyRefusals in a row at one address hold its remaining logins back: an
// owner has mistyped something, and a server that bans us would lie about the rest.
const tooManyRefusals = 5

// refusals counts refused logins in a row, by address.
type refusals struct {
	mu   sync.Mutex
	rows map[string]*row
}

// row is what is known of one address: the refusals in a row, and what is held
// back because of an earlier row. Nodes whose login or password was corrected
// since then are not held, and are counted from nothing.
type row struct {
	refused map[int64]int64 // revisions of the nodes whose refusals are counted
	count   int
	held    map[int64]int64 // revisions of the nodes when they were held back
	all     bool            // held is not known yet
}

// note takes a result; it reports true when it is the refusal from which on the
// address is held.
func (r *refusals) note(j connexa.Job, p connexa.Probed) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch p.Fact {
	case connexa.LoginRefused:
		at := r.rows[j.Address]
		if at == nil {
			at = &row{}
			if r.rows == nil {
				r.rows = map[string]*row{}
			}
			r.rows[j.Address] = at
		}
		if at.refused == nil {
			at.refused = map[int64]int64{}
		}
		at.refused[j.NodeID] = j.Revision
		if at.count++; at.count == tooManyRefusals {
			at.all = true
			return true
		}
	case connexa.LoggedIn, connexa.Slow, connexa.Fast:
		delete(r.rows, j.Address)
	}
	return false
}

// hold keeps which nodes of an address are held back, by their revisions.
func (r *refusals) hold(address string, revisions map[int64]int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.rows[address]
	if at == nil || !at.all { // somebody got in meanwhile
		return
	}
	at.held = revisions
	maps.Copy(at.held, at.refused) // one that was corrected in the meantime is not held
	at.refused, at.count, at.all = nil, 0, false
}

// holds says whether j must not be tried.
func (r *refusals) holds(j connexa.Job) bool {
	if j.Kind == connexa.Ping {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.rows[j.Address]
	if at == nil {
		return false
	}
	revision, known := at.held[j.NodeID]
	return at.all || known && revision == j.Revision
}

// holdBack keeps the nodes of an address back that are there now.
func (r *Runner) holdBack(ctx context.Context, address string) {
	revisions, err := r.Store.Revisions(ctx, address)
	if err != nil {
		// All of them stay held, until somebody says go on.
		r.Log.Error("read the nodes of an address", "address", address, "err", err)
		return
	}
	r.refusals.hold(address, revisions)
}

// GoOn lets logins be tried again at every address where they are held back.
func (r *Runner) GoOn() {
	r.refusals.mu.Lock()
	defer r.refusals.mu.Unlock()
	clear(r.refusals.rows)
}

package jobs

import (
	"sync"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// tooManyRefusals in a row at one address hold its remaining logins back: an
// owner has mistyped something, and a server that bans us would lie about the rest.
const tooManyRefusals = 5

// refusals counts refused logins in a row, by address.
type refusals struct {
	mu    sync.Mutex
	inRow map[string]int
}

// note takes a result; it reports true when it is the refusal from which on the
// address is held.
func (r *refusals) note(address string, p connexa.Probed) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch p.Fact {
	case connexa.LoginRefused:
		if r.inRow == nil {
			r.inRow = map[string]int{}
		}
		r.inRow[address]++
		return r.inRow[address] == tooManyRefusals
	case connexa.LoggedIn, connexa.Slow, connexa.Fast:
		delete(r.inRow, address)
	}
	return false
}

// holds says whether j must not be tried.
func (r *refusals) holds(j connexa.Job) bool {
	if j.Kind == connexa.Ping {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.inRow[j.Address] >= tooManyRefusals
}

// GoOn lets logins be tried again at every address where they are held back.
func (r *Runner) GoOn() {
	r.refusals.mu.Lock()
	defer r.refusals.mu.Unlock()
	clear(r.refusals.inRow)
}

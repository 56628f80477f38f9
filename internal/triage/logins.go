package triage

import (
	"maps"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// maxRefusals is the number of refused logins in a row at one address that holds
// its other logins: the owner has probably mistyped something, and a server that
// bans this host would give wrong results for the rest.
const maxRefusals = 5

// loginHolds counts refused logins in a row, by address.
//
//	event                                        effect on its address
//	a login is refused                           counted; the fifth holds the address
//	a login succeeds                             count and hold end
//	a login of a held node, same revision        is not tried
//	a login of a node edited or added meanwhile  is tried, and counted from zero
//	the admin lifts the holds                    count and hold end
type loginHolds struct {
	addresses map[string]*addressHold
}

// addressHold is the state of one address.
type addressHold struct {
	refused map[int64]int64 // revisions of the nodes whose refusals are counted, by node
	count   int             // refusals in a row
	held    map[int64]int64 // revisions of the nodes that are held, by node
	all     bool            // every node is held, until limit is called
}

// countResult reports whether res is the refusal that holds its address.
func (l *loginHolds) countResult(res Result) bool {
	j := res.Job
	switch res.Probed.Fact {
	case connexa.LoginRefused:
		a := l.addresses[j.Address]
		if a == nil {
			a = &addressHold{}
			l.addresses[j.Address] = a
		}
		if a.refused == nil {
			a.refused = map[int64]int64{}
		}
		a.refused[j.NodeID] = j.Revision
		if a.count++; a.count == maxRefusals {
			a.all = true
			return true
		}
	case connexa.LoggedIn, connexa.Slow, connexa.Fast:
		delete(l.addresses, j.Address)
	default: // says nothing about the login
	}
	return false
}

// limitHold holds the given nodes of an address instead of all. A node that was edited
// after its refusal is not held, so the refused revisions replace the given ones.
func (l *loginHolds) limitHold(address string, revisions map[int64]int64) {
	a := l.addresses[address]
	if a == nil || !a.all { // a login succeeded meanwhile
		return
	}
	a.held = revisions
	maps.Copy(a.held, a.refused)
	a.refused, a.count, a.all = nil, 0, false
}

func (l *loginHolds) isHeld(j connexa.Job) bool {
	if j.Kind == connexa.Ping {
		return false
	}
	a := l.addresses[j.Address]
	if a == nil {
		return false
	}
	revision, known := a.held[j.NodeID]
	return a.all || known && revision == j.Revision
}

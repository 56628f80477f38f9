package gateway

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// A probe that waits for a service to come up or to end, or for another probe, tries
// again first after minRetry and at last every maxRetry: each try resolves a name.
const (
	minRetry = 200 * time.Millisecond
	maxRetry = time.Second
)

// Probe makes one probe of one node.
type Probe = func(ctx context.Context, j connexa.Job) (connexa.Probed, error)

// ShareServers returns a probe that shares servers with the services:
//
//	the service of the node is online        probe through its tunnel
//	the service of another node is online    no result: the server is in use
//	the service of the node is dialing       wait
//	another probe has the server             wait
//	nobody has the server                    probe directly; a service waits for it
func (m *Manager) ShareServers(direct Probe, through func(ctx context.Context, j connexa.Job, t Tunnel) (connexa.Probed, error)) Probe {
	return func(ctx context.Context, j connexa.Job) (connexa.Probed, error) {
		for wait := minRetry; ; wait = min(2*wait, maxRetry) {
			if t, ok := m.Tunnel(j.NodeID); ok {
				return through(ctx, j, t)
			}
			probed, by, ok, err := m.probeAlone(ctx, j, direct)
			switch {
			case ok:
				return probed, err
			case by != 0 && by != j.NodeID:
				return connexa.Probed{
					Result: connexa.ResultInUse, Outcome: connexa.Outcome{Kind: j.Kind, At: time.Now(), Reached: connexa.NoStep},
					Detail: connexa.Detail{Text: connexa.T("probe.in_use", m.Name(by))},
				}, nil
			}
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return connexa.Probed{}, ctx.Err()
			}
		}
	}
}

// probeAlone probes a server that nobody else has. Otherwise ok is false, and by is
// the node whose service has the server, or zero for another probe.
func (m *Manager) probeAlone(ctx context.Context, j connexa.Job, direct Probe) (_ connexa.Probed, by int64, ok bool, _ error) {
	free, by, ok := m.acquireServer(j)
	if !ok {
		return connexa.Probed{}, by, false, nil
	}
	defer free()
	probed, err := direct(ctx, j)
	if used, ok := errors.AsType[*InUseError](err); ok { // by the address that its name resolved to
		return connexa.Probed{}, used.Node, false, nil
	}
	switch probed.Fact {
	case connexa.LoggedIn, connexa.Slow, connexa.Fast:
		m.Locks.NoteEnd(j.Address)
	default: // no session came up
	}
	return probed, 0, true, err
}

// acquireServer acquires the server of a job. A ping opens no tunnel and leaves the
// server to others. But it avoids a server that a service has, because some servers
// accept only one control connection from an address.
func (m *Manager) acquireServer(j connexa.Job) (free func(), by int64, ok bool) {
	if j.Kind == connexa.Ping {
		by = m.Locks.SessionNode(j.Address)
		return func() {}, by, by == 0
	}
	return m.Locks.TryProbe(j.Address)
}

// Resolved is called when a probe has resolved the server of a job to an address. The
// error is an *InUseError.
func (m *Manager) Resolved(j connexa.Job, at netip.Addr) error {
	if j.Kind != connexa.Ping {
		return m.Locks.LockAddress(netip.Addr{}, j.Address, at)
	}
	if by := m.Locks.SessionNode(at.String()); by != 0 && by != j.NodeID {
		return &InUseError{Node: by}
	}
	return nil
}

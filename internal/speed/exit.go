package speed

import (
	"context"
	"errors"
	"net/netip"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// ErrExitUnknown reports that no endpoint told the address that it sees.
var ErrExitUnknown = errors.New("speed: no endpoint says which address it sees")

// Exit asks the endpoints in order which address they see behind t. It transfers a few
// hundred bytes. ctx limits its time.
func Exit(ctx context.Context, t Tunnel, endpoints []connexa.Endpoint) (netip.Addr, error) {
	last := ErrExitUnknown
	for _, e := range endpoints {
		a, err := exitBy(ctx, t, e)
		if err == nil && a.IsValid() {
			return a, nil
		}
		if err != nil {
			last = err
		}
	}
	return netip.Addr{}, last
}

func exitBy(ctx context.Context, t Tunnel, e connexa.Endpoint) (netip.Addr, error) {
	to, err := targetOf(e)
	if err != nil {
		return netip.Addr{}, err
	}
	r := &run{tunnel: t, target: to, name: e.Name(), plan: plans[connexa.SpeedQuick], dialer: dialer{tunnel: t}}
	defer r.closeStreams()
	r.ping = newStream(ctx, &r.dialer)
	a, err := r.findExit(ctx)
	if err != nil {
		return a, r.explainError(ctx, err)
	}
	return a, nil
}

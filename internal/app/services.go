package app

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Services switches the services of nodes. The zero value is a panel without services.
type Services struct {
	env      Env
	store    serviceStore
	runner   serviceRunner
	nodes    nodeReader
	settings *Settings
}

// NewServices returns Services.
func NewServices(env Env, store serviceStore, runner serviceRunner, nodes nodeReader, settings *Settings) *Services {
	return &Services{env: env, store: store, runner: runner, nodes: nodes, settings: settings}
}

// Serves reports whether the panel can have services.
func (a *Services) Serves() bool { return a.store != nil }

// ServiceCounts counts the services that are wanted or still run, by state.
func (a *Services) ServiceCounts(ctx context.Context) (map[connexa.ServiceState]int, error) {
	if a.store == nil {
		return nil, nil
	}
	return a.store.ServiceCounts(ctx)
}

// PlanServices returns the effect of an act that starts or stops the services of the nodes
// of s. If there are no nodes, the error is NotFound; if it has no effect, it is Conflict.
func (a *Services) PlanServices(ctx context.Context, s connexa.Selection, kind connexa.BulkKind) (connexa.ServicePlan, error) {
	if a.store == nil {
		return connexa.ServicePlan{}, connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	p, err := a.store.PlanServices(ctx, s)
	switch {
	case err != nil:
	case p.Nodes == 0:
		err = connexa.Errorf(connexa.NotFound, "acts.gone")
	case kind == connexa.BulkStop && p.On == 0:
		err = connexa.Errorf(connexa.Conflict, "services.stop.none", p.Nodes)
	case kind == connexa.BulkStart && p.On == p.Nodes:
		err = connexa.Errorf(connexa.Conflict, "services.start.none", p.On)
	case kind == connexa.BulkStart && p.On+p.NoPort == p.Nodes:
		err = connexa.Errorf(connexa.Conflict, "service.ports")
	}
	return p, err
}

// ServiceRates returns the current traffic rates of the services of nodes.
func (a *Services) ServiceRates(ctx context.Context, nodes []int64) (map[int64]connexa.ServiceRate, error) {
	return a.store.ServiceRates(ctx, nodes)
}

// NodeService is a service with its node.
type NodeService struct {
	Node    connexa.Node
	Service connexa.ServiceRow
}

// RunningServices lists the services that are wanted or still run and match f, by the
// addresses of their nodes.
func (a *Services) RunningServices(ctx context.Context, f connexa.ServiceFilter) ([]NodeService, error) {
	if a.store == nil {
		return nil, nil
	}
	services, err := a.store.ServiceRows(ctx, nil)
	if err != nil {
		return nil, err
	}
	var ids []int64
	for id, s := range services {
		if s.Wanted && s.State == connexa.ServiceOff { // the manager has not started it yet
			s.State = connexa.ServiceStarting
			services[id] = s
		}
		if s.State != connexa.ServiceOff && (f.State == "" || s.State == f.State) {
			ids = append(ids, id)
		}
	}
	list, err := a.nodeServices(ctx, ids, services)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(s NodeService) bool { return !f.Matches(&s.Node, &s.Service) }), nil
}

// nodeServices returns nodes with their services, by address.
func (a *Services) nodeServices(ctx context.Context, ids []int64, services map[int64]connexa.ServiceRow) ([]NodeService, error) {
	slices.Sort(ids)
	nodes, err := a.nodes.NodesByID(ctx, slices.Compact(ids))
	if err != nil {
		return nil, err
	}
	list := make([]NodeService, len(nodes))
	for i, n := range nodes {
		list[i] = NodeService{n, services[n.ID]}
	}
	slices.SortFunc(list, func(a, b NodeService) int {
		return cmp.Or(compareAddresses(a.Node.Address, b.Node.Address), cmp.Compare(a.Node.Port, b.Node.Port), cmp.Compare(a.Node.Login, b.Node.Login))
	})
	return list, nil
}

// compareAddresses sorts IP addresses before names, and 9.0.0.0 before 10.0.0.0.
func compareAddresses(a, b string) int {
	x, notX := netip.ParseAddr(a)
	y, notY := netip.ParseAddr(b)
	switch {
	case notX == nil && notY == nil:
		return x.Compare(y)
	case notX == nil:
		return -1
	case notY == nil:
		return 1
	}
	return cmp.Compare(a, b)
}

// ServiceSecrets returns the passwords of the services of nodes for an export and
// records the act.
func (a *Services) ServiceSecrets(ctx context.Context, nodes []int64) (map[int64]connexa.Secret, error) {
	secrets, err := a.store.ServiceSecrets(ctx, nodes)
	if err != nil {
		return nil, err
	}
	a.env.recordAct(ctx, connexa.ActExport, connexa.T("services.exported", len(secrets)))
	return secrets, nil
}

// ServedNodes lists the nodes that have or had a service, and those of also, by
// address. A client can be limited to them.
func (a *Services) ServedNodes(ctx context.Context, also []int64) ([]NodeService, error) {
	services, err := a.store.ServiceRows(ctx, nil)
	if err != nil {
		return nil, err
	}
	ids := append([]int64(nil), also...)
	for id := range services {
		ids = append(ids, id)
	}
	return a.nodeServices(ctx, ids, services)
}

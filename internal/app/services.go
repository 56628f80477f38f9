package app

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"github.com/connexa-panel/connexa/internal/connexa"
)

type serviceFigures interface {
	ServiceCounts(ctx context.Context) (map[connexa.ServiceState]int, error)
	PlanServices(ctx context.Context, s connexa.Selection) (connexa.ServicePlan, error)
	ServiceRates(ctx context.Context, nodes []int64) (map[int64]connexa.ServiceRate, error)
	ServiceSecrets(ctx context.Context, nodes []int64) (map[int64]connexa.Secret, error)
}

// Serves says whether there can be services at all.
func (a *App) Serves() bool { return a.Services != nil }

// ServiceCounts counts the services that are wanted or still run, by state.
func (a *App) ServiceCounts(ctx context.Context) (map[connexa.ServiceState]int, error) {
	if a.Services == nil {
		return nil, nil
	}
	return a.Services.ServiceCounts(ctx)
}

// PlanServices says what switching the services of the nodes that s means would
// come to.
func (a *App) PlanServices(ctx context.Context, s connexa.Selection) (connexa.ServicePlan, error) {
	return a.Services.PlanServices(ctx, s)
}

// ServiceRates says how fast the services of nodes moved bytes a moment ago.
func (a *App) ServiceRates(ctx context.Context, nodes []int64) (map[int64]connexa.ServiceRate, error) {
	return a.Services.ServiceRates(ctx, nodes)
}

// NodeService is a service with its node.
type NodeService struct {
	Node    connexa.Node
	Service connexa.ServiceRow
}

// RunningServices lists the services that are wanted or still run and that f
// picks, by the addresses of their nodes.
func (a *App) RunningServices(ctx context.Context, f connexa.ServiceFilter) ([]NodeService, error) {
	if a.Services == nil {
		return nil, nil
	}
	services, err := a.Services.ServiceRows(ctx, nil)
	if err != nil {
		return nil, err
	}
	var ids []int64
	for id, s := range services {
		if s.Wanted && s.State == connexa.ServiceOff { // the manager has not looked yet
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

// nodeServices are nodes with their services, by address.
func (a *App) nodeServices(ctx context.Context, ids []int64, services map[int64]connexa.ServiceRow) ([]NodeService, error) {
	slices.Sort(ids)
	nodes, err := a.Nodes.NodesByID(ctx, slices.Compact(ids))
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

// compareAddresses puts numbers before names, and 9.0.0.0 before 10.0.0.0.
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

// ServiceSecrets returns the passwords of the credentials of the services of
// nodes for an export, and records that it did.
func (a *App) ServiceSecrets(ctx context.Context, nodes []int64) (map[int64]connexa.Secret, error) {
	secrets, err := a.Services.ServiceSecrets(ctx, nodes)
	if err != nil {
		return nil, err
	}
	a.recordAct(ctx, connexa.ActExport, connexa.T("services.exported", len(secrets)))
	return secrets, nil
}

// ChangeServiceSettings puts fresh in place of the settings of services, or says
// with FieldErrors what is out of bounds.
func (a *App) ChangeServiceSettings(ctx context.Context, fresh connexa.ServiceSettings) error {
	return a.changeSettings(ctx, func(s *connexa.Settings) error {
		s.Service = fresh
		return nil
	})
}

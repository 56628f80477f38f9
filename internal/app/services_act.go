package app

import (
	"context"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

type serviceStore interface {
	ServiceCounts(ctx context.Context) (map[connexa.ServiceState]int, error)
	PlanServices(ctx context.Context, s connexa.Selection) (connexa.ServicePlan, error)
	ServiceRates(ctx context.Context, nodes []int64) (map[int64]connexa.ServiceRate, error)
	ServiceSecrets(ctx context.Context, nodes []int64) (map[int64]connexa.Secret, error)
	UnwantServices(ctx context.Context, nodes []int64, by string) (stopped []int64, err error)
	ServiceRows(ctx context.Context, nodes []int64) (map[int64]connexa.ServiceRow, error)
	ServiceSecret(ctx context.Context, node int64) (connexa.Secret, error)
	AllowDestinations(ctx context.Context, node int64, private, mail bool) error
	Traffic(ctx context.Context, node int64, span connexa.TrafficSpan, from time.Time) ([]connexa.TrafficPoint, error)
}

// serviceRunner receives changes that it cannot read from the store.
type serviceRunner interface {
	Wake()
	Retry(node int64)
	Stop(ctx context.Context, node int64) error
}

// namesOf names one node and counts several.
func (a *Services) namesOf(ctx context.Context, s connexa.Selection, nodes []int64) connexa.Text {
	if len(nodes) == 1 {
		if n, err := a.nodes.Node(ctx, nodes[0]); err == nil {
			return nameOf(n.ID, &n)
		}
	}
	return nodesOf(len(nodes), s)
}

// RetryService makes the service of a node retry now.
func (a *Services) RetryService(ctx context.Context, node int64) error {
	n, err := a.nodes.Node(ctx, node)
	if err != nil {
		return err
	}
	a.runner.Retry(node)
	a.env.recordAct(ctx, connexa.ActServiceRetried, nameOf(n.ID, &n))
	return nil
}

// RetryServices makes the services of s that are down retry now and returns their
// number. If there are none, the error is Conflict.
func (a *Services) RetryServices(ctx context.Context, s connexa.Selection) (int, error) {
	ids, err := a.nodes.SelectNodes(ctx, s)
	if err != nil {
		return 0, err
	}
	rows, err := a.store.ServiceRows(ctx, ids)
	if err != nil {
		return 0, err
	}
	var down []int64
	for _, id := range ids {
		if row, ok := rows[id]; ok && row.IsDown() {
			a.runner.Retry(id)
			down = append(down, id)
		}
	}
	if len(down) == 0 {
		return 0, connexa.Errorf(connexa.Conflict, "services.retry.none")
	}
	a.env.recordAct(ctx, connexa.ActServiceRetried, a.namesOf(ctx, s, down))
	return len(down), nil
}

// AllowDestinations sets which non-public destinations the service of a node allows.
func (a *Services) AllowDestinations(ctx context.Context, node int64, private, mail bool) error {
	n, err := a.nodes.Node(ctx, node)
	if err != nil {
		return err
	}
	rows, err := a.store.ServiceRows(ctx, []int64{node})
	if err != nil {
		return err
	}
	was, is := rows[node], rows[node]
	is.Private, is.Mail = private, mail
	if err := a.store.AllowDestinations(ctx, node, private, mail); err != nil {
		return err
	}
	a.env.recordAct(ctx, connexa.ActServiceChanged, editedText(nameOf(n.ID, &n), connexa.DestinationChanges(was, is)))
	a.runner.Wake()
	a.env.Publish(connexa.Event{Topic: connexa.ServiceChanged, ID: node})
	return nil
}

// ServiceRows returns the services of nodes, by node. Nil nodes means all services.
func (a *Services) ServiceRows(ctx context.Context, nodes []int64) (map[int64]connexa.ServiceRow, error) {
	return a.store.ServiceRows(ctx, nodes)
}

// RevealService returns the password of the generated credential of a service and
// records the act.
func (a *Services) RevealService(ctx context.Context, node int64) (connexa.Secret, error) {
	n, err := a.nodes.Node(ctx, node)
	if err != nil {
		return "", err
	}
	secret, err := a.store.ServiceSecret(ctx, node)
	if err != nil {
		return "", err
	}
	a.env.recordAct(ctx, connexa.ActReveal, nameOf(n.ID, &n))
	return secret, nil
}

// Traffic lists the traffic of a service in a period, in points of equal length, the
// oldest first. It is empty without traffic.
func (a *Services) Traffic(ctx context.Context, node int64, p connexa.Period) (points []connexa.TrafficPoint, every time.Duration, err error) {
	s, err := a.settings.CurrentSettings(ctx)
	if err != nil {
		return nil, 0, err
	}
	now := a.env.Now()
	from := now.Add(-p.Length())
	span, every := p.Traffic(s.Retention())
	points, err = a.store.Traffic(ctx, node, span, from)
	if err != nil || len(points) == 0 {
		return nil, every, err
	}
	return connexa.Evenly(points, from, now, every), every, nil
}

// stopFor is how long a service may take to stop before its node is deleted.
const stopFor = 5 * time.Second

// unwantServicesOf switches the services of nodes that will be deleted off, and returns the
// nodes whose service was on.
func (a *Services) unwantServicesOf(ctx context.Context, nodes []int64) ([]int64, error) {
	if a.store == nil || len(nodes) == 0 {
		return nil, nil
	}
	by, _ := Actor(ctx)
	stopped, err := a.store.UnwantServices(ctx, nodes, by)
	if len(stopped) > 0 {
		a.runner.Wake() // so that all stop concurrently
	}
	for _, id := range stopped {
		a.env.Publish(connexa.Event{Topic: connexa.ServiceChanged, ID: id})
	}
	return stopped, err
}

// stopServicesOf stops the services of nodes that are about to be deleted, and waits for
// their end.
func (a *Services) stopServicesOf(ctx context.Context, nodes []int64) error {
	if a.store == nil || len(nodes) == 0 {
		return nil
	}
	stopping, err := a.unwantServicesOf(ctx, nodes)
	if err != nil {
		return err
	}
	rows, err := a.store.ServiceRows(ctx, nodes)
	if err != nil {
		return err
	}
	for id, row := range rows { // some were switched off before
		if row.State != connexa.ServiceOff {
			stopping = append(stopping, id)
		}
	}
	slices.Sort(stopping)
	ctx, cancel := context.WithTimeout(ctx, stopFor)
	defer cancel()
	for _, id := range slices.Compact(stopping) {
		if err := a.runner.Stop(ctx, id); err != nil {
			// Its row is deleted with the node, and the manager then stops it.
			a.env.Log.Warn("a service was slow to stop", "node", id, "err", err)
			break
		}
	}
	return nil
}

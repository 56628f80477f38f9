package db

import (
	"context"
	"fmt"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// ServiceCounts counts the services that are switched on or still run, by state.
func (d *DB) ServiceCounts(ctx context.Context) (map[connexa.ServiceState]int, error) {
	counts := make(map[connexa.ServiceState]int)
	for scan := range eachRow(d.read.QueryContext(ctx, `
		SELECT iif(state = 'off', 'starting', state), count(*) FROM services WHERE wanted = 1 OR state <> 'off' GROUP BY 1`)) {
		var (
			state connexa.ServiceState
			n     int
		)
		if err := scan(&state, &n); err != nil {
			return nil, fmt.Errorf("count services: %w", err)
		}
		counts[state] = n
	}
	return counts, nil
}

// PlanServices returns the effect of switching the services of the nodes in s.
func (d *DB) PlanServices(ctx context.Context, s connexa.Selection) (connexa.ServicePlan, error) {
	var p connexa.ServicePlan
	ids, err := d.SelectNodes(ctx, s)
	if err != nil {
		return p, err
	}
	settings, err := d.Settings(ctx)
	if err != nil {
		return p, err
	}
	var proven []string
	for _, status := range connexa.Statuses() {
		if status.Validated() {
			proven = append(proven, string(status))
		}
	}
	var fresh, taken int
	first, last := settings.Service.FirstPort, settings.Service.LastPort
	err = d.read.QueryRowContext(ctx, `
		SELECT count(*), ifnull(sum(g.wanted), 0), ifnull(sum(NOT ifnull(g.wanted, 0) AND status NOT IN (SELECT value FROM json_each(?))), 0),
			ifnull(sum(g.node_id IS NULL), 0), (SELECT count(*) FROM services WHERE port BETWEEN ? AND ?)
		FROM json_each(?) chosen JOIN nodes ON nodes.id = chosen.value LEFT JOIN services g ON g.node_id = chosen.value`,
		jsonIDs(proven), first, last, jsonIDs(ids)).Scan(&p.Nodes, &p.On, &p.Unproven, &fresh, &taken)
	if err != nil {
		return p, fmt.Errorf("count the selected services: %w", err)
	}
	p.NoPort = max(0, fresh-(last-first+1-taken))
	return p, nil
}

// ServiceRates returns the traffic rates of the services of nodes in the last complete
// sample. It leaves out services without traffic.
func (d *DB) ServiceRates(ctx context.Context, nodes []int64) (map[int64]connexa.ServiceRate, error) {
	rates := make(map[int64]connexa.ServiceRate)
	for scan := range eachRow(d.read.QueryContext(ctx, `
		SELECT node_id, max(at), up, down FROM traffic
		WHERE span = ? AND at >= ? AND node_id IN (SELECT value FROM json_each(?)) GROUP BY node_id`,
		connexa.TrafficSample, toMillis(d.now().Add(-2*sampleLength)), jsonIDs(nodes))) {
		var node, at, up, down int64
		if err := scan(&node, &at, &up, &down); err != nil {
			return nil, fmt.Errorf("the rates of services: %w", err)
		}
		const seconds = int64(sampleLength / time.Second)
		rates[node] = connexa.ServiceRate{Up: up * 8 / seconds, Down: down * 8 / seconds}
	}
	return rates, nil
}

// ServiceSecrets returns the passwords of the generated credentials of the services of
// nodes, by node.
func (d *DB) ServiceSecrets(ctx context.Context, nodes []int64) (map[int64]connexa.Secret, error) {
	secrets := make(map[int64]connexa.Secret)
	for scan := range eachRow(d.read.QueryContext(ctx, `SELECT node_id, secret FROM services WHERE node_id IN (SELECT value FROM json_each(?))`, jsonIDs(nodes))) {
		var (
			node   int64
			sealed []byte
		)
		if err := scan(&node, &sealed); err != nil {
			return nil, fmt.Errorf("the credentials of services: %w", err)
		}
		plain, err := d.ring.unseal(servicePurpose, sealed)
		if err != nil {
			return nil, fmt.Errorf("the credential of the service of node %d: %w", node, err)
		}
		secrets[node] = connexa.Secret(plain)
	}
	return secrets, nil
}

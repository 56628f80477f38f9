package db

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// maxFacet is the maximum number of values of a facet. Other values can be found with
// the text filter.
const maxFacet = 300

// Facets returns the values that the filters offer. They are recomputed after a
// change. For a large fleet the call does not wait and returns the old values with Old
// set. The caller must not change them.
func (d *DB) Facets(ctx context.Context) (connexa.Facets, error) {
	f, old, err := d.nodeCache.facets.getValue(ctx, d, 0, d.computeFacets)
	f.Old = old
	return f, err
}

func (d *DB) computeFacets(ctx context.Context) (f connexa.Facets, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("count the fleet: %w", err)
		}
	}()
	tx, err := d.read.BeginTx(ctx, nil)
	if err != nil {
		return f, err
	}
	defer tx.Rollback()
	if err := countProbes(ctx, tx, &f); err != nil {
		return f, err
	}
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM flaps WHERE until > 0`).Scan(&f.Flapping); err != nil {
		return f, err
	}
	for _, c := range connexa.FilterColumns() {
		index := "nodes_list"
		if !c.Filter.Covered {
			index = "nodes_" + c.Name
		}
		values, err := countBy(ctx, tx, index, c.Name)
		if err != nil {
			return f, err
		}
		filled := 0
		for _, n := range values {
			filled += n
		}
		if empty := f.Total - filled; empty > 0 && (filled > 0 || c.Filter.Covered) {
			values[""] = empty
		}
		*c.Filter.Facet(&f) = mostFrequent(values)
	}
	tags, err := countBy(ctx, tx, "nodes_list", "tags")
	f.Tags = mostFrequent(eachTag(tags))
	return f, err
}

// countProbes counts the nodes by the results of probes, in one pass.
func countProbes(ctx context.Context, q querier, f *connexa.Facets) error {
	f.Statuses, f.Reached = make(map[connexa.Status]int), make(map[connexa.Step]int)
	causes := make(map[string]int)
	for scan := range eachRow(q.QueryContext(ctx, `
		SELECT status, silences + tunnel_failures + refusals > 0, checked_at IS NOT NULL, basis_reached, basis_cause, count(*)
		FROM nodes INDEXED BY nodes_list GROUP BY 1, 2, 3, 4, 5`)) {
		var (
			status          connexa.Status
			suspect, probed bool
			reached, n      int
			cause           string
		)
		if err := scan(&status, &suspect, &probed, &reached, &cause, &n); err != nil {
			return err
		}
		f.Total += n
		f.Statuses[status] += n
		if suspect {
			f.Suspect += n
		}
		if probed {
			f.Reached[connexa.StepAt(reached)] += n
		}
		if cause != "" {
			causes[cause] += n
		}
	}
	f.Causes = mostFrequent(causes)
	return nil
}

// countBy counts the nodes of each value of a column in an index, without empty
// values.
func countBy(ctx context.Context, q querier, index, column string) (map[string]int, error) {
	values := make(map[string]int)
	for scan := range eachRow(q.QueryContext(ctx, `SELECT `+column+`, count(*) FROM nodes INDEXED BY `+index+` WHERE `+column+` <> '' GROUP BY 1`)) {
		var value string
		var n int
		if err := scan(&value, &n); err != nil {
			return nil, err
		}
		values[value] = n
	}
	return values, nil
}

// eachTag converts counts of sets of tags to counts of tags.
func eachTag(sets map[string]int) map[string]int {
	tags := make(map[string]int)
	for set, n := range sets {
		for _, tag := range splitTags(set) {
			tags[tag] += n
		}
	}
	return tags
}

func mostFrequent(values map[string]int) []connexa.Facet {
	facets := make([]connexa.Facet, 0, len(values))
	for value, n := range values {
		value = cmp.Or(value, connexa.NoValue)
		facets = append(facets, connexa.Facet{Value: value, Count: n})
	}
	slices.SortFunc(facets, func(a, b connexa.Facet) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	return facets[:min(len(facets), maxFacet)]
}

package db

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/fleet"
)

// MaxPage is the maximum number of rows on a page of the node list.
const MaxPage = 200

// ListNodes returns one page. If the cursor is past an end, because nodes were deleted
// meanwhile, it returns the page at that end.
func (d *DB) ListNodes(ctx context.Context, q connexa.ListQuery) (connexa.NodePage, error) {
	q.Size = min(max(q.Size, 1), MaxPage)
	nodes, err := d.nodesInMemory(ctx)
	if err != nil {
		return connexa.NodePage{}, fmt.Errorf("list nodes: %w", err)
	}
	found, err := nodes.Page(q, d.nodeSets(ctx), d.now())
	if err != nil {
		return connexa.NodePage{}, fmt.Errorf("list nodes: %w", err)
	}
	return d.readPage(ctx, found)
}

// ListWithFacets is ListNodes and Facets in one pass.
func (d *DB) ListWithFacets(ctx context.Context, q connexa.ListQuery) (connexa.NodePage, connexa.Facets, error) {
	q.Size = min(max(q.Size, 1), MaxPage)
	nodes, err := d.nodesInMemory(ctx)
	if err != nil {
		return connexa.NodePage{}, connexa.Facets{}, fmt.Errorf("list nodes: %w", err)
	}
	found, facets, err := nodes.List(q, d.nodeSets(ctx), d.now())
	if err != nil {
		return connexa.NodePage{}, connexa.Facets{}, fmt.Errorf("list nodes: %w", err)
	}
	page, err := d.readPage(ctx, found)
	return page, facets, err
}

func (d *DB) readPage(ctx context.Context, found fleet.Page) (page connexa.NodePage, err error) {
	page = connexa.NodePage{Total: found.Total, From: found.From, Next: found.Next, Prev: found.Prev}
	page.Nodes, err = nodesByID(ctx, d.read, found.IDs)
	return page, err
}

// CountNodes returns the current number of nodes in s.
func (d *DB) CountNodes(ctx context.Context, s connexa.Selection) (int, error) {
	if !s.All {
		ids, err := d.SelectNodes(ctx, s)
		return len(ids), err
	}
	nodes, err := d.nodesInMemory(ctx)
	if err != nil {
		return 0, fmt.Errorf("count nodes: %w", err)
	}
	return nodes.Count(s.Filter, d.nodeSets(ctx), d.now())
}

// SelectNodes returns the current ids of the nodes in s, in ascending order. Inside a write
// transaction that has not changed nodes, they are exact.
func (d *DB) SelectNodes(ctx context.Context, s connexa.Selection) ([]int64, error) {
	nodes, err := d.nodesInMemory(ctx)
	if err != nil {
		return nil, fmt.Errorf("select nodes: %w", err)
	}
	if !s.All {
		return nodes.Existing(s.IDs), nil
	}
	return nodes.IDs(s.Filter, d.nodeSets(ctx), d.now())
}

// OrderedNodes is SelectNodes in an order.
func (d *DB) OrderedNodes(ctx context.Context, s connexa.Selection, by connexa.Sort) ([]int64, error) {
	nodes, err := d.nodesInMemory(ctx)
	if err != nil {
		return nil, fmt.Errorf("select nodes: %w", err)
	}
	ids := s.IDs
	if s.All {
		if ids, err = nodes.IDs(s.Filter, d.nodeSets(ctx), d.now()); err != nil {
			return nil, err
		}
	}
	return nodes.Ordered(ids, by), nil
}

// Facets counts the values that the filters of the node list offer among the nodes of
// f.
func (d *DB) Facets(ctx context.Context, f connexa.Filter) (connexa.Facets, error) {
	nodes, err := d.nodesInMemory(ctx)
	if err != nil {
		return connexa.Facets{}, fmt.Errorf("count the fleet: %w", err)
	}
	return nodes.Facets(f, d.nodeSets(ctx), d.now())
}

// NodeValues counts the values of a field that has a set of them, such as a city, among
// the nodes of f.
func (d *DB) NodeValues(ctx context.Context, field string, f connexa.Filter) ([]connexa.Facet, error) {
	nodes, err := d.nodesInMemory(ctx)
	if err != nil {
		return nil, fmt.Errorf("count the values of %s: %w", field, err)
	}
	return nodes.Values(field, f, d.nodeSets(ctx), d.now())
}

// jsonIDs encodes a slice as one SQL argument, for json_each.
func jsonIDs[T ~int | ~int64 | ~string](values []T) string {
	if len(values) == 0 {
		return "[]"
	}
	b, err := json.Marshal(values)
	if err != nil {
		panic(err) // numbers and strings always marshal
	}
	return string(b)
}

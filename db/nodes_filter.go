package db

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// filterSQL turns f into the condition of a WHERE clause over nodes and its arguments.
// No other code does, so that lists, counts, tests, exports and deletions of a filter
// use the same set. See sourceTable for the columns that the index nodes_list lacks.
func filterSQL(f connexa.Filter) (string, []any) {
	var c conditions
	if len(f.Statuses) > 0 {
		c.addIn("status", jsonTexts(f.Statuses))
	}
	for _, column := range connexa.FilterColumns() {
		if chosen := *column.Filter.Chosen(&f); len(chosen) > 0 {
			c.addIn(column.Name, emptyForNone(chosen))
		}
	}
	if len(f.Causes) > 0 {
		c.addIn("basis_cause", jsonTexts(f.Causes))
	}
	if len(f.Reached) > 0 {
		positions := make([]int, len(f.Reached))
		for i, s := range f.Reached {
			positions[i] = s.Index()
		}
		// A node that was never probed has no last step.
		c.add("checked_at IS NOT NULL AND basis_reached IN (SELECT value FROM json_each(?))", jsonIDs(positions))
	}
	if len(f.Tags) > 0 {
		parts, args := make([]string, len(f.Tags)), make([]any, len(f.Tags))
		for i, tag := range f.Tags {
			parts[i], args[i] = "instr(tags, ?) > 0", joinTags([]string{tag})
		}
		c.add("("+strings.Join(parts, " OR ")+")", args...)
	}
	if f.Suspect {
		c.add("(silences > 0 OR tunnel_failures > 0 OR refusals > 0)")
	}
	if f.Flapping {
		c.add("id IN (SELECT node_id FROM flaps WHERE until > 0)")
	}
	switch {
	case f.Text == "":
	case strings.Contains(f.Text, "\n"):
		c.add("FALSE") // it would match the boundary of two fields
	default:
		c.add(`search LIKE ? ESCAPE '\'`, "%"+likeEscaper.Replace(strings.ToLower(f.Text))+"%")
	}
	return c.joinSQL()
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// whereSelected is filterSQL for a selection.
func whereSelected(s connexa.Selection) (string, []any) {
	if s.All {
		return filterSQL(s.Filter)
	}
	return "id IN (SELECT value FROM json_each(?))", []any{jsonIDs(s.IDs)}
}

// sourceTable returns what to scan for f: the index nodes_list, or the table if the
// index lacks a column, because one pass over the table is faster than looking up each
// row.
func sourceTable(f connexa.Filter) string {
	if isCovered(f) {
		return "nodes INDEXED BY nodes_list"
	}
	return "nodes NOT INDEXED"
}

// isCovered reports whether the index nodes_list has every column that f names.
func isCovered(f connexa.Filter) bool {
	return f.Text == "" && !slices.ContainsFunc(connexa.FilterColumns(), func(c *connexa.Column) bool {
		return !c.Filter.Covered && len(*c.Filter.Chosen(&f)) > 0
	})
}

// conditions are the parts of a WHERE clause, joined with AND.
type conditions struct {
	parts []string
	args  []any
}

func (c *conditions) add(part string, args ...any) {
	c.parts = append(c.parts, part)
	c.args = append(c.args, args...)
}

// addIn requires any of values; a single value is compared without a list.
func (c *conditions) addIn(column string, values []string) {
	if len(values) == 1 {
		c.add(column+" = ?", values[0])
		return
	}
	c.add(column+" IN (SELECT value FROM json_each(?))", jsonIDs(values))
}

func (c *conditions) joinSQL() (string, []any) {
	if len(c.parts) == 0 {
		return "TRUE", nil
	}
	return strings.Join(c.parts, " AND "), c.args
}

// jsonIDs encodes a slice as one SQL argument, for json_each.
func jsonIDs[T int | int64 | string](values []T) string {
	if len(values) == 0 {
		return "[]"
	}
	b, err := json.Marshal(values)
	if err != nil {
		panic(err) // numbers and strings always marshal
	}
	return string(b)
}

func jsonTexts[T ~string](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

func emptyForNone(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		if v != connexa.NoValue {
			out[i] = v
		}
	}
	return out
}

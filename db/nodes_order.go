package db

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// orderKeys returns the expressions by which the list is ordered. Together they differ for
// any two nodes and none is NULL, so one row comparison tells whether a row is before or
// after another. A missing value is replaced by one that comes last in the direction.
func orderKeys(s connexa.Sort) []string {
	number := func(column string) []string {
		last := int64(math.MaxInt64)
		if s.Desc {
			last = -1
		}
		return []string{fmt.Sprintf("coalesce(%s, %d)", column, last), "id"}
	}
	switch s.Key {
	case connexa.SortLogin:
		return []string{"login", "id"}
	case connexa.SortPlace:
		last := "'~'" // after every country code
		if s.Desc {
			last = "''"
		}
		return []string{"iif(country = '', " + last + ", country)", "state", "city", "id"}
	case connexa.SortStatus:
		return []string{statusRank, "id"}
	case connexa.SortStep:
		return number("iif(checked_at IS NULL, NULL, basis_reached)")
	case connexa.SortLatency:
		return number("latency")
	case connexa.SortLoss:
		return number("iif(attempts > 0, lost * 1000 / attempts, NULL)")
	case connexa.SortSpeed:
		return number("down")
	case connexa.SortChecked:
		return number("checked_at")
	case connexa.SortAdded:
		return []string{"created_at", "id"}
	default:
		return []string{"address_key", "port", "login"} // unique, and the order of the index
	}
}

// statusRank orders statuses as the panel lists them, not alphabetically.
var statusRank = func() string {
	var b strings.Builder
	b.WriteString("CASE status")
	for i, s := range connexa.Statuses() {
		fmt.Fprintf(&b, " WHEN '%s' THEN %d", s, i)
	}
	return b.String() + " END"
}()

// position is a place between two rows of a list, where a page ends. Clients get it as a
// cursor, and it is checked when they return it.
type position struct {
	Sort  string `json:"s"`
	Keys  []any  `json:"k"`           // orderKeys of the row beside it
	Back  bool   `json:"b,omitempty"` // the page is before the row, not after it
	Index int    `json:"i"`           // of the page's first row, or with Back of the row itself
}

func (p *position) encodeCursor() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // numbers and strings always marshal
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseCursor returns nil for a cursor that was not made for this order. The list then
// begins at its start.
func parseCursor(s string, order connexa.Sort) *position {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if s == "" || err != nil {
		return nil
	}
	var p position
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber() // an id or a time does not fit a float
	if dec.Decode(&p) != nil || p.Sort != order.String() || len(p.Keys) != len(orderKeys(order)) ||
		p.Index < 0 || p.Index > math.MaxInt32 {
		return nil
	}
	for i, k := range p.Keys {
		switch k := k.(type) {
		case string:
		case json.Number:
			n, err := k.Int64()
			if err != nil {
				return nil
			}
			p.Keys[i] = n
		default:
			return nil
		}
	}
	return &p
}

// beyondSQL returns the condition that a row is after p, or before it with Back.
func (p *position) beyondSQL(keys []string, desc bool) (string, []any) {
	op := ">"
	if desc != p.Back {
		op = "<"
	}
	placeholders := strings.TrimSuffix(strings.Repeat("?,", len(keys)), ",")
	return fmt.Sprintf("(%s) %s (%s)", strings.Join(keys, ", "), op, placeholders), slices.Clone(p.Keys)
}

// orderBy returns the ORDER BY list, reversed if back is set.
func orderBy(keys []string, desc, back bool) string {
	direction := ""
	if desc != back {
		direction = " DESC"
	}
	return strings.Join(keys, direction+", ") + direction
}

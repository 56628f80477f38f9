package db

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// byOrder is the definition of the order of the list, without SQL: values first, missing
// ones last, then the ids, in the direction of the sort.
func byOrder(s connexa.Sort, a, b *connexa.Node) int {
	turn := 1
	if s.Desc {
		turn = -1
	}
	number := func(va, vb int64, hasA, hasB bool) int {
		switch {
		case hasA != hasB && hasA:
			return -1
		case hasA != hasB:
			return 1
		}
		return turn * cmp.Compare(va, vb)
	}
	id := turn * cmp.Compare(a.ID, b.ID)
	switch s.Key {
	case connexa.SortLogin:
		return cmp.Or(turn*cmp.Compare(a.Login, b.Login), id)
	case connexa.SortPlace:
		if (a.Country == "") != (b.Country == "") {
			return number(0, 0, a.Country != "", b.Country != "")
		}
		return cmp.Or(turn*cmp.Compare(a.Country, b.Country), turn*cmp.Compare(a.State, b.State), turn*cmp.Compare(a.City, b.City), id)
	case connexa.SortStatus:
		rank := func(n *connexa.Node) int { return slices.Index(connexa.Statuses(), n.Status) }
		return cmp.Or(turn*cmp.Compare(rank(a), rank(b)), id)
	case connexa.SortStep:
		return cmp.Or(number(int64(a.Basis.Reached.Index()), int64(b.Basis.Reached.Index()), !a.Last.At.IsZero(), !b.Last.At.IsZero()), id)
	case connexa.SortLatency:
		return cmp.Or(number(int64(a.Last.Latency), int64(b.Last.Latency), a.Last.Latency > 0, b.Last.Latency > 0), id)
	case connexa.SortLoss:
		permille := func(n *connexa.Node) int64 { return int64(n.Last.Lost * 1000 / max(n.Last.Attempts, 1)) }
		return cmp.Or(number(permille(a), permille(b), a.Last.Attempts > 0, b.Last.Attempts > 0), id)
	case connexa.SortSpeed:
		return cmp.Or(number(a.Last.DownBits, b.Last.DownBits, a.Last.DownBits > 0, b.Last.DownBits > 0), id)
	case connexa.SortChecked:
		return cmp.Or(number(a.Last.At.UnixMilli(), b.Last.At.UnixMilli(), !a.Last.At.IsZero(), !b.Last.At.IsZero()), id)
	case connexa.SortAdded:
		return cmp.Or(turn*a.CreatedAt.Compare(b.CreatedAt), id)
	default:
		return turn * cmp.Or(byAddress(a.Address, b.Address), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Login, b.Login))
	}
}

// byAddress puts IPv4 before names and orders it by number.
func byAddress(a, b string) int {
	ipA, errA := netip.ParseAddr(a)
	ipB, errB := netip.ParseAddr(b)
	switch {
	case errA == nil && errB == nil:
		return ipA.Compare(ipB)
	case errA == nil:
		return -1
	case errB == nil:
		return 1
	}
	return cmp.Compare(a, b)
}

func drawFilter(t *rapid.T) connexa.Filter {
	var f connexa.Filter
	some := func(label string) bool { return rapid.IntRange(0, 3).Draw(t, label) == 0 }
	if some("text?") {
		f.Text = rapid.SampledFrom([]string{"user1", "KÖLN", "köln", "%", "_", "50%_", "тверь", "ANN", "änn", "old", "us", "'", `\`, "example.NET", "nowhere", "\n"}).Draw(t, "text")
	}
	if some("status?") {
		f.Statuses = rapid.SliceOfN(rapid.SampledFrom(connexa.Statuses()), 1, 3).Draw(t, "statuses")
	}
	if some("country?") {
		f.Countries = rapid.SliceOfN(rapid.SampledFrom([]string{"US", "DE", "RU", "BR", "-", "JP"}), 1, 3).Draw(t, "countries")
	}
	if some("provider?") {
		f.Providers = rapid.SliceOfN(rapid.SampledFrom([]string{"-", "Northwind Hosting", "Ромашка", "100% Uptime_Ltd", "nobody"}), 1, 3).Draw(t, "providers")
	}
	for _, c := range connexa.FilterColumns() {
		if !c.Filter.Covered && some(c.Name+"?") {
			*c.Filter.Chosen(&f) = rapid.SliceOfN(rapid.SampledFrom([]string{"-", "first", "second", "nobody"}), 1, 3).Draw(t, c.Name)
		}
	}
	if some("tag?") {
		f.Tags = rapid.SliceOfN(rapid.SampledFrom(append([]string{"none", "client", "%"}, fleetTags...)), 1, 3).Draw(t, "tags")
	}
	if some("step?") {
		f.Reached = rapid.SliceOfN(rapid.SampledFrom(append(connexa.Steps(), connexa.NoStep)), 1, 3).Draw(t, "reached")
	}
	if some("cause?") {
		f.Causes = rapid.SliceOfN(rapid.SampledFrom(fleetCauses), 1, 2).Draw(t, "causes")
	}
	f.Suspect = some("suspect?")
	return f
}

func drawSort(t *rapid.T) connexa.Sort {
	return connexa.Sort{Key: rapid.SampledFrom(connexa.SortKeys()).Draw(t, "sort"), Desc: rapid.Bool().Draw(t, "desc")}
}

func nodeIDs(nodes []connexa.Node) []int64 {
	out := make([]int64, len(nodes))
	for i := range nodes {
		out[i] = nodes[i].ID
	}
	return out
}

// TestNodeListAgreesWithPlainLoop reads the whole list forward and back, for any
// filter, order and size, and compares it, the count, the selection and the
// export with a filter and a sort in Go.
func TestNodeListAgreesWithPlainLoop(t *testing.T) {
	t.Run("SQL index", func(t *testing.T) { checkNodeLists(t, openFleet(t)) })
	t.Run("node index", func(t *testing.T) {
		d := openFleet(t)
		fillIndex(t, d)
		checkNodeLists(t, d) // adds nodes to the node index
	})
}

func checkNodeLists(t *testing.T, d *DB) {
	fleet := putFleet(t, d, makeFleet(7, 400))
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		q := connexa.ListQuery{Filter: drawFilter(t), Sort: drawSort(t), Size: rapid.IntRange(1, MaxPage).Draw(t, "size")}
		var want []connexa.Node
		for i := range fleet {
			if matchesFilter(q.Filter, &fleet[i]) {
				want = append(want, fleet[i])
			}
		}
		slices.SortFunc(want, func(a, b connexa.Node) int { return byOrder(q.Sort, &a, &b) })
		if len(want)/q.Size > 60 {
			q.Size = len(want)/60 + 1
		}
		checkPagesBack(ctx, t, d, q, checkPagesForward(ctx, t, d, q, want), want)
		checkSelection(ctx, t, d, connexa.Selection{All: true, Filter: q.Filter}, want)
	})
}

// checkPagesForward reads from the first page on and returns the last one.
func checkPagesForward(ctx context.Context, t *rapid.T, d *DB, q connexa.ListQuery, want []connexa.Node) connexa.NodePage {
	var got []connexa.Node
	var page connexa.NodePage
	for pages := 0; ; pages++ {
		var err error
		if page, err = d.ListNodes(ctx, q); err != nil {
			t.Fatal(err)
		}
		if page.Total != len(want) || page.From != len(got) {
			t.Fatalf("page %d: got total %d from %d, want %d and %d", pages, page.Total, page.From, len(want), len(got))
		}
		if (pages == 0) != (page.Prev == "") {
			t.Fatalf("page %d: got the cursor %q of the previous page, want one on each page but the first", pages, page.Prev)
		}
		got = append(got, page.Nodes...)
		if page.Next == "" {
			break
		}
		q.Cursor = page.Next
	}
	if !slices.Equal(nodeIDs(got), nodeIDs(want)) {
		t.Fatalf("forward:\n got %v\nwant %v", nodeIDs(got), nodeIDs(want))
	}
	for i := range got {
		if !sameNode(&got[i], &want[i]) {
			t.Fatalf("row %d:\n got %+v\nwant %+v", i, got[i], want[i])
		}
	}
	return page
}

// checkPagesBack reads from the last page to the first.
func checkPagesBack(ctx context.Context, t *rapid.T, d *DB, q connexa.ListQuery, page connexa.NodePage, want []connexa.Node) {
	got := page.Nodes
	for page.Prev != "" {
		q.Cursor = page.Prev
		var err error
		if page, err = d.ListNodes(ctx, q); err != nil {
			t.Fatal(err)
		}
		got = append(slices.Clone(page.Nodes), got...)
		if page.Next == "" || page.From != len(want)-len(got) {
			t.Fatalf("back: got next %q from %d, want from %d", page.Next, page.From, len(want)-len(got))
		}
	}
	if !slices.Equal(nodeIDs(got), nodeIDs(want)) {
		t.Fatalf("back:\n got %v\nwant %v", nodeIDs(got), nodeIDs(want))
	}
}

// checkSelection checks the count, the ids and the export of a selection.
func checkSelection(ctx context.Context, t *rapid.T, d *DB, s connexa.Selection, want []connexa.Node) {
	if n, err := d.CountNodes(ctx, s); err != nil || n != len(want) {
		t.Fatalf("count: got %d, %v; want %d", n, err, len(want))
	}
	ids := slices.Sorted(slices.Values(nodeIDs(want)))
	if got, err := d.SelectNodes(ctx, s); err != nil || !slices.Equal(got, ids) {
		t.Fatalf("selected: got %v, %v; want %v", got, err, ids)
	}
	slices.SortFunc(want, func(a, b connexa.Node) int { return byOrder(connexa.Sort{}, &a, &b) })
	var got []connexa.Node
	for e, err := range d.ExportNodes(ctx, s, true) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Password.Reveal() != "pw-"+e.Login {
			t.Fatalf("exported node %d: got the password of another, want pw-%s", e.ID, e.Login)
		}
		got = append(got, e.Node)
	}
	if !slices.Equal(nodeIDs(got), nodeIDs(want)) {
		t.Fatalf("exported:\n got %v\nwant %v", nodeIDs(got), nodeIDs(want))
	}
}

func sameNode(a, b *connexa.Node) bool {
	x, y := *a, *b
	x.Tags, y.Tags = nil, nil
	x.ChangedAt, y.ChangedAt = time.Time{}, time.Time{}
	return fmt.Sprintf("%+v", x) == fmt.Sprintf("%+v", y) && slices.Equal(a.Tags, b.Tags)
}

func TestNodeListAfterDeletes(t *testing.T) {
	d := openFleet(t)
	fleet := putFleet(t, d, makeFleet(3, 30))
	ctx := t.Context()
	list := func(cursor string) connexa.NodePage {
		t.Helper()
		page, err := d.ListNodes(ctx, connexa.ListQuery{Sort: connexa.Sort{Key: connexa.SortLatency}, Size: 10, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	first := list("")
	second := list(first.Next)
	third := list(second.Next)
	if _, _, err := d.DeleteNodes(ctx, nodeIDs(third.Nodes)); err != nil {
		t.Fatal(err)
	}
	if got := list(second.Next); !slices.Equal(nodeIDs(got.Nodes), nodeIDs(second.Nodes)) || got.Next != "" || got.From != 10 {
		t.Errorf("past the end: %v from %d, want the last page %v", nodeIDs(got.Nodes), got.From, nodeIDs(second.Nodes))
	}
	if _, _, err := d.DeleteNodes(ctx, nodeIDs(first.Nodes[:4])); err != nil {
		t.Fatal(err)
	}
	if got := list(second.Prev); len(got.Nodes) != 10 || got.Prev != "" || got.From != 0 || got.Nodes[0].ID != first.Nodes[4].ID {
		t.Errorf("before the start: %v from %d, prev %q", nodeIDs(got.Nodes), got.From, got.Prev)
	}
	for _, cursor := range []string{"x", "bm9uc2Vuc2U", third.Prev[:len(third.Prev)-4]} {
		if got := list(cursor); got.From != 0 || got.Nodes[0].ID != first.Nodes[4].ID {
			t.Errorf("cursor %q does not lead to the first page", cursor)
		}
	}
	if _, _, err := d.DeleteNodes(ctx, nodeIDs(fleet)); err != nil {
		t.Fatal(err)
	}
	if got := list(second.Next); len(got.Nodes) != 0 || got.Total != 0 || got.Next != "" || got.Prev != "" {
		t.Errorf("an empty fleet has the page %+v", got)
	}
}

// TestNodeListPlans checks that no page reads other rows of the table than those it shows,
// and that the order by address is that of the index.
func TestNodeListPlans(t *testing.T) {
	d := openFleet(t)
	putFleet(t, d, makeFleet(1, 50))
	filters := map[string]connexa.Filter{
		"all":       {},
		"status":    {Statuses: []connexa.Status{connexa.PingOK}},
		"countries": {Countries: []string{"US", "-"}},
		"provider":  {Providers: []string{"-"}},
		"tags":      {Tags: []string{"old", "spare"}},
		"step":      {Reached: []connexa.Step{connexa.TCP}},
		"cause":     {Causes: []connexa.Cause{"tcp.refused"}},
		"suspect":   {Suspect: true},
		"text":      {Text: "x"},
	}
	for _, c := range connexa.FilterColumns() {
		if !c.Filter.Covered {
			var f connexa.Filter
			*c.Filter.Chosen(&f) = []string{"first", "-"}
			filters[c.Name] = f
		}
	}
	for name, f := range filters {
		for _, key := range connexa.SortKeys() {
			for _, desc := range []bool{false, true} {
				q := connexa.ListQuery{Filter: f, Sort: connexa.Sort{Key: key, Desc: desc}, Size: 10}
				for _, at := range []*position{nil, {Keys: make([]any, len(orderKeys(q.Sort)))}} {
					query, args := pageSQL(q, at)
					plan := explainQuery(t, d, query, args)
					where := fmt.Sprintf("%s by %s, cursor %v: %s", name, q.Sort, at != nil, plan)
					if !isCovered(f) {
						if !strings.Contains(plan, "SCAN nodes|") {
							t.Errorf("not one pass over the table: %s", where)
						}
						continue
					}
					if !strings.Contains(plan, "nodes USING COVERING INDEX nodes_list") {
						t.Errorf("the page is not found in the index alone: %s", where)
					}
					if key == connexa.SortAddress && (strings.Contains(plan, "TEMP B-TREE") || at != nil && !strings.Contains(plan, "SEARCH nodes")) {
						t.Errorf("the order of the index is not used: %s", where)
					}
				}
			}
		}
		cond, args := filterSQL(f)
		if plan := explainQuery(t, d, `SELECT count(*) FROM `+sourceTable(f)+` WHERE `+cond, args); isCovered(f) && !strings.Contains(plan, "COVERING INDEX nodes_list") {
			t.Errorf("%s is not counted in the index alone: %s", name, plan)
		}
	}
}

func explainQuery(t *testing.T, d *DB, query string, args []any) string {
	t.Helper()
	rows, err := d.read.QueryContext(context.Background(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var text string
		if err := rows.Scan(&id, &parent, &unused, &text); err != nil {
			t.Fatal(err)
		}
		b.WriteString(text + "|")
	}
	return b.String()
}

// FuzzCursor checks that any cursor gives a page.
func FuzzCursor(f *testing.F) {
	d := openFleet(f)
	putFleet(f, d, makeFleet(6, 20))
	for _, key := range connexa.SortKeys() {
		page, err := d.ListNodes(f.Context(), connexa.ListQuery{Sort: connexa.Sort{Key: key}, Size: 5})
		if err != nil {
			f.Fatal(err)
		}
		plain, err := base64.RawURLEncoding.DecodeString(page.Next)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(key), plain)
	}
	f.Add("latency", []byte(`{"s":"latency","k":["x",1e400],"i":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, sort string, plain []byte) {
		q := connexa.ListQuery{Sort: connexa.ParseSort(sort), Size: 5, Cursor: base64.RawURLEncoding.EncodeToString(plain)}
		page, err := d.ListNodes(context.Background(), q)
		if err != nil {
			t.Fatalf("%s %s: %v", sort, plain, err)
		}
		if len(page.Nodes) == 0 || page.From < 0 || page.From+len(page.Nodes) > page.Total {
			t.Errorf("%s %s: %d rows from %d of %d", sort, plain, len(page.Nodes), page.From, page.Total)
		}
	})
}

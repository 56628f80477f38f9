package db

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
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
		return cmp.Or(turn*cmp.Compare(strings.ToLower(a.Login), strings.ToLower(b.Login)), id)
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

// filterValues are values of each field, of nodes and of none.
var filterValues = map[string][]string{
	"":           {"user1", "KÖLN", "köln", "%", "_", "50%_", "тверь", "ANN", "änn", "old", "us", "'", `\`, "example.NET", "nowhere", "\n", ",", "AS64"},
	"status":     {"not_tested", "ping_ok", "login_ok", "speed_ok", "tunnel_failed"},
	"step":       {"none", "tcp", "gre", "auth", "internet", "-"},
	"cause":      {"tcp.refused", "auth.691", "gre.no_inbound", "-"},
	"country":    {"US", "DE", "RU", "BR", "-", "JP"},
	"state":      {"TX", "ca", "Texas", "CALIFORNIA", "-"},
	"city":       {"Köln", "KÖLN", "san jose", "-"},
	"provider":   {"-", "Northwind Hosting", "northwind hosting", "РОМАШКА", "100% Uptime_Ltd", "nobody"},
	"asn":        {"-", "AS64500", "AS64501", "AS1"},
	"tag":        append([]string{"none", "client", "%", "OLD", "Тест", "-"}, fleetTags...),
	"encryption": {"-", "required", "off"},
	"is":         {connexa.IsSuspect, connexa.IsFlapping},
	"port":       {"1723", "1025", "1026.5", "-"},
	"speed":      {"0", "1", "10", "25.5", "-"},
	"latency":    {"0", "42", "150", "-"},
	"loss":       {"0", "33.3", "50", "100", "-"},
	"checked":    {"30m", "60m", "1h", "2d", "-"},
	"added":      {"30m", "89m", "2d", "-"},
}

// drawFilter draws a filter that ReadFilter could have read.
func drawFilter(t *rapid.T) connexa.Filter {
	var f connexa.Filter
	for range rapid.IntRange(0, 3).Draw(t, "terms") {
		field := rapid.SampledFrom(slices.Sorted(maps.Keys(filterValues))).Draw(t, "field")
		term := connexa.Term{Not: rapid.IntRange(0, 4).Draw(t, "not") == 0, Field: field, Op: connexa.OpIs}
		values := filterValues[field]
		ages := field == "checked" || field == "added"
		switch known := connexa.FieldNamed(field); {
		case field == "":
			term.Values = []string{rapid.SampledFrom(values).Draw(t, "word")}
		case ages && rapid.IntRange(0, 3).Draw(t, "never") == 0:
			term.Values = []string{connexa.NoValue}
		case known.Ordered() && (ages || rapid.Bool().Draw(t, "compared")):
			term.Op = rapid.SampledFrom([]connexa.Op{connexa.OpLess, connexa.OpMost, connexa.OpMore, connexa.OpLeast}).Draw(t, "op")
			term.Values = []string{rapid.SampledFrom(values[:len(values)-1]).Draw(t, "bound")}
		default:
			term.Values = rapid.SliceOfNDistinct(rapid.SampledFrom(values), 1, min(3, len(values)), rapid.ID).Draw(t, "values")
		}
		f.Terms = append(f.Terms, term)
	}
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

// TestNodeListAgreesWithPlainLoop reads the whole list forward and back, for any filter,
// order and size, and compares it, the count, the facets, the selection, the export, the
// bulk act, the run, the plan of services and the view with a filter and a sort in Go.
func TestNodeListAgreesWithPlainLoop(t *testing.T) {
	d := openFleetAt(t, fleetNow)
	fleet := putFleet(t, d, makeFleet(7, 400))
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		q := connexa.ListQuery{Filter: drawFilter(t), Sort: drawSort(t), Size: rapid.IntRange(1, MaxPage).Draw(t, "size")}
		if read, err := connexa.ReadFilter(q.Filter.String()); err != nil || read.String() != q.Filter.String() {
			t.Fatalf("%s is read as %s, %v", q.Filter, read, err)
		}
		checkNodeLists(ctx, t, d, q, fleet)
	})
}

func checkNodeLists(ctx context.Context, t *rapid.T, d *DB, q connexa.ListQuery, fleet []connexa.Node) {
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
	checkFacets(ctx, t, d, q.Filter, fleet)
	checkSelection(ctx, t, d, connexa.Selection{All: true, Filter: q.Filter}, want)
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
	checkActAndView(ctx, t, d, s, ids)
}

// checkActAndView compares the nodes of a bulk act, of a run, of a plan of services and of a
// saved view.
func checkActAndView(ctx context.Context, t *rapid.T, d *DB, s connexa.Selection, want []int64) {
	selected, err := d.SelectNodes(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	act, err := d.StartAct(ctx, connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkReset}, IDs: selected, Draft: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := d.ActNodes(ctx, act.ID); err != nil || act.Total != len(want) || !slices.Equal(got, want) {
		t.Fatalf("the act: got %d nodes, %v, %v; want %v", act.Total, got, err, want)
	}
	if plan, err := d.PlanServices(ctx, s); err != nil || plan.Nodes != len(want) {
		t.Fatalf("services: got %+v, %v; want %d nodes", plan, err, len(want))
	}
	if len(want) > 0 {
		run, err := d.StartRun(ctx, connexa.NewRun{Kind: connexa.RunPing, Selection: s})
		if err != nil {
			t.Fatal(err)
		}
		of := connexa.Selection{All: true, Filter: connexa.FilterBy("in", fmt.Sprintf("run/%d", run.ID))}
		if got, err := d.SelectNodes(ctx, of); err != nil || run.Total != len(want) || !slices.Equal(got, want) {
			t.Fatalf("the run %+v: got %v, %v; want %v", run, got, err, want)
		}
	}
	view := connexa.View{Query: s.Filter.String()}
	saved, err := view.Filter()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := d.SelectNodes(ctx, connexa.Selection{All: true, Filter: saved}); err != nil || !slices.Equal(got, want) {
		t.Fatalf("the view %s: got %v, %v; want %v", view.Query, got, err, want)
	}
}

func sameNode(a, b *connexa.Node) bool {
	x, y := *a, *b
	x.Tags, y.Tags = nil, nil
	x.ChangedAt, y.ChangedAt = time.Time{}, time.Time{}
	return fmt.Sprintf("%+v", x) == fmt.Sprintf("%+v", y) && slices.Equal(a.Tags, b.Tags)
}

func TestNodeListAfterDeletes(t *testing.T) {
	d := openFleetAt(t, fleetNow)
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
	if _, _, err := deleteNodes(ctx, d, nodeIDs(third.Nodes)); err != nil {
		t.Fatal(err)
	}
	if got := list(second.Next); !slices.Equal(nodeIDs(got.Nodes), nodeIDs(second.Nodes)) || got.Next != "" || got.From != 10 {
		t.Errorf("past the end: %v from %d, want the last page %v", nodeIDs(got.Nodes), got.From, nodeIDs(second.Nodes))
	}
	if _, _, err := deleteNodes(ctx, d, nodeIDs(first.Nodes[:4])); err != nil {
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
	if _, _, err := deleteNodes(ctx, d, nodeIDs(fleet)); err != nil {
		t.Fatal(err)
	}
	if got := list(second.Next); len(got.Nodes) != 0 || got.Total != 0 || got.Next != "" || got.Prev != "" {
		t.Errorf("an empty fleet has the page %+v", got)
	}
}

// FuzzCursor checks that any cursor gives a page.
func FuzzCursor(f *testing.F) {
	d := openFleetAt(f, fleetNow)
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
	f.Add("latency", []byte(`{"s":"latency","v":9223372036854775807,"i":1e400}`))
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

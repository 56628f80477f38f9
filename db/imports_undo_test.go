package db

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// undoImport does the undo of an import. It breaks off after the given number of
// batches, as a killed process does, unless that is negative.
func undoImport(t *testing.T, d *DB, id int64, batches int) {
	t.Helper()
	if importOf(t, d, id).Undo == "" {
		plan, err := d.PlanUndo(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.StartUndo(t.Context(), id, "bob", plan.Remove+plan.Restore); err != nil {
			t.Fatal(err)
		}
	}
	for ; batches != 0; batches-- {
		ids, err := d.UndoneAdditions(t.Context(), id, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(ids) == 0 {
			break
		}
		if _, _, err := d.DeleteNodes(t.Context(), ids, "bob"); err != nil {
			t.Fatal(err)
		}
	}
	if batches == 0 {
		return
	}
	for {
		nodes, err := d.UndoChanges(t.Context(), importOf(t, d, id))
		if err != nil {
			t.Fatal(err)
		}
		if len(nodes) == 0 {
			break
		}
	}
	if err := d.EndUndo(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

// fleetText returns the nodes with their passwords, in the order of addresses.
func fleetText(t *testing.T, d *DB) (list []string) {
	t.Helper()
	for e, err := range d.ExportNodes(t.Context(), connexa.Selection{All: true}, true) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s %s %s %s %v", e.Address, e.Login, e.Password.Reveal(), e.City, e.Tags))
	}
	return list
}

// clockAhead makes the clock of d advance by a second at each reading.
func clockAhead(d *DB) {
	at := d.now()
	d.now = func() time.Time {
		at = at.Add(time.Second)
		return at
	}
}

func TestUndoImport(t *testing.T) {
	d := openFleet(t)
	clockAhead(d)
	confirmImport(t, d, newPreview(t, d, typedRow("192.0.2.1 ops a Rome", "192.0.2.2 ops b Rome", "192.0.2.3 ops c Rome", "192.0.2.4 ops d Rome")), "")
	before := fleetText(t, d)
	id := newPreview(t, d, typedRow(
		"192.0.2.1 ops a2 Oslo", // everything is restored
		"192.0.2.2 OPS b2 Oslo", // the city is edited afterwards
		"192.0.2.3 ops c3 Oslo", // the password is edited afterwards
		"192.0.2.4 ops d Rome",
		"192.0.2.5 ops e Oslo", "192.0.2.6 ops f Oslo", "192.0.2.7 ops g Oslo"))
	if i := confirmImport(t, d, id, connexa.TakeTheirs); i.Added != 3 || i.Updated != 3 {
		t.Fatalf("imported %+v", i)
	}
	edit := func(address string, password connexa.Secret, change func(*connexa.Node)) {
		t.Helper()
		for e, err := range d.ExportNodes(t.Context(), connexa.Selection{All: true}, true) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Address != address {
				continue
			}
			n, err := d.Node(t.Context(), e.ID)
			if err != nil {
				t.Fatal(err)
			}
			if change(&n); password == "" {
				password = e.Password
			}
			if _, err := d.EditNode(t.Context(), n, password, "ann"); err != nil {
				t.Fatal(err)
			}
		}
	}
	edit("192.0.2.2", "", func(n *connexa.Node) { n.City = "Bonn" })
	edit("192.0.2.3", "c4", func(*connexa.Node) {})
	edit("192.0.2.7", "", func(n *connexa.Node) { n.Tags = []string{"mine"} })

	plan, err := d.PlanUndo(t.Context(), id)
	if want := (connexa.UndoPlan{Remove: 2, Restore: 3, Keep: 3}); err != nil || plan != want {
		t.Fatalf("plan %+v, %v, want %+v", plan, err, want)
	}
	undoImport(t, d, id, 1) // killed after the first batch
	undoImport(t, d, id, -1)
	if i := importOf(t, d, id); i.Undo != connexa.UndoDone || i.Removed != 2 || i.Restored != 3 || i.UndoKept != 3 || i.UndoBy != "bob" {
		t.Errorf("undone %+v", i)
	}
	want := slices.Clone(before)
	want[1] = "192.0.2.2 ops b Bonn []"
	want[2] = "192.0.2.3 ops c4 Rome []"
	want = append(want, "192.0.2.7 ops g Oslo [mine]")
	if got := fleetText(t, d); !slices.Equal(got, want) {
		t.Errorf("after the undo\n got %q\nwant %q", got, want)
	}
	if plan, err := d.PlanUndo(t.Context(), id); err != nil || plan != (connexa.UndoPlan{}) {
		t.Errorf("a second undo would do %+v, %v", plan, err)
	}
}

// An import that changes a node twice is undone to the values before the first change.
// TestUndoAfterMove moves a node to another server after an import: the password from
// before the import was for the old one.
func TestUndoAfterMove(t *testing.T) {
	d := openFleet(t)
	clockAhead(d)
	confirmImport(t, d, newPreview(t, d, typedRow("192.0.2.1 ops a Rome")), "")
	id := newPreview(t, d, typedRow("192.0.2.1 OPS b Oslo"))
	confirmImport(t, d, id, connexa.TakeTheirs)
	n, err := d.Node(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	n.Address = "192.0.2.9"
	if _, err := d.EditNode(t.Context(), n, "b", "ann"); err != nil {
		t.Fatal(err)
	}
	undoImport(t, d, id, -1)
	if got, want := fleetText(t, d), []string{"192.0.2.9 OPS b Rome []"}; !slices.Equal(got, want) {
		t.Errorf("after the undo: %q, want %q", got, want)
	}
	if i := importOf(t, d, id); i.Restored != 1 || i.UndoKept != 1 {
		t.Errorf("undone %+v", i)
	}
}

func TestUndoOfTwoChanges(t *testing.T) {
	d := openFleet(t)
	clockAhead(d)
	confirmImport(t, d, newPreview(t, d, typedRow("192.0.2.1 ops a Rome")), "")
	before := fleetText(t, d)
	id := newPreview(t, d, typedRow("192.0.2.1 ops b Rome", "192.0.2.1 ops c Oslo", "192.0.2.2 ops a Rome", "192.0.2.2 ops b Oslo"))
	if i := confirmImport(t, d, id, connexa.TakeTheirs); i.Updated != 3 || i.Added != 1 {
		t.Fatalf("imported %+v", i)
	}
	undoImport(t, d, id, -1)
	if got := fleetText(t, d); !slices.Equal(got, before) {
		t.Errorf("after the undo\n got %q\nwant %q", got, before)
	}
}

// TestUndoInReverse undoes imports from the last to the first.
func TestUndoInReverse(t *testing.T) {
	d := openFleet(t)
	clockAhead(d)
	first := newPreview(t, d, typedRow("192.0.2.1 ops a Rome", "192.0.2.2 ops a Rome"))
	confirmImport(t, d, first, "")
	second := newPreview(t, d, typedRow("192.0.2.1 ops b Rome", "192.0.2.2 ops a Oslo"))
	confirmImport(t, d, second, connexa.TakeTheirs)
	if plan, err := d.PlanUndo(t.Context(), first); err != nil || plan.Remove != 0 {
		t.Errorf("the undo of the first import would be %+v, %v", plan, err)
	}
	undoImport(t, d, second, -1)
	if got, want := fleetText(t, d), []string{"192.0.2.1 ops a Rome []", "192.0.2.2 ops a Rome []"}; !slices.Equal(got, want) {
		t.Errorf("after the undo of the second import\n got %q\nwant %q", got, want)
	}
	undoImport(t, d, first, -1)
	if got := fleetText(t, d); len(got) != 0 {
		t.Errorf("after the undo of both imports there is %q", got)
	}
}

// TestUndoAfterUndoneActs undoes an import after bulk acts of each kind that were undone
// themselves: the nodes count as unchanged.
func TestUndoAfterUndoneActs(t *testing.T) {
	for _, kind := range actKinds() {
		t.Run(string(kind), func(t *testing.T) {
			d := openFleet(t)
			clockAhead(d)
			id := newPreview(t, d, typedRow("192.0.2.1 ops a Rome", "192.0.2.2 ops a Rome"))
			confirmImport(t, d, id, "")
			if _, err := d.write.ExecContext(t.Context(), `UPDATE nodes SET tags = ',resale,OLD,spare,', provider = 'x', country = 'RU', comment = 'x', checked_at = 1`); err != nil {
				t.Fatal(err)
			}
			ids, err := d.SelectNodes(t.Context(), connexa.Selection{All: true})
			if err != nil {
				t.Fatal(err)
			}
			a := doAct(t, d, anyAct(rand.New(rand.NewPCG(1, 2)), kind, ids[:1]))
			if a.Changed != 1 {
				t.Fatalf("the act: %+v", a)
			}
			if plan, err := d.PlanUndo(t.Context(), id); err != nil || plan.Remove != 1 {
				t.Errorf("after the act the undo would be %+v, %v", plan, err)
			}
			undoAct(t, d, a.ID)
			if plan, err := d.PlanUndo(t.Context(), id); err != nil || plan != (connexa.UndoPlan{Remove: 2}) {
				t.Errorf("after the undo of the act the undo would be %+v, %v", plan, err)
			}
		})
	}
}

// TestUndoOfAnActUnderANewerChange checks that a node that somebody has edited after an
// act stays changed when the act is undone.
func TestUndoOfAnActUnderANewerChange(t *testing.T) {
	d := openFleet(t)
	clockAhead(d)
	id := newPreview(t, d, typedRow("192.0.2.1 ops a Rome"))
	confirmImport(t, d, id, "")
	a := doAct(t, d, connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkSet, Field: "provider", Value: "x"}, IDs: []int64{1}})
	n, err := d.Node(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	n.Comment = "mine"
	if _, err := d.EditNode(t.Context(), n, "a", "ann"); err != nil {
		t.Fatal(err)
	}
	if u := undoAct(t, d, a.ID); u.Restored != 1 {
		t.Errorf("undone %+v", u)
	}
	if plan, err := d.PlanUndo(t.Context(), id); err != nil || plan != (connexa.UndoPlan{Keep: 1}) {
		t.Errorf("the undo of the import would be %+v, %v", plan, err)
	}
}

func TestUndoExpires(t *testing.T) {
	d := openFleet(t)
	id := newPreview(t, d, typedRow("192.0.2.1 ops a Rome"))
	confirmImport(t, d, id, "")
	if err := d.ExpireUndo(t.Context(), d.now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if plan, err := d.PlanUndo(t.Context(), id); err != nil || plan.Remove != 1 {
		t.Errorf("forgotten early: %+v, %v", plan, err)
	}
	if err := d.ExpireUndo(t.Context(), d.now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if plan, err := d.PlanUndo(t.Context(), id); err != nil || plan != (connexa.UndoPlan{}) {
		t.Errorf("not forgotten: %+v, %v", plan, err)
	}
}

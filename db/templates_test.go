package db

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestTemplates(t *testing.T) {
	d, ctx := openDir(t, t.TempDir()), t.Context()
	mapping := []string{"address", "login", "password"}
	newImport := func(header bool, names ...string) int64 {
		t.Helper()
		id, err := d.StartImport(ctx, connexa.Import{Test: connexa.TestNone})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.ShapeImport(ctx, connexa.Import{ID: id, Format: "csv", Header: header, Mapping: mapping}, names); err != nil {
			t.Fatal(err)
		}
		return id
	}
	headed, bare := newImport(true, "IP", "User ", "Pass"), newImport(false)
	template := func(name string, mapping []string) connexa.Template {
		return connexa.Template{Name: name, Reading: connexa.ImportOptions{Separator: ";", Mapping: mapping, Defaults: map[string]string{"country": "DE"}}, Choice: connexa.TakeTheirs, Test: "ping"}
	}
	add := func(tpl connexa.Template, from int64) int64 {
		t.Helper()
		id, err := d.AddTemplate(ctx, tpl, from, 3)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	one, two := add(template("One", mapping), headed), add(template("Two", mapping), bare)
	list, err := d.Templates(ctx)
	if err != nil || len(list) != 2 || list[0].Name != "One" || !list[0].Headed || list[1].Headed || list[0].Reading.Defaults["country"] != "DE" || list[0].Choice != connexa.TakeTheirs || list[0].Test != "ping" {
		t.Fatalf("got %+v, %v", list, err)
	}
	fits := func(what string, id int64, header, want bool, names ...string) {
		t.Helper()
		got, err := d.TemplateMapping(ctx, id, names, header)
		if err != nil || slices.Equal(got, mapping) != want || !want && got != nil {
			t.Errorf("%s: got %q, %v; want a mapping: %v", what, got, err, want)
		}
	}
	fits("the same header", one, true, true, "ip", "USER", "pass")
	fits("another order", one, true, false, "user", "ip", "pass")
	fits("one more column", one, true, false, "ip", "user", "pass", "city")
	fits("no header", one, false, false, "", "", "")
	fits("no header, as in the template", two, false, true, "", "", "")
	fits("another width", two, false, false, "", "")
	fits("a header", two, true, false, "ip", "user", "pass")
	fits("no template", 99, true, false, "ip", "user", "pass")

	// An edit keeps the header, and another import brings its own.
	edited := template("One", mapping)
	edited.ID, edited.Choice = one, ""
	if err := d.SaveTemplate(ctx, edited, 0); err != nil {
		t.Fatal(err)
	}
	fits("after an edit", one, true, true, "ip", "user", "pass")
	if err := d.SaveTemplate(ctx, edited, newImport(true, "host", "user", "pass")); err != nil {
		t.Fatal(err)
	}
	fits("after an update", one, true, true, "host", "user", "pass")
	fits("the former header", one, true, false, "ip", "user", "pass")
	edited.Reading.Mapping = nil
	if err := d.SaveTemplate(ctx, edited, 0); err != nil {
		t.Fatal(err)
	}
	fits("without columns", one, true, false, "host", "user", "pass")

	// The import of an earlier version has no digest of its header.
	if _, err := d.write.Exec(`UPDATE imports SET header_digest = NULL WHERE id = ?`, headed); err != nil {
		t.Fatal(err)
	}
	three := add(template("Three", mapping), headed)
	fits("an older import", three, true, false, "IP", "User", "Pass")
	fits("an older import, no header", three, false, false, "", "", "")

	if _, err := d.AddTemplate(ctx, template("Two", nil), 0, 100); connexa.TextOf(err).Key != "template.taken" {
		t.Errorf("the same name: %v", err)
	}
	if err := d.SaveTemplate(ctx, connexa.Template{ID: one, Name: "Two", Test: "none"}, 0); connexa.TextOf(err).Key != "template.taken" {
		t.Errorf("renamed to another's name: %v", err)
	}
	if _, err := d.AddTemplate(ctx, template("Four", nil), 0, 3); connexa.TextOf(err).Key != "template.many" {
		t.Errorf("too many: %v", err)
	}
	if err := d.DeleteTemplate(ctx, one); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{"deleted twice": d.DeleteTemplate(ctx, one), "saved after": d.SaveTemplate(ctx, edited, 0)} {
		if connexa.CodeOf(err) != connexa.NotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// completed yields rows with the defaults of o.
func completed(o connexa.ImportOptions, lines ...string) iter.Seq2[connexa.ImportRow, error] {
	var rows []connexa.ImportRow
	for i, s := range lines {
		text, tags, _ := strings.Cut(s, " #")
		r := fileRow(i+1, text)
		r.Input.Tags = tags
		o.CompleteRow(&r)
		rows = append(rows, r)
	}
	return fileRows(rows...)
}

// TestDefaultsReplaceNothing imports lines with defaults into a fleet.
func TestDefaultsReplaceNothing(t *testing.T) {
	d := openFleet(t)
	o := connexa.ImportOptions{Defaults: map[string]string{"city": "Rome", "provider": "Net", "tags": "rented"}}
	confirmImport(t, d, newPreview(t, d, fileRows(
		fileRow(1, "192.0.2.1 ops1 a Oslo"), fileRow(2, "192.0.2.2 ops1 a"), fileRow(3, "192.0.2.3 ops1 a Oslo"), fileRow(4, "192.0.2.4 ops1 a Oslo"))), "")
	if _, err := d.write.Exec(`UPDATE nodes SET tags = ',vip,', provider = 'Own' WHERE address IN ('192.0.2.1', '192.0.2.3')`); err != nil {
		t.Fatal(err)
	}
	if _, err := d.write.Exec(`UPDATE nodes SET tags = ',Rented,vip,', provider = 'Own' WHERE address = '192.0.2.4'`); err != nil {
		t.Fatal(err)
	}
	lines := []string{
		"192.0.2.1 ops1 a",        // only the tag is new
		"192.0.2.2 ops1 a",        // city, provider and tag
		"192.0.2.3 ops1 a #x",     // tags of the file replace
		"192.0.2.4 ops1 a",        // nothing is new
		"192.0.2.5 ops1 a #y",     // a new node
		"192.0.2.5 ops1 a Bergen", // against line 5, whose city is a default
		"192.0.2.6 ops1 a Bergen",
		"192.0.2.6 ops1 a", // a default against a value of the file
	}
	id := newPreview(t, d, completed(o, lines...))
	sameLine(t, "classes", classCounts(t, d, id), []string{
		"1 conflict tags", "2 conflict city provider tags", "3 conflict tags", "4 same", "5 new", "6 conflict city of 5", "7 new", "8 same of 7",
	})
	confirmImport(t, d, id, connexa.TakeTheirs)
	var got []string
	err := d.eachKnown(t.Context(), d.read, `TRUE ORDER BY address`, func(k known) {
		got = append(got, fmt.Sprintf("%s %s %s %v", k.Address, k.City, k.Provider, k.Tags))
	})
	if err != nil {
		t.Fatal(err)
	}
	sameLine(t, "fleet", got, []string{
		"192.0.2.1 Oslo Own [vip rented]", "192.0.2.2 Rome Net [rented]", "192.0.2.3 Oslo Own [x rented]", "192.0.2.4 Oslo Own [Rented vip]",
		"192.0.2.5 Bergen Net [y rented]", "192.0.2.6 Bergen Net [rented]",
	})
	// The next list of the provider changes nothing.
	again := newPreview(t, d, completed(o, "192.0.2.1 ops1 a", "192.0.2.2 ops1 a", "192.0.2.4 ops1 a", "192.0.2.5 ops1 a", "192.0.2.6 ops1 a"))
	if i := importOf(t, d, again); i.Same != 5 {
		t.Errorf("again: %+v", i)
	}
}

func TestAddedTagsFit(t *testing.T) {
	var tags []string
	for i := range connexa.MaxTags - 1 {
		tags = append(tags, fmt.Sprint("t", i))
	}
	if got := withTags(tags, []string{"a", "T0", "b"}); len(got) != connexa.MaxTags || got[connexa.MaxTags-1] != "a" {
		t.Errorf("got %q", got)
	}
	if len(tags) != connexa.MaxTags-1 {
		t.Error("the tags were changed")
	}
}

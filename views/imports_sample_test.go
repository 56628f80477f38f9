package views

import (
	"maps"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// importSamples returns the import page in its states.
func importSamples(p *i18n.Printer, pg Page) map[string]templ.Component {
	page := func(state connexa.ImportState, class connexa.LineClass) Import { return sampleImport(p, state, class) }
	i := page(connexa.ImportReady, connexa.LineNew).Import
	mapping := page(connexa.ImportMapping, connexa.LineNew)
	mapping.Fault = connexa.T("import.mapping.short")
	reading := page(connexa.ImportReading, connexa.LineNew)
	early := reading
	early.Confirmed = true
	writing := page(connexa.ImportRunning, connexa.LineNew)
	writing.Todo, writing.Written, writing.Added = 1132, 500, 498
	done := page(connexa.ImportDone, connexa.LineNew)
	done.Added, done.Updated, done.Kept, done.RunID = 1101, 3, 28, 3
	done.Run = &RunBar{ID: 3, Kind: connexa.RunPing, State: connexa.RunRunning, PerSecond: 5.2, Left: 44 * time.Second, Tally: connexa.Tally{Total: 1104, Good: 301, Bad: 83}}
	remembered := page(connexa.ImportReady, connexa.LineNew)
	remembered.Remembered = true
	done.CanUndo = true
	undoing := done
	undoing.Run, undoing.CanUndo = nil, false
	undoing.Undo, undoing.UndoTotal, undoing.Removed = connexa.UndoRunning, 1104, 500
	undone := undoing
	undone.Undo, undone.Removed, undone.Restored, undone.UndoKept, undone.UndoBy, undone.UndoAt = connexa.UndoDone, 1101, 3, 2, "admin", time.Now().Add(-time.Hour)
	failed := page(connexa.ImportFailed, connexa.LineNew)
	failed.Problem = connexa.T("import.error.hopeless", 10_000)
	over := done.Import
	over.State, over.Undo = connexa.ImportDone, connexa.UndoDone
	tests := []connexa.ImportTest{connexa.TestNone, "ping"}
	pages := map[string]templ.Component{
		"import":      ImportStartPage(pg, ImportStart{Test: "ping", Tests: tests, Recent: []connexa.Import{i, over, failed.Import}, More: true, Older: true}),
		"import-with": ImportStartPage(pg, ImportStart{Test: "ping", Tests: tests, Template: 1, Templates: sampleTemplates()}),
		"import-refused": ImportStartPage(pg, ImportStart{Test: "ping", Tests: tests,
			Errors: connexa.FieldErrors{"file": connexa.T("import.error.binary"), "text": connexa.T("import.error.both")}}),
		"import-mapping":    ImportPage(pg, mapping),
		"import-reading":    ImportPage(pg, reading),
		"import-early":      ImportPage(pg, early),
		"import-writing":    ImportPage(pg, writing),
		"import-done":       ImportPage(pg, done),
		"import-remembered": ImportPage(pg, remembered),
		"import-undoing":    ImportPage(pg, undoing),
		"import-undone":     ImportPage(pg, undone),
		"import-undo":       ConfirmPage(pg, ConfirmUndo(p, done.Import, connexa.UndoPlan{Remove: 1101, Restore: 3, Keep: 2})),
		"import-failed":     ImportPage(pg, failed),
	}
	maps.Copy(pages, importLineSamples(p, pg))
	return pages
}

// sampleImport returns an import in a state with the lines of a class.
func sampleImport(p *i18n.Printer, state connexa.ImportState, class connexa.LineClass, lines ...connexa.ImportLine) Import {
	i := connexa.Import{
		ID: 5, State: connexa.ImportReady, Name: "fleet-november.csv", Bytes: 81_204, Lines: 1204, Format: "csv", Encoding: "windows-1251", Separator: ";",
		Header: true, Uploaded: true, Test: "ping", Choice: connexa.KeepMine, New: 1101, Same: 58, Conflict: 31, Bad: 14, Resets: 12,
		Noted: 3, Crowded: []string{"192.0.2.7", "vpn.example.net"}, By: "admin", CreatedAt: now.Add(-2 * time.Minute),
	}
	fields := []Option{{"address", p.T("import.field.address")}, {"login", p.T("import.field.login")}, {"password", p.T("import.field.password")}}
	v := Import{
		Import: i, Tests: []connexa.ImportTest{connexa.TestNone, "ping"}, Encodings: []string{"utf-8", "windows-1251"}, Class: class, Lines: lines, More: true, Fields: fields,
		Plan:    connexa.ImportPlan{Add: 1101, Change: 12, Skip: 91, Kept: 19, Passwords: 12, PasswordOnly: 12},
		Columns: []ImportColumn{{"address", "Адрес", []string{"192.0.2.1", "192.0.2.2"}}, {"", "Box", []string{"op•••", "op•••"}}},
	}
	v.State = state
	return v
}

// importLineSamples returns the page of an import that is ready, with lines of each class.
func importLineSamples(p *i18n.Printer, pg Page) map[string]templ.Component {
	page := func(class connexa.LineClass, lines ...connexa.ImportLine) Import {
		return sampleImport(p, connexa.ImportReady, class, lines...)
	}
	conflicts := page(connexa.LineConflict,
		connexa.ImportLine{ID: 7, Line: 340, Class: connexa.LineConflict, Address: "198.51.100.7", Port: 1723, Login: "edge-de-1", Resets: true,
			Differs: []connexa.Difference{{Field: "password"}, {Field: "country", Mine: "DE", Theirs: "AT"}, {Field: "city", Theirs: "Linz"}}},
		connexa.ImportLine{ID: 8, Line: 341, Class: connexa.LineConflict, Address: "vpn.a-rather-long-host-name.example.net", Port: 1724, Login: "OPS1", Both: true, Choice: connexa.KeepBoth, Twin: 12,
			Differs: []connexa.Difference{{Field: "login", Mine: "ops1", Theirs: "OPS1"}}})
	bad := page(connexa.LineBad,
		connexa.ImportLine{ID: 1, Line: 17, Class: connexa.LineBad, Problem: connexa.T("field.address.octet", "300"), Masked: "•••"},
		connexa.ImportLine{ID: 2, Line: 212, Class: connexa.LineBad, Problem: connexa.T("import.bad.ambiguous"), Masked: "Ip: 192.0.2.14\nLogin: •••\nPass: •••"},
		connexa.ImportLine{ID: 3, Line: 213, Class: connexa.LineBad, Problem: connexa.T("import.bad.field", connexa.T("import.field.city"), connexa.T("field.long", 200))})
	fresh := page(connexa.LineNew,
		connexa.ImportLine{ID: 1, Line: 2, Class: connexa.LineNew, Address: "203.0.113.140", Port: 1723, Login: "ops1", City: "Phoenix", State: "AZ", Country: "US"})
	fresh.Lines[0].Notes = []connexa.Text{connexa.T("import.note.port", "1723"), connexa.T("import.note.empty", connexa.T("import.field.country"))}
	fresh.Lines = append(fresh.Lines, connexa.ImportLine{ID: 2, Line: 3, Class: connexa.LineNew, Address: "xn--e1afmkfd.xn--p1ai", Port: 1723, Login: "ops1", City: "Phoenix"})
	fresh.Preset, fresh.Test = true, "login"
	correct := page(connexa.LineBad,
		connexa.ImportLine{ID: 1, Line: 17, Class: connexa.LineBad, Problem: connexa.T("import.bad.words"), Raw: "192.0.2.1 ops1 Blue Kite 7"},
		connexa.ImportLine{ID: 2, Line: 21, Class: connexa.LineBad, Problem: connexa.T("import.bad.no_password"), Raw: "Ip: 192.0.2.14\nLogin: ops1"})
	correct.Reveal = true
	rotation := page(connexa.LineConflict,
		connexa.ImportLine{ID: 7, Line: 2, Class: connexa.LineConflict, Address: "198.51.100.7", Port: 1723, Login: "edge-de-1", PasswordOnly: true, Differs: []connexa.Difference{{Field: "password"}}})
	rotation.Plan.All, rotation.Plan.PasswordOnly = connexa.TakeTheirs, 31
	groups := page(connexa.LineConflict)
	groups.Conflict, groups.Plan.Kept, groups.Resets = 40_211, 12_000, 28_190
	groups.Groups = []connexa.ConflictGroup{
		{ID: 1, Fields: []string{"password"}, Resets: true, Passwords: true, PasswordOnly: true, Lines: 28_190},
		{ID: 2, Fields: []string{"city", "provider"}, Lines: 11_500, Choice: connexa.TakeTheirs, Own: map[connexa.Choice]int{connexa.KeepMine: 3}},
		{ID: 3, Fields: []string{"login"}, Both: true, Lines: 515, Choice: connexa.KeepBoth},
		{ID: 4, Fields: []string{"password", "comment"}, Twin: true, Passwords: true, Lines: 6},
	}
	groups.Examples = map[int64][]connexa.ImportLine{
		1: rotation.Lines,
		2: {
			{ID: 8, Line: 12, Class: connexa.LineConflict, Address: "203.0.113.140", Port: 1723, Login: "ops1", Differs: []connexa.Difference{{Field: "city", Mine: "Frankfurt am Main", Theirs: "Frankfurt"}, {Field: "provider", Theirs: "Example Hosting"}}},
			{ID: 9, Line: 13, Class: connexa.LineConflict, Address: "vpn.a-rather-long-host-name.example.net", Port: 1724, Login: "ops1", Differs: []connexa.Difference{{Field: "city", Mine: "Berlin", Theirs: "Potsdam"}, {Field: "provider", Mine: "Example", Theirs: "Example Hosting"}}},
		},
		3: {conflicts.Lines[1]},
		4: {{ID: 10, Line: 50, Class: connexa.LineConflict, Address: "203.0.113.141", Port: 1723, Login: "ops1", Twin: 40}},
	}
	group := page(connexa.LineConflict, conflicts.Lines[0])
	group.Groups, group.Group = groups.Groups, &groups.Groups[1]
	few := page(connexa.LineConflict, conflicts.Lines...)
	few.Groups = []connexa.ConflictGroup{{ID: 1, Fields: []string{"password", "country", "city"}, Resets: true, Passwords: true, Lines: 1}, {ID: 2, Fields: []string{"login"}, Both: true, Twin: true, Lines: 1, Own: map[connexa.Choice]int{connexa.KeepBoth: 1}}}
	used := page(connexa.LineNew, fresh.Lines...)
	used.Template, used.TemplateID, used.Remembered = &sampleTemplates()[0], 1, true
	used.Chosen.Defaults = map[string]string{"provider": "Example Hosting", "port": "70000", "country": "DE", "tags": "rented"}
	used.Errors = connexa.FieldErrors{"port": connexa.T("field.port")}
	return map[string]templ.Component{
		"import-template":  ImportPage(pg, used),
		"import-groups":    ImportPage(pg, groups),
		"import-group":     ImportPage(pg, group),
		"import-few":       ImportPage(pg, few),
		"import-conflicts": ImportPage(pg, conflicts),
		"import-bad":       ImportPage(pg, bad),
		"import-correct":   ImportPage(pg, correct),
		"import-rotation":  ImportPage(pg, rotation),
		"import-new":       ImportPage(pg, fresh),
	}
}

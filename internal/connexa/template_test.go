package connexa

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestTemplateInput(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   TemplateInput
		want string // name, choice and defaults, or the fields with errors
	}{
		{"a name", TemplateInput{Name: " Monthly ", Choice: "theirs", Defaults: map[string]string{"country": "de"}}, "Monthly theirs map[country:DE]"},
		{"the provider's", TemplateInput{Defaults: map[string]string{"provider": " Example Net ", "city": " "}}, "Example Net  map[provider:Example Net]"},
		{"the provider's, cut", TemplateInput{Defaults: map[string]string{"provider": strings.Repeat("ж", 70)}}, strings.Repeat("ж", 60) + "  map[provider:" + strings.Repeat("ж", 70) + "]"},
		{"all values", TemplateInput{Name: "x", Defaults: map[string]string{"port": " 1724 ", "asn": "64500", "tags": "a; b,a", "comment": "one\ntwo", "zip": "01"}},
			"x  map[asn:AS64500 comment:one two port:1724 tags:a, b zip:01]"},
		{"other fields are no defaults", TemplateInput{Name: "x", Defaults: map[string]string{"login": "ops1", "password": "Blue-Kite-7", "address": "192.0.2.1"}}, "x  map[]"},
		{"nothing", TemplateInput{}, "errors [name]"},
		{"a line break", TemplateInput{Name: "a\nb"}, "a b  map[]"},
		{"bidirectional controls", TemplateInput{Name: "a\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069b"}, "ab  map[]"},
		{"long", TemplateInput{Name: strings.Repeat("x", 61)}, "errors [name]"},
		{"bad values", TemplateInput{Name: "x", Choice: "ours", Defaults: map[string]string{"port": "70000", "country": "ZZ", "asn": "0", "provider": strings.Repeat("x", 201)}},
			"errors [asn choice country port provider]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.in.Parse()
			text := fmt.Sprintf("%s %s %v", got.Name, got.Choice, got.Reading.Defaults)
			if errs, ok := errors.AsType[FieldErrors](err); ok {
				text = fmt.Sprint("errors ", slices.Sorted(maps.Keys(errs)))
			}
			if text != tt.want {
				t.Errorf("got %s, want %s", text, tt.want)
			}
		})
	}
}

func TestCompleteRow(t *testing.T) {
	o := ImportOptions{Defaults: map[string]string{"port": "1724", "country": "DE", "city": "Rome", "tags": "a, b"}}
	for _, tt := range []struct {
		name string
		row  ImportRow
		want string // port, country, city, tags of the file, defaults, added tags, notes
	}{
		{"empty", ImportRow{}, "1724 DE Rome  [country city] [a b] 0"},
		{"filled", ImportRow{Input: NodeInput{Port: "1", Country: "AT", City: "Wien", Tags: "x"}}, "1 AT Wien x [] [a b] 0"},
		{"the note about the port", ImportRow{Notes: []Text{T("import.note.port.default", "1723"), T("import.note.disabled")}}, "1724 DE Rome  [country city] [a b] 1"},
		{"bad", ImportRow{Problem: T("import.bad.form")}, "    [] [] 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.row
			o.CompleteRow(&r)
			in := r.Input
			if got := fmt.Sprint(in.Port, " ", in.Country, " ", in.City, " ", in.Tags, " ", r.Defaults, " ", r.AddTags, " ", len(r.Notes)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	row := ImportRow{}
	(&ImportOptions{}).CompleteRow(&row)
	if row.Input != (NodeInput{}) || row.AddTags != nil {
		t.Errorf("without defaults: %+v", row)
	}
}

func TestPlanOfGroups(t *testing.T) {
	groups := []ConflictGroup{
		{Lines: 10, Passwords: true, PasswordOnly: true},
		{Lines: 5, Choice: TakeTheirs, Own: map[Choice]int{KeepMine: 2, TakeTheirs: 1}},
		{Lines: 4, Both: true, Choice: KeepBoth, Passwords: true, Own: map[Choice]int{TakeTheirs: 1}},
	}
	for _, tt := range []struct {
		name   string
		i      Import
		groups []ConflictGroup
		want   ImportPlan
	}{
		{"no conflicts", Import{New: 3, Same: 2, Bad: 1}, nil, ImportPlan{Add: 3, Skip: 3}},
		{"nobody decided", Import{New: 3, Same: 2, Choice: KeepMine}, groups, ImportPlan{Add: 6, Change: 14, Skip: 4, Kept: 2, Passwords: 14, PasswordOnly: 10}},
		{"decided", Import{Choice: KeepMine, Decided: true}, groups, ImportPlan{Add: 3, Change: 4, Skip: 12, Kept: 12, Passwords: 14, PasswordOnly: 10}},
		{"both where possible", Import{Choice: KeepBoth, Decided: true}, []ConflictGroup{{Lines: 2, Both: true}, {Lines: 3}}, ImportPlan{Add: 2, Skip: 3, Kept: 3}},
		{"one choice", Import{Choice: TakeTheirs, Decided: true}, []ConflictGroup{{Lines: 2}, {Lines: 3, Own: map[Choice]int{TakeTheirs: 3}}}, ImportPlan{Change: 5, All: TakeTheirs}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.i.Plan(tt.groups); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

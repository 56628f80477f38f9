package connexa

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestSettingsChangesKnowEveryField checks that the list of changes covers every
// setting, so that a new setting cannot be forgotten.
func TestSettingsChangesKnowEveryField(t *testing.T) {
	unrecorded := map[string]bool{"KeyConfirmed": true, "GREPassed": true, "Offered": true, "ZoneInForce": true, "ZoneSince": true} // fields that no form changes
	var visit func(s *Settings, v reflect.Value)
	visit = func(s *Settings, v reflect.Value) {
		for i := range v.NumField() {
			name, f := v.Type().Field(i).Name, v.Field(i)
			if f.Kind() == reflect.Struct && f.Type() != reflect.TypeFor[time.Time]() {
				visit(s, f)
				continue
			}
			if unrecorded[name] {
				continue
			}
			was := *s
			switch f.Kind() {
			case reflect.Int:
				f.SetInt(f.Int() + 1)
			case reflect.String:
				f.SetString(f.String() + "x")
			case reflect.Bool:
				f.SetBool(!f.Bool())
			default:
				t.Fatalf("%s is a %s: teach the test", name, f.Kind())
			}
			if got := was.Changes(*s); len(got) != 1 {
				t.Errorf("a change of %s is recorded as %v", name, got)
			}
		}
	}
	s := DefaultSettings()
	visit(&s, reflect.ValueOf(&s).Elem())
}

func TestNodeChangesKnowEveryInput(t *testing.T) {
	was, password, err := ParseNode(NodeInput{Address: "192.0.2.1", Login: "ops1", Password: "Blue-Kite-7"})
	if err != nil || password == "" {
		t.Fatal(err)
	}
	in := NodeInput{Address: "192.0.2.2", Port: "1724", Login: "ops2", Password: "x", Tags: "a, b", Encryption: "off", AllowPAP: true}
	for _, c := range Columns() {
		*c.Input(&in) = sampleValue(c)
	}
	is, _, err := ParseNode(in)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(NodeChanges(&was, &is)), reflect.TypeFor[NodeInput]().NumField()-1; got != want { // all fields except the password
		t.Errorf("%d changes, want %d: %v", got, want, NodeChanges(&was, &is))
	}
	if got := NodeChanges(&was, &was); len(got) != 0 {
		t.Errorf("no edit is recorded as %v", got)
	}
}

func TestChangesTextIsBounded(t *testing.T) {
	text := ChangesText([]Change{{"node.comment", strings.Repeat("я", 2000), ""}, PasswordChange()})
	if got := text.String(); strings.Count(got, "я") != maxChangeValue || !strings.Contains(got, "audit.change.secret") {
		t.Errorf("got %s, want a shortened value and a hidden secret", got)
	}
	if text := ChangesText(nil); !text.IsZero() {
		t.Errorf("nothing changed, and it says %s", text)
	}
}

// TestClientChangesKnowEveryInput changes all fields of a client that an admin can
// edit.
func TestClientChangesKnowEveryInput(t *testing.T) {
	was, _, err := ParseClient(ClientInput{Name: "ann", Scope: "all"}, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	is, _, err := ParseClient(ClientInput{
		Name: "ann", Password: "Blue-Kite-7", Enabled: true, Scope: "nodes", Nodes: []string{"7", "5"}, Sources: "192.0.2.7, 2001:db8::/32", Expires: "2030-01-31",
		Quota: "2,5", Unit: "GB", Period: "week", Note: "the office",
	}, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	list := ClientChanges(&was, &is, time.UTC)
	// The unit belongs to the quota, nodes and tags to the scope. The name cannot change,
	// and the password is handled separately.
	if got, want := len(list), reflect.TypeFor[ClientInput]().NumField()-5; got != want {
		t.Errorf("%d changes, want %d: %v", got, want, list)
	}
	text := ChangesText(list).String()
	for _, part := range []string{"audit.clients.nodes[2 5, 7]", "clients.scope.all", "192.0.2.7, 2001:db8::/32", "clients.anywhere", "2030-01-31", "clients.never", "audit.clients.amount[2.5 clients.unit.gb]", "audit.clients.unlimited", "clients.period.once", "clients.period.week", "the office"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in %s", part, text)
		}
	}
	if list := ClientChanges(&is, &is, time.UTC); len(list) != 0 {
		t.Errorf("no edit is recorded as %v", list)
	}
	tagged := is
	tagged.Scope, tagged.Nodes, tagged.Tags = ScopeTags, nil, []string{"eu", "us"}
	if text := ChangesText(ClientChanges(&is, &tagged, time.UTC)).String(); !strings.Contains(text, "clients.scope.tagged[eu, us]") {
		t.Errorf("got %s, want the tags eu and us", text)
	}
}

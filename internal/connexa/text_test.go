package connexa

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func TestTextComesBackFromJSON(t *testing.T) {
	at := time.Date(2026, 11, 22, 14, 2, 5, 0, time.UTC)
	want := T("a.b", "s", int64(7), 3*time.Second, at, T("c.d", int64(1)), 1.5, true)
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Text
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s came back as %#v, want %#v", data, got, want)
	}
	for _, bad := range []string{`{"key":"k","args":[{"ns":"x"}]}`, `{"key":1}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), &got); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

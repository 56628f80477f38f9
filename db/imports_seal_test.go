package db

import (
	"reflect"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestSealedLine(t *testing.T) {
	d := openDir(t, t.TempDir())
	r := connexa.ImportRow{
		Input:      connexa.NodeInput{Address: "192.0.2.1", Port: "1723", Login: "ops", Password: "a\x00b", Tags: "x;y"},
		Raw:        "192.0.2.1,…",
		Columns:    []string{"address", "", "login"},
		NoPassword: true,
	}
	for _, c := range connexa.Columns() {
		*c.Input(&r.Input) = "value of " + c.Name
	}
	sealed := d.ring.sealLine(&r)
	if got, err := d.ring.openLine(sealed); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, r)
	}

	plain, err := d.ring.unseal(linePurpose, sealed)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("every prefix fails or is a shorter line", func(t *testing.T) {
		for n := range plain {
			if got, err := d.ring.openLine(d.ring.seal(linePurpose, plain[:n])); err == nil && reflect.DeepEqual(got, r) {
				t.Errorf("%d of %d bytes give the whole line", n, len(plain))
			}
		}
	})
	t.Run("unknown name", func(t *testing.T) {
		more := appendText(appendText(append([]byte(nil), plain...), "colour"), "green")
		if got, err := d.ring.openLine(d.ring.seal(linePurpose, more)); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("got %+v, %v; want the name skipped", got, err)
		}
	})
	t.Run("unknown version", func(t *testing.T) {
		if got, err := d.ring.openLine(d.ring.seal(linePurpose, []byte{0x80 | 2})); err == nil {
			t.Errorf("got %+v, want an error", got)
		}
	})
}

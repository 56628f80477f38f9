package importer

import (
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// TestAliasesNameTheirColumns checks that each alias leads to its column.
func TestAliasesNameTheirColumns(t *testing.T) {
	for _, c := range connexa.Columns() {
		for _, name := range c.Aliases {
			if key := columnKey(name); key != name {
				t.Errorf("%s has the alias %q, want it as %q", c.Name, name, key)
			}
			if got, ok := columnField(name); !ok || got.field != c.Name {
				t.Errorf("%q names the column %q, want %q", name, got.field, c.Name)
			}
		}
		if FieldName(c.Name).Key != "import.field."+c.Name {
			t.Errorf("%s has the name %v", c.Name, FieldName(c.Name))
		}
	}
}

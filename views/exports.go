package views

import (
	"slices"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// ExportForm is the form of an export.
type ExportForm struct {
	Count     int            // of the nodes
	Selection []Hidden       // the fields that select them
	Filter    connexa.Filter // of an export of all matching nodes
	All       bool
	Options   connexa.ExportOptions
	Proved    bool // the password was entered recently
	Errors    connexa.FieldErrors
}

// exportChoice is a column that can be chosen.
type exportChoice struct {
	name string
	on   bool
}

// columnChoices lists all columns: the chosen ones in their order, then the others.
func (f ExportForm) columnChoices() []exportChoice {
	on := f.Options.Columns
	if !f.Options.Form.HasColumns() {
		on = connexa.UsualExport(false).Columns
	}
	var list []exportChoice
	for _, name := range on {
		list = append(list, exportChoice{name, true})
	}
	for _, c := range connexa.ExportColumns() {
		if !slices.Contains(on, c.Name) {
			list = append(list, exportChoice{c.Name, false})
		}
	}
	return list
}

// exportExamples are a node in each form that has no columns, and the beginning of a
// file in the others.
var exportExamples = map[connexa.ExportForm]string{
	connexa.ExportCSV:            "address,port,login,…",
	connexa.ExportTSV:            "address ⇥ port ⇥ login ⇥ …",
	connexa.ExportJSONLines:      `{"address":"192.0.2.20",…}`,
	connexa.ExportJSON:           `[{"address":"192.0.2.20",…}]`,
	connexa.ExportColons:         "192.0.2.20:1723:ops1:Blue-Kite-7",
	connexa.ExportWords:          "192.0.2.20:1723 ops1 Blue-Kite-7",
	connexa.ExportDashes:         "192.0.2.20:1723 - ops1:Blue-Kite-7",
	connexa.ExportAt:             "ops1:Blue-Kite-7@192.0.2.20:1723",
	connexa.ExportURL:            "pptp://ops1:Blue-Kite-7@192.0.2.20:1723",
	connexa.ExportLabels:         "Address: 192.0.2.20 ⏎ Port: 1723 ⏎ …",
	connexa.ExportSettings:       "host=192.0.2.20 ⏎ port=1723 ⏎ …",
	connexa.ExportRouterOS:       `/interface pptp-client ⏎ add connect-to=…`,
	connexa.ExportNetworkManager: "[connection] ⏎ type=vpn ⏎ [vpn] ⏎ …",
}

// columnLabel returns the key of the name of a column: that of the form of nodes, if it
// has one.
func columnLabel(name string) string {
	switch name {
	case "address", "port", "login", "password", "tags":
		return "node." + name
	}
	if connexa.ColumnNamed(name) != nil {
		return "node." + name
	}
	return "export.column." + name
}

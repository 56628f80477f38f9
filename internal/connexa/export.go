package connexa

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// ExportForm is the form of an export. The importer reads each of them.
type ExportForm string

// The forms. Those with columns come first.
const (
	ExportCSV            ExportForm = "csv"
	ExportTSV            ExportForm = "tsv"
	ExportJSONLines      ExportForm = "jsonl"
	ExportJSON           ExportForm = "json"
	ExportColons         ExportForm = "colons" // address:port:login:password
	ExportWords          ExportForm = "words"
	ExportDashes         ExportForm = "dashes"
	ExportAt             ExportForm = "at"
	ExportURL            ExportForm = "url"
	ExportLabels         ExportForm = "labels"
	ExportSettings       ExportForm = "settings"
	ExportRouterOS       ExportForm = "routeros"
	ExportNetworkManager ExportForm = "networkmanager"
)

var exportForms = []ExportForm{
	ExportCSV, ExportTSV, ExportJSONLines, ExportJSON, ExportColons, ExportWords, ExportDashes, ExportAt, ExportURL, ExportLabels, ExportSettings,
	ExportRouterOS, ExportNetworkManager,
}

// ExportForms lists the forms in the order of pages. The caller must not change the
// list.
func ExportForms() []ExportForm { return exportForms }

// HasColumns reports whether the columns of the form can be chosen. The other forms
// have the address, port, login and password of each node.
func (f ExportForm) HasColumns() bool {
	return slices.Contains([]ExportForm{ExportCSV, ExportTSV, ExportJSONLines, ExportJSON}, f)
}

// ExportColumn is a column of an export.
type ExportColumn struct {
	Name string
	// Number reports that values are numbers; JSON has no quotes around them.
	Number bool
	// Optional reports that the importer reads the column and would leave a placeholder
	// out.
	Optional bool
	Value    func(*Exported) string
}

// passwordColumn is the only secret column.
const passwordColumn = "password"

// exportColumns are in the order of files. The step and the cause belong to the
// status; what the last probe found is in last_check and last_cause.
var exportColumns = func() []*ExportColumn {
	list := []*ExportColumn{
		{"address", false, false, func(e *Exported) string { return e.Address }},
		{"port", true, false, func(e *Exported) string { return strconv.Itoa(e.Port) }},
		{"login", false, false, func(e *Exported) string { return e.Login }},
		{passwordColumn, false, false, func(e *Exported) string { return e.Password.Reveal() }},
	}
	for _, c := range Columns() {
		list = append(list, &ExportColumn{c.Name, false, true, func(e *Exported) string { return *c.Value(&e.Node) }})
	}
	return append(list,
		&ExportColumn{"tags", false, true, func(e *Exported) string { return strings.Join(e.Tags, ", ") }},
		&ExportColumn{"status", false, false, func(e *Exported) string { return string(e.Status) }},
		&ExportColumn{"suspect", false, false, func(e *Exported) string { return strconv.FormatBool(e.Failures.Suspect()) }},
		&ExportColumn{"step", false, false, func(e *Exported) string {
			if e.Last.At.IsZero() {
				return ""
			}
			return string(e.Basis.Reached)
		}},
		&ExportColumn{"cause", false, false, func(e *Exported) string { return string(e.Basis.Cause) }},
		&ExportColumn{"latency_ms", true, false, func(e *Exported) string { return FormatMilliseconds(e.Last.Latency) }},
		&ExportColumn{"loss", true, false, func(e *Exported) string {
			if e.Last.Attempts == 0 {
				return ""
			}
			return FormatDecimal(e.Last.Loss(), 3)
		}},
		&ExportColumn{"down_mbps", true, false, func(e *Exported) string { return FormatMegabits(e.Last.DownBits) }},
		&ExportColumn{"up_mbps", true, false, func(e *Exported) string { return FormatMegabits(e.Last.UpBits) }},
		&ExportColumn{"last_check", false, false, func(e *Exported) string { return formatTime(e.Last.At) }},
		&ExportColumn{"status_check", false, false, func(e *Exported) string { return formatTime(e.Basis.At) }},
		&ExportColumn{"last_cause", false, false, func(e *Exported) string { return string(e.Last.Cause) }},
	)
}()

// ExportColumns lists all columns in the usual order. The caller must not change the
// list.
func ExportColumns() []*ExportColumn { return exportColumns }

// ExportOptions say what an export contains.
type ExportOptions struct {
	Form    ExportForm `json:"form"`
	Columns []string   `json:"columns,omitempty"` // names of ExportColumns in their order; of forms with columns
}

// UsualExport is a CSV with all columns. secrets reports whether the password is one of
// them.
func UsualExport(secrets bool) ExportOptions {
	o := ExportOptions{Form: ExportCSV}
	for _, c := range exportColumns {
		if secrets || c.Name != passwordColumn {
			o.Columns = append(o.Columns, c.Name)
		}
	}
	return o
}

// ParseExport returns the options, or FieldErrors. Unknown columns are dropped, so that
// stored options of another version stay usable.
func ParseExport(form string, columns []string) (ExportOptions, error) {
	o := ExportOptions{Form: ExportForm(form)}
	for _, name := range columns {
		if exportColumnNamed(name) != nil && !slices.Contains(o.Columns, name) {
			o.Columns = append(o.Columns, name)
		}
	}
	errs := FieldErrors{}
	switch {
	case !slices.Contains(exportForms, o.Form):
		errs.Add("form", "export.error.form")
	case o.Form.HasColumns() && len(o.Columns) == 0:
		errs.Add("column", "export.error.columns")
	}
	if len(errs) > 0 {
		return o, errs
	}
	return o, nil
}

// Secrets reports whether the export contains passwords.
func (o ExportOptions) Secrets() bool {
	return !o.Form.HasColumns() || slices.Contains(o.Columns, passwordColumn)
}

// List returns the columns of o.
func (o ExportOptions) List() []*ExportColumn {
	list := make([]*ExportColumn, 0, len(o.Columns))
	for _, name := range o.Columns {
		if c := exportColumnNamed(name); c != nil {
			list = append(list, c)
		}
	}
	return list
}

func exportColumnNamed(name string) *ExportColumn {
	for _, c := range exportColumns {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// FormatMilliseconds returns d in milliseconds, or nothing if it is not known.
func FormatMilliseconds(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return FormatDecimal(float64(d)/float64(time.Millisecond), 3)
}

// FormatMegabits returns a rate in Mbit/s, or nothing if it is not known.
func FormatMegabits(bits int64) string {
	if bits <= 0 {
		return ""
	}
	return FormatDecimal(float64(bits)/1e6, 2)
}

// FormatDecimal returns f with at most digits decimals and without trailing zeros.
func FormatDecimal(f float64, digits int) string {
	s := strconv.FormatFloat(f, 'f', digits, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

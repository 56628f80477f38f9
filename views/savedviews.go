package views

import (
	"net/url"
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// ViewURL returns the URL of the list of a view. Its filter is in the URL, also if it
// cannot be read: the list then says why.
func ViewURL(v connexa.View) string {
	q := url.Values{"view": {strconv.FormatInt(v.ID, 10)}}
	if v.Query != "" {
		q.Set("q", v.Query)
	}
	if v.Sort.Key != "" && v.Sort != (connexa.Sort{Key: connexa.SortAddress}) {
		q.Set("sort", v.Sort.String())
	}
	return "/nodes?" + q.Encode()
}

func viewPath(id int64) string { return "/views/" + strconv.FormatInt(id, 10) }

// ViewForm is the form of a view.
type ViewForm struct {
	ID     int64 // 0: a new view
	Called string
	Input  connexa.ViewInput
	Errors connexa.FieldErrors
}

func (f ViewForm) actionURL() string {
	if f.ID == 0 {
		return "/views"
	}
	return viewPath(f.ID) + "/edit"
}

func (f ViewForm) fieldArgs(name, label, help string) FieldArgs {
	return FieldArgs{Name: name, Label: label, Help: help, Error: f.Errors[name]}
}

// columnNames lists the columns of the view.
func (f ViewForm) columnNames(p *i18n.Printer) []string {
	var names []string
	for _, c := range connexa.ParseListColumns(f.Input.Columns) {
		names = append(names, headingOf(p, c.Name))
	}
	return names
}

// sortNames are the texts of the sort keys.
var sortNames = map[connexa.SortKey]string{
	connexa.SortAddress: "address", connexa.SortLogin: "login", connexa.SortPlace: "place", connexa.SortStatus: "status", connexa.SortStep: "step",
	connexa.SortLatency: "latency", connexa.SortLoss: "loss", connexa.SortSpeed: "speed", connexa.SortChecked: "checked", connexa.SortAdded: "added",
}

func sortOptions(p *i18n.Printer) []Option {
	var list []Option
	for _, key := range connexa.SortKeys() {
		name := headingOf(p, sortNames[key])
		list = append(list, Option{string(key), p.T("view.sort.up", name)}, Option{"-" + string(key), p.T("view.sort.down", name)})
	}
	return list
}

func densityOptions(p *i18n.Printer) []Option {
	return []Option{
		{"", p.T("view.density.own")},
		{string(connexa.Comfortable), p.T("table.density.comfortable")},
		{string(connexa.Compact), p.T("table.density.compact")},
	}
}

// ConfirmDeleteView asks for confirmation before a view is deleted.
func ConfirmDeleteView(p *i18n.Printer, v connexa.View) Confirm {
	c := Confirm{
		Title: p.T("view.delete.title", v.Name), Text: p.T("view.delete.text"), Button: p.T("view.delete"), URL: viewPath(v.ID) + "/delete", Danger: true,
		Fields: []Hidden{{"yes", "1"}},
	}
	if v.Shared {
		c.Warning = p.T("view.delete.shared")
	}
	return c
}

// viewName is the label of the menu of the views.
func (l NodeList) viewName(p *i18n.Printer) string {
	if l.View == nil {
		return p.T("views.title")
	}
	return l.View.Name
}

// viewChanged reports whether the list differs from its view.
func (l NodeList) viewChanged() bool {
	return l.View != nil && !l.View.IsShownBy(l.Query.Filter, l.Query.Sort, connexa.ParseListColumns(l.Cols), l.AskedDensity)
}

// newViewURL returns the URL of the form for a view of this list.
func (l NodeList) newViewURL() string { return "/views/new?back=" + url.QueryEscape(l.URL()) }

// ViewTile is the tile of a view on the dashboard.
type ViewTile struct {
	View    connexa.View
	Count   int
	Problem connexa.Text // with the filter; then there is no Count
}

func halfField(a FieldArgs) FieldArgs {
	a.Class = "half"
	return a
}

package handlers

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// listDisplay is how the node list looks: what the URL says, otherwise the view in the
// URL, otherwise the preferences of the browser.
type listDisplay struct {
	view    *connexa.View        // in the URL, or nil
	columns []connexa.ListColumn // the usual ones if nil
	density connexa.Density

	inURL        []connexa.ListColumn // nil if the URL has none
	densityInURL connexa.Density
}

// readDisplay returns how the list of a URL looks.
func (h *Handlers) readDisplay(r *http.Request, v url.Values) (listDisplay, error) {
	prefs := h.readPreferences(r)
	d := listDisplay{
		columns: connexa.ParseListColumns(strings.Join(prefs.Columns, ",")), density: connexa.ParseDensity(prefs.Density),
		inURL: connexa.ParseListColumns(v.Get("cols")), densityInURL: connexa.ParseDensity(v.Get("density")),
	}
	var err error
	if d.view, err = h.viewInURL(r.Context(), v.Get("view")); err != nil {
		return d, err
	}
	if d.view != nil {
		d.columns = d.view.Columns
		d.density = cmp.Or(d.view.Density, d.density)
	}
	if d.inURL != nil {
		d.columns = d.inURL
	}
	d.density = cmp.Or(d.densityInURL, d.density)
	return d, nil
}

// setDisplay gives a list its columns.
func (d listDisplay) setDisplay(l *views.NodeList) {
	usual := connexa.DefaultListColumns(l.Speeds, l.Serves)
	l.Columns, l.Density = d.columns, d.density
	if !l.Serves {
		l.Columns = slices.DeleteFunc(slices.Clone(l.Columns), func(c connexa.ListColumn) bool { return c.Name == "service" })
	}
	if len(l.Columns) == 0 {
		l.Columns = usual
	}
	l.Chosen = !slices.Equal(l.Columns, usual)
	if d.inURL != nil {
		l.Cols = connexa.FormatListColumns(d.inURL)
	}
	l.AskedDensity, l.View = d.densityInURL, d.view
}

// chooseColumns answers GET /nodes/columns with the choice of columns for the list
// whose URL is "back".
func (h *Handlers) chooseColumns(w http.ResponseWriter, r *http.Request) error {
	back := listPath(r.URL.Query().Get("back"))
	d, err := h.readDisplay(r, queryOf(back))
	if err != nil {
		return err
	}
	columns := d.columns
	if columns == nil {
		speeds, err := h.showsSpeeds(r.Context())
		if err != nil {
			return err
		}
		columns = connexa.DefaultListColumns(speeds, h.services.Serves())
	}
	c := views.ColumnChooser{Density: d.density, Back: back}
	if c.Density == "" {
		c.Density = connexa.Comfortable
	}
	for _, column := range columns {
		c.Choices = append(c.Choices, views.ColumnChoice{ListColumn: column, On: true})
	}
	for _, name := range connexa.ListColumnNames() {
		if !slices.ContainsFunc(columns, func(c connexa.ListColumn) bool { return c.Name == name }) {
			c.Choices = append(c.Choices, views.ColumnChoice{ListColumn: connexa.ListColumn{Name: name}})
		}
	}
	if isHTMX(r) {
		return h.renderFragment(w, r, views.ColumnsDialog(c))
	}
	return h.renderPage(w, r, views.ColumnsPage(h.layoutData(w, r, connexa.T("table.columns.title"), views.NavNodes), c))
}

// saveColumns answers POST /nodes/columns. The button says what to do: "up-NAME" and
// "down-NAME" move a column and draw the form again; "save" and "reset" lead back to the
// list.
func (h *Handlers) saveColumns(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	c := readColumns(r.PostForm)
	act, name, _ := strings.Cut(r.PostForm.Get("do"), "-")
	switch act {
	case "up", "down":
		c.Moved = name
		moveChoice(c.Choices, name, act == "up")
		if isHTMX(r) {
			return h.renderFragment(w, r, views.ColumnsForm(c))
		}
		return h.renderPage(w, r, views.ColumnsPage(h.layoutData(w, r, connexa.T("table.columns.title"), views.NavNodes), c))
	case "reset":
		c.Choices, c.Density = nil, ""
	}
	var columns []connexa.ListColumn
	for _, choice := range c.Choices {
		if choice.On {
			columns = append(columns, choice.ListColumn)
		}
	}
	return h.keepDisplay(w, r, c.Back, connexa.CheckListColumns(columns), c.Density)
}

// keepDisplay stores the columns of a list in the preferences, or those of a view in the
// URL of the list, where they can be saved with the view. It leads to the list.
func (h *Handlers) keepDisplay(w http.ResponseWriter, r *http.Request, back string, columns []connexa.ListColumn, density connexa.Density) error {
	u, err := url.Parse(back)
	if err != nil {
		return badForm(err)
	}
	q := u.Query()
	q.Del("cols")
	q.Del("density")
	q.Del("cursor")
	if q.Get("view") != "" {
		if columns != nil {
			q.Set("cols", connexa.FormatListColumns(columns))
		}
		if density != "" {
			q.Set("density", string(density))
		}
	} else {
		h.savePreference(w, r, func(p *preferences) {
			p.Columns, p.Density = nil, string(density)
			for _, c := range columns {
				p.Columns = append(p.Columns, connexa.FormatListColumns([]connexa.ListColumn{c}))
			}
		})
	}
	u.RawQuery = q.Encode()
	return h.redirectTo(w, r, u.RequestURI())
}

// readColumns returns the choice in a form. Columns that are missing in it come last.
func readColumns(form url.Values) views.ColumnChooser {
	c := views.ColumnChooser{Density: connexa.ParseDensity(form.Get("density")), Back: listPath(form.Get("back"))}
	var order []connexa.ListColumn
	for _, name := range append(slices.Clone(form["order"]), connexa.ListColumnNames()...) {
		width, err := strconv.Atoi(form.Get("width-" + name))
		if err != nil || width < 0 {
			width = 0
		}
		if width > 0 {
			width = min(max(width, connexa.MinColumnWidth), connexa.MaxColumnWidth)
		}
		order = append(order, connexa.ListColumn{Name: name, Width: width})
	}
	for _, column := range connexa.CheckListColumns(order) {
		c.Choices = append(c.Choices, views.ColumnChoice{ListColumn: column, On: column.Name == connexa.ServerColumn || slices.Contains(form["on"], column.Name)})
	}
	return c
}

// moveChoice moves a column by one place. The first one stays.
func moveChoice(list []views.ColumnChoice, name string, up bool) {
	i := slices.IndexFunc(list, func(c views.ColumnChoice) bool { return c.Name == name })
	to := i + 1
	if up {
		to = i - 1
	}
	if i > 0 && to > 0 && to < len(list) {
		list[i], list[to] = list[to], list[i]
	}
}

// listPath returns s if it is a URL of the node list, otherwise "/nodes".
func listPath(s string) string {
	s = localPath(s)
	if path, _, _ := strings.Cut(s, "?"); path != "/nodes" {
		return "/nodes"
	}
	return s
}

// queryOf returns the query of a path.
func queryOf(path string) url.Values {
	u, err := url.Parse(path)
	if err != nil {
		return nil
	}
	return u.Query()
}

package connexa

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// View is a saved filter with the look of its list.
type View struct {
	ID        int64
	AccountID int64  // of the owner, who alone may change it
	Owner     string // name of the owner
	Name      string
	Shared    bool   // every account may use it
	Query     string // in the filter language; after an upgrade it may be unreadable
	Sort      Sort
	Columns   []ListColumn // the usual ones if nil
	Density   Density      // empty: that of the reader
	Tile      bool         // the dashboard shows the number of its nodes
	Start     bool         // it is the start page of the account that asked for it
}

// Filter returns the filter of a view, or the problem with its text.
func (v *View) Filter() (Filter, error) { return ReadFilter(v.Query) }

// ViewInput is the content of the form of a view, not yet checked.
type ViewInput struct {
	Name    string
	Query   string
	Sort    string
	Columns string // as FormatListColumns writes them
	Density string
	Shared  bool
	Tile    bool
	Start   bool
}

// maxViewName is the maximum number of characters of the name of a view.
const maxViewName = 60

// Parse checks the input; the error is FieldErrors.
func (in ViewInput) Parse() (View, error) {
	errs := FieldErrors{}
	v := View{
		Name: strings.TrimSpace(DropHidden(in.Name)), Shared: in.Shared, Tile: in.Tile, Start: in.Start,
		Columns: ParseListColumns(in.Columns), Density: ParseDensity(in.Density),
	}
	switch {
	case v.Name == "":
		errs.Add("name", "field.view.name")
	case !isLine(v.Name):
		errs.Add("name", "field.control")
	case utf8.RuneCountInString(v.Name) > maxViewName:
		errs.Add("name", "field.long", maxViewName)
	}
	f, err := ReadFilter(strings.TrimSpace(in.Query))
	if err != nil {
		errs["query"] = TextOf(err)
	}
	v.Query = f.String()
	if in.Sort != "" {
		v.Sort = ParseSort(in.Sort)
	}
	return v, errs.OrNil()
}

// IsShownBy reports whether a list with that filter, order, columns and density shows
// the view as it is saved. Nil columns and an empty density are those of the view.
func (v *View) IsShownBy(f Filter, sort Sort, columns []ListColumn, density Density) bool {
	saved, err := v.Filter()
	byAddress := func(s Sort) Sort {
		if s.Key == "" {
			return Sort{Key: SortAddress}
		}
		return s
	}
	return err == nil && saved.String() == f.String() && byAddress(v.Sort) == byAddress(sort) &&
		(columns == nil || slices.Equal(columns, v.Columns)) && (density == "" || density == v.Density)
}

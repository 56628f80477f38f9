package connexa

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Column describes one descriptive text column of a node. Forms, imports, CSV
// files, comparison, search, filters and SQL are built from Columns.
type Column struct {
	// Name is the name in SQL, forms, CSV files, query strings and stored import
	// lines. The texts "node.NAME" and "import.field.NAME" name the column, and
	// "nodes.filter.NAME" and "nodes.filter.noNAME" its filter.
	Name     string
	MaxRunes int
	// Aliases are the names that files have for the column, in lower case and
	// without blanks and punctuation, the most specific first.
	Aliases []string
	Value   func(*Node) *string
	Input   func(*NodeInput) *string
	// Check returns the value to store, or the problem with s. It replaces the
	// check of MaxRunes. Optional.
	Check     func(s string) (string, Text)
	Place     bool // pages show it as a part of the place
	Multiline bool // a text area; line breaks become blanks
	InService bool // the search of the services page includes it
	// Facet returns its facet, for a column with few values. Optional.
	Facet func(*Facets) *[]Facet
}

// columns is in the order of forms and CSV files.
var columns = []*Column{
	{
		Name: "country", Check: checkCountry, Place: true,
		Aliases: []string{"country", "countrycode", "countryname", "cc", "страна", "кодстраны"},
		Value:   func(n *Node) *string { return &n.Country },
		Input:   func(in *NodeInput) *string { return &in.Country },
		Facet:   func(f *Facets) *[]Facet { return &f.Countries },
	},
	{
		Name: "state", MaxRunes: MaxDetail, Place: true, InService: true,
		Aliases: []string{"state", "region", "province", "statecode", "regionname", "штат", "регион", "область", "край", "провинция"},
		Value:   func(n *Node) *string { return &n.State },
		Input:   func(in *NodeInput) *string { return &in.State },
	},
	{
		Name: "city", MaxRunes: MaxDetail, Place: true, InService: true,
		Aliases: []string{"city", "town", "город"},
		Value:   func(n *Node) *string { return &n.City },
		Input:   func(in *NodeInput) *string { return &in.City },
	},
	{
		Name: "zip", MaxRunes: MaxDetail, Place: true,
		Aliases: []string{"zip", "zipcode", "postal", "postalcode", "postcode", "индекс", "почтовыйиндекс", "почтовыйкод"},
		Value:   func(n *Node) *string { return &n.Zip },
		Input:   func(in *NodeInput) *string { return &in.Zip },
	},
	{
		Name: "provider", MaxRunes: MaxDetail, InService: true,
		Aliases: []string{"provider", "isp", "hoster", "hosting", "vendor", "провайдер", "хостер", "хостинг"},
		Value:   func(n *Node) *string { return &n.Provider },
		Input:   func(in *NodeInput) *string { return &in.Provider },
		Facet:   func(f *Facets) *[]Facet { return &f.Providers },
	},
	{
		Name: "asn", Check: checkASN, InService: true,
		Aliases: []string{"asn", "asnumber", "autonomoussystem", "autonomoussystemnumber", "номерas", "номерас", "автономнаясистема", "номеравтономнойсистемы"},
		Value:   func(n *Node) *string { return &n.ASN },
		Input:   func(in *NodeInput) *string { return &in.ASN },
		Facet:   func(f *Facets) *[]Facet { return &f.ASNs },
	},
	{
		Name: "comment", MaxRunes: MaxComment, Multiline: true, InService: true,
		Aliases: []string{"comment", "comments", "note", "notes", "remark", "remarks", "description", "комментарий", "комментарии", "примечание", "примечания",
			"заметка", "заметки", "описание"},
		Value: func(n *Node) *string { return &n.Comment },
		Input: func(in *NodeInput) *string { return &in.Comment },
	},
}

// Columns lists the descriptive columns of a node in the order of forms and CSV
// files. The caller must not change the list.
func Columns() []*Column { return columns }

var facetColumns = func() (list []*Column) {
	for _, c := range columns {
		if c.Facet != nil {
			list = append(list, c)
		}
	}
	return list
}()

// FacetColumns lists the Columns that have a Facet. The caller must not change the
// list.
func FacetColumns() []*Column { return facetColumns }

// ColumnNamed returns the column with that name, or nil.
func ColumnNamed(name string) *Column {
	for _, c := range columns {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// parse returns the value to store for s. It adds a problem to errs.
func (c *Column) parse(s string, errs FieldErrors) string {
	if c.Multiline {
		s = TrimHidden(strings.Map(newlineToSpace, s))
	} else {
		s = DropHidden(s)
	}
	switch {
	case c.Check != nil:
		value, problem := c.Check(s)
		if !problem.IsZero() {
			errs[c.Name] = problem
		}
		return value
	case !isLine(s):
		errs[c.Name] = T("field.control")
	case utf8.RuneCountInString(s) > c.MaxRunes:
		errs[c.Name] = T("field.long", c.MaxRunes)
	}
	return s
}

func checkCountry(s string) (string, Text) {
	code := strings.ToUpper(s)
	if code != "" && !KnownCountry(code) {
		return code, T("field.country", s)
	}
	return code, Text{}
}

// checkASN reads the number of an autonomous system, with or without "AS" before
// it, and returns it as "AS24940". The numbers 0 and 4294967295 are reserved (RFC
// 7300, RFC 7607).
func checkASN(s string) (string, Text) {
	if s == "" {
		return "", Text{}
	}
	digits := strings.TrimSpace(strings.TrimPrefix(strings.ToUpper(s), "AS"))
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n == 0 || n == math.MaxUint32 {
		return s, T("field.asn")
	}
	return "AS" + strconv.FormatUint(n, 10), Text{}
}

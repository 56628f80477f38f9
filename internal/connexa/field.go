package connexa

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Field is a field of the filter language. Values of numbers and ages are texts, as
// the user reads and writes them.
type Field struct {
	Name string
	Kind FieldKind
	// Check returns the value in the form that filters store and print, or the problem
	// with it. Optional. It is not called for NoValue, unless Always.
	Check func(s string) (string, Text)
	// Always reports that every node has a value, so that NoValue is no value of the field.
	Always bool
	// Facet reports that the field has few values, which pages offer with their counts.
	Facet bool
}

// FieldKind is the kind of the values of a Field.
type FieldKind int

// The kinds.
const (
	ChoiceField FieldKind = iota // one of several texts
	NumberField                  // a number in the unit of the pages
	AgeField                     // how long ago, as in "2d"
	SetField                     // a set of nodes that is stored elsewhere, as in "run/17"
)

// Values of the field "is".
const (
	IsSuspect  = "suspect"
	IsFlapping = "flapping"
)

// fields is in the order in which pages offer them.
var fields = []*Field{
	{Name: "status", Check: checkKnown("filter.status", func(s string) bool { return Status(s).Known() }), Always: true, Facet: true},
	{Name: "step", Check: checkKnown("filter.step", func(s string) bool { return Step(s) == NoStep || Step(s).Index() > 0 }), Facet: true},
	{Name: "cause", Check: checkKnown("filter.cause", func(s string) bool { return Cause(s).Step().Index() > 0 }), Facet: true},
	{Name: "country", Check: checkCountryFilter, Facet: true},
	{Name: "state"},
	{Name: "city"},
	{Name: "provider", Facet: true},
	{Name: "asn", Check: checkASN, Facet: true},
	{Name: "tag", Facet: true},
	{Name: "is", Check: checkKnown("filter.is", func(s string) bool { return s == IsSuspect || s == IsFlapping }), Always: true, Facet: true},
	{Name: "service", Check: checkKnown("filter.service", func(s string) bool { return slices.Contains(ServiceStates(), ServiceState(s)) }), Always: true, Facet: true},
	{Name: "encryption", Check: checkKnown("filter.encryption", func(s string) bool {
		return slices.Contains([]EncryptionPolicy{EncryptionPreferred, EncryptionRequired, EncryptionOff}, EncryptionPolicy(s))
	}), Facet: true},
	{Name: "port", Kind: NumberField},
	{Name: "speed", Kind: NumberField},
	{Name: "latency", Kind: NumberField},
	{Name: "loss", Kind: NumberField},
	{Name: "checked", Kind: AgeField},
	{Name: "added", Kind: AgeField},
	{Name: "in", Kind: SetField, Check: checkSet},
}

// Fields lists the fields of the filter language. The caller must not change the list.
func Fields() []*Field { return fields }

// FieldNamed returns the field with that name, or nil.
func FieldNamed(name string) *Field {
	i := slices.IndexFunc(fields, func(f *Field) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return fields[i]
}

// Ordered reports whether values can be compared with < and >.
func (f *Field) Ordered() bool { return f.Kind == NumberField || f.Kind == AgeField }

func (f *Field) check(op Op, value string) (string, Text) {
	switch {
	case value == NoValue && op == OpIs && f.Kind != SetField && !f.Always:
		return value, Text{}
	case f.Kind == NumberField:
		n, err := ParseNumber(value)
		if err != nil {
			return value, T("filter.number", value)
		}
		return strconv.FormatFloat(n, 'f', -1, 64), Text{}
	case f.Kind == AgeField:
		if op == OpIs {
			return value, T("filter.age.is", f.Name)
		}
		if _, err := ParseAge(value); err != nil {
			return value, T("filter.age", value)
		}
		return value, Text{}
	case f.Check != nil:
		return f.Check(value)
	}
	return value, Text{}
}

func checkCountryFilter(s string) (string, Text) {
	code := strings.ToUpper(s)
	if !KnownCountry(code) {
		return s, T("filter.country", s)
	}
	return code, Text{}
}

func checkKnown(problem string, known func(string) bool) func(string) (string, Text) {
	return func(s string) (string, Text) {
		if !known(s) {
			return s, T(problem, s)
		}
		return s, Text{}
	}
}

// ParseNumber reads a number of a filter: decimal digits, with a point or without.
func ParseNumber(s string) (float64, error) {
	if strings.Trim(s, "0123456789.") != "" || len(s) > 15 {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, 64)
}

var ageUnits = map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}

// ParseAge reads an age of a filter: a whole number of minutes, hours, days or weeks,
// as in "36h".
func ParseAge(s string) (time.Duration, error) {
	if s == "" {
		return 0, strconv.ErrSyntax
	}
	unit, known := ageUnits[s[len(s)-1]]
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 16)
	if err != nil || !known {
		return 0, strconv.ErrSyntax
	}
	return time.Duration(n) * unit, nil
}

// NodeSet names a set of nodes for the field "in".
type NodeSet struct {
	Kind string // "run" or "import"
	ID   int64
}

// ParseNodeSet reads a value of the field "in".
func ParseNodeSet(s string) (NodeSet, bool) {
	kind, number, _ := strings.Cut(s, "/")
	id, err := strconv.ParseInt(number, 10, 64)
	return NodeSet{kind, id}, err == nil && id > 0 && (kind == "run" || kind == "import")
}

func checkSet(s string) (string, Text) {
	set, ok := ParseNodeSet(s)
	if !ok {
		return s, T("filter.set", s)
	}
	return set.Kind + "/" + strconv.FormatInt(set.ID, 10), Text{}
}

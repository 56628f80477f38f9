package db

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// compareLine lists the fields in which theirs, from a file, differs from mine. An
// empty field of the file is not a difference.
func compareLine(mine, theirs *known, noPassword bool) []connexa.Difference {
	var differs []connexa.Difference
	if mine.Login != theirs.Login {
		differs = append(differs, connexa.Difference{Field: "login", Mine: mine.Login, Theirs: theirs.Login})
	}
	if !noPassword && !bytes.Equal(mine.mac, theirs.mac) {
		differs = append(differs, connexa.Difference{Field: "password"})
	}
	for _, c := range connexa.Columns() {
		if m, t := *c.Value(&mine.Node), *c.Value(&theirs.Node); t != "" && t != m && theirs.replaces(c.Name, m) {
			differs = append(differs, connexa.Difference{Field: c.Name, Mine: m, Theirs: t})
		}
	}
	if len(theirs.Tags) > 0 {
		if tags := theirs.tagsOver(mine.Tags, theirs.Tags); !sameTags(mine.Tags, tags) {
			differs = append(differs, connexa.Difference{Field: "tags", Mine: strings.Join(mine.Tags, ", "), Theirs: strings.Join(tags, ", ")})
		}
	}
	return differs
}

// defaulted says which values of a line are not from the file.
type defaulted struct {
	columns []string // whose values are defaults
	tags    bool     // all of its tags
}

// replaces reports whether the value of the line replaces mine in a column. A default
// replaces only an empty value.
func (d *defaulted) replaces(column, mine string) bool {
	return mine == "" || !slices.Contains(d.columns, column)
}

// tagsOver returns the tags that a node with the tags mine gets from a line with the tags
// theirs: those of a file replace, those of defaults are added, as many as fit.
func (d *defaulted) tagsOver(mine, theirs []string) []string {
	switch {
	case len(theirs) == 0:
		return mine
	case d.tags:
		return withTags(mine, theirs)
	default:
		return theirs
	}
}

// withTags returns tags with those of more that it does not have, as many as fit.
func withTags(tags, more []string) []string {
	all := connexa.AddTags(tags, more)
	return all[:max(len(tags), min(len(all), connexa.MaxTags))]
}

// sameTags compares tags, ignoring their order.
func sameTags(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// mergeTheirs returns mine with the non-empty fields of theirs, of which d are defaults.
func mergeTheirs(mine, theirs *connexa.Node, d *defaulted) connexa.Node {
	n := *mine
	n.Login = theirs.Login
	for _, c := range connexa.Columns() {
		if t := *c.Value(theirs); t != "" && d.replaces(c.Name, *c.Value(mine)) {
			*c.Value(&n) = t
		}
	}
	n.Tags = d.tagsOver(mine.Tags, theirs.Tags)
	return n
}

// server identifies one login on one server. Logins that differ only in case are
// equal.
type server struct {
	address string
	port    int
	login   string
}

func serverOf(n *connexa.Node) server { return server{n.Address, n.Port, strings.ToLower(n.Login)} }

// serverNumber returns a keyed digest of s. Two servers may share a number, so the
// caller opens the line and compares.
func (k *keyring) serverNumber(s server) int64 {
	var n uint64
	for _, b := range k.keyedDigest(serverPurpose, s.address, strconv.Itoa(s.port), s.login)[:8] {
		n = n<<8 | uint64(b)
	}
	return int64(n)
}

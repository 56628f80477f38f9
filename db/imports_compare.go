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
		if m, t := *c.Value(&mine.Node), *c.Value(&theirs.Node); t != "" && t != m {
			differs = append(differs, connexa.Difference{Field: c.Name, Mine: m, Theirs: t})
		}
	}
	if len(theirs.Tags) > 0 && !sameTags(mine.Tags, theirs.Tags) {
		differs = append(differs, connexa.Difference{Field: "tags", Mine: strings.Join(mine.Tags, ", "), Theirs: strings.Join(theirs.Tags, ", ")})
	}
	return differs
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

// mergeTheirs returns mine with the non-empty fields of theirs.
func mergeTheirs(mine, theirs *connexa.Node) connexa.Node {
	n := *mine
	n.Login = theirs.Login
	for _, c := range connexa.Columns() {
		if t := *c.Value(theirs); t != "" {
			*c.Value(&n) = t
		}
	}
	if len(theirs.Tags) > 0 {
		n.Tags = theirs.Tags
	}
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

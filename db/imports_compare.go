package db

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// compareLine says in what theirs, of a file, differs from mine. What the file
// leaves empty is no difference.
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

// sameTags compares without regard to the order.
func sameTags(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// mergeTheirs is mine with what theirs says.
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

// server names one login on one server, logins that differ only in case alike.
type server struct {
	address string
	port    int
	login   string
}

func serverOf(n *connexa.Node) server { return server{n.Address, n.Port, strings.ToLower(n.Login)} }

// serverNumber is a keyed digest of s. Two servers may share one; who finds a number
// opens the line and looks.
func (k *keyring) serverNumber(s server) int64 {
	var n uint64
	for _, b := range k.keyedDigest(serverPurpose, s.address, strconv.Itoa(s.port), s.login)[:8] {
		n = n<<8 | uint64(b)
	}
	return int64(n)
}

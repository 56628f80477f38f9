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
	for _, f := range []struct{ field, mine, theirs string }{
		{"country", mine.Country, theirs.Country},
		{"state", mine.State, theirs.State},
		{"city", mine.City, theirs.City},
		{"zip", mine.Zip, theirs.Zip},
		{"provider", mine.Provider, theirs.Provider},
		{"comment", mine.Comment, theirs.Comment},
	} {
		if f.theirs != "" && f.theirs != f.mine {
			differs = append(differs, connexa.Difference{Field: f.field, Mine: f.mine, Theirs: f.theirs})
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
	for _, f := range []struct {
		into *string
		text string
	}{
		{&n.Provider, theirs.Provider}, {&n.Country, theirs.Country}, {&n.State, theirs.State},
		{&n.City, theirs.City}, {&n.Zip, theirs.Zip}, {&n.Comment, theirs.Comment},
	} {
		if f.text != "" {
			*f.into = f.text
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

package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/importer"
)

// MaxLoginList is the maximum size of a list of logins, in bytes.
const MaxLoginList = 32 << 20

const badLogins = 20 // lines that are reported with their problem

// columnMarks are the characters between the columns of any format of a line.
const columnMarks = " \t\r\n,;:|@="

// loginFields are the columns of a list without a header.
var loginFields = []string{"address", "login", "password"}

// loginLine is one line of a list of logins.
type loginLine struct {
	line     int
	node     connexa.Node
	anyPort  bool // the line has no port
	password connexa.Secret
}

// DraftLogins reads a list of addresses, logins and passwords for the nodes of s, and
// stores an act that waits for ConfirmAct. The act has the id zero if no line has a
// node. A line belongs to the node of its server. Of several nodes it is the one with
// its login, which gets the password; otherwise the line is bad. A list with two lines
// for one node is refused, as it does not say which of them is right.
func (a *Acts) DraftLogins(ctx context.Context, s connexa.Selection, r io.Reader) (connexa.BulkAct, connexa.LoginList, error) {
	var list connexa.LoginList
	lines, err := readLogins(r, &list)
	if err != nil {
		return connexa.BulkAct{}, list, err
	}
	ids, err := a.nodes.SelectNodes(ctx, s)
	if err != nil {
		return connexa.BulkAct{}, list, err
	}
	addresses := make([]string, len(lines))
	for i := range lines {
		addresses[i] = lines[i].node.Address
	}
	slices.Sort(addresses)
	found, err := a.store.LoginsAt(ctx, slices.Compact(addresses))
	if err != nil {
		return connexa.BulkAct{}, list, err
	}
	at := map[string][]connexa.NodeLogin{}
	for _, n := range found {
		if _, selected := slices.BinarySearch(ids, n.ID); selected {
			at[n.Address] = append(at[n.Address], n)
		}
	}
	if err := matchLogins(lines, at, &list); err != nil {
		return connexa.BulkAct{}, list, err
	}
	if len(list.Logins) == 0 {
		return connexa.BulkAct{}, list, nil
	}
	by, _ := Actor(ctx)
	act, err := a.store.StartAct(ctx, connexa.NewAct{
		Bulk: connexa.Bulk{Kind: connexa.BulkLogins}, Logins: list.Logins, Draft: true, Audit: connexa.AuditRow{Account: by},
	})
	return act, list, err
}

// readLogins reads the lines of a list and reports bad ones. If the list begins with a
// line of one column, the others may all be bad because of it: then it is the error.
func readLogins(r io.Reader, list *connexa.LoginList) ([]loginLine, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxLoginList+1))
	if err != nil {
		return nil, fmt.Errorf("receive a list: %w", err)
	}
	if len(text) > MaxLoginList {
		return nil, connexa.Errorf(connexa.Invalid, "import.error.big", MaxLoginList>>20)
	}
	reader, err := importer.New(bytes.NewReader(text), importer.Options{})
	if err != nil {
		return nil, err
	}
	if shape := reader.Shape(); shape.Format == importer.CSV && !shape.Header {
		if reader, err = importer.New(bytes.NewReader(text), importer.Options{Format: importer.CSV, Separator: shape.Separator, Mapping: loginFields}); err != nil {
			return nil, err
		}
	}
	var lines []loginLine
	single := 0 // the first line, if it has one column
	for row, err := range reader.Rows() {
		switch {
		case err != nil:
			return nil, err
		case !row.Problem.IsZero():
			if list.BadAll == 0 && len(lines) == 0 && !strings.ContainsAny(strings.TrimSpace(row.Raw.Reveal()), columnMarks) {
				single = row.Line
			}
			reportLogin(list, row.Line, row.Problem)
			continue
		case row.NoPassword:
			reportLogin(list, row.Line, connexa.T("field.password.empty"))
			continue
		}
		n, password, err := connexa.ParseNode(row.Input)
		if errs, bad := errors.AsType[connexa.FieldErrors](err); bad {
			reportLogin(list, row.Line, errs.First())
			continue
		} else if err != nil {
			return nil, err
		}
		lines = append(lines, loginLine{row.Line, n, row.Input.Port == "", password})
	}
	if single > 0 && len(lines) == 0 {
		return nil, connexa.Errorf(connexa.Invalid, "acts.logins.columns", strconv.Itoa(single))
	}
	return lines, nil
}

// matchLogins finds the node of each line among the nodes at its address. The error
// names the first two lines for one node.
func matchLogins(lines []loginLine, at map[string][]connexa.NodeLogin, list *connexa.LoginList) error {
	taken := map[int64]int{} // line by node
	for _, l := range lines {
		nodes := slices.DeleteFunc(slices.Clone(at[l.node.Address]), func(n connexa.NodeLogin) bool { return !l.anyPort && n.Port != l.node.Port })
		if len(nodes) > 1 {
			nodes = slices.DeleteFunc(nodes, func(n connexa.NodeLogin) bool { return n.Login != l.node.Login })
			if len(nodes) != 1 {
				reportLogin(list, l.line, connexa.T("acts.logins.ambiguous", connexa.ServerName(l.node.Address, l.node.Port)))
				continue
			}
		}
		switch {
		case len(nodes) == 0:
			reportLogin(list, l.line, connexa.T("acts.logins.unknown", connexa.ServerName(l.node.Address, l.node.Port)))
		case taken[nodes[0].ID] != 0:
			return connexa.Errorf(connexa.Invalid, "acts.logins.twice", strconv.Itoa(taken[nodes[0].ID]), strconv.Itoa(l.line), connexa.ServerName(l.node.Address, l.node.Port))
		default:
			taken[nodes[0].ID] = l.line
			list.Lines++
			list.Logins = append(list.Logins, connexa.NewLogin{NodeID: nodes[0].ID, Login: l.node.Login, Password: l.password})
		}
	}
	return nil
}

func reportLogin(list *connexa.LoginList, line int, problem connexa.Text) {
	if list.BadAll++; len(list.Bad) < badLogins {
		list.Bad = append(list.Bad, connexa.LoginLine{Line: line, Problem: problem})
	}
}

// PreviewLogins returns what the first logins of a list would change.
func (a *Acts) PreviewLogins(ctx context.Context, logins []connexa.NewLogin) ([]PreviewedNode, error) {
	var list []PreviewedNode
	for _, l := range logins[:min(actPreview, len(logins))] {
		n, err := a.nodes.Node(ctx, l.NodeID)
		if err != nil {
			return nil, err
		}
		after := n
		after.Login = l.Login
		list = append(list, PreviewedNode{Node: n, Changes: append(connexa.NodeChanges(&n, &after), connexa.PasswordChange())})
	}
	return list, nil
}

package views

import (
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// changeKinds are the acts of the menu "Change" of the node list.
var changeKinds = []connexa.BulkKind{
	connexa.BulkSet, connexa.BulkAddTags, connexa.BulkRemoveTags, connexa.BulkPassword, connexa.BulkLogin, connexa.BulkLogins, connexa.BulkEncryption,
	connexa.BulkReset,
}

// kindIcon returns the icon of a kind of act.
func kindIcon(k connexa.BulkKind) string {
	switch k {
	case connexa.BulkPassword, connexa.BulkLogin, connexa.BulkLogins:
		return "key"
	case connexa.BulkReset:
		return "retry"
	default:
		return "edit"
	}
}

// ActNode is a node in the preview of an act.
type ActNode struct {
	Server, Login string
	Changes       []connexa.Change // empty: the act does not change it
	Full          bool             // it would get too many tags
}

// ActQuestion asks for the values of an act or for its confirmation.
type ActQuestion struct {
	Input     connexa.BulkInput // as typed; drawn without the password
	What      connexa.Text      // the checked act; zero asks for its values
	Total     int
	Nodes     []ActNode // the first ones
	Selection []Hidden  // the nodes
	Back      string    // the page to return to
	Errors    connexa.FieldErrors
	Warning   string         // why it asks again. Optional.
	List      *ActLoginsList // of an uploaded list
	Draft     int64          // id of the act that waits for the confirmation; zero: none
}

// ActLoginsList is what a list of logins changes.
type ActLoginsList struct {
	connexa.LoginList
}

// needsValues reports whether the question has fields to fill in.
func (q ActQuestion) needsValues() bool { return q.What.IsZero() && q.Input.Kind != connexa.BulkReset }

// isLast reports whether the answer starts the act: a password is typed once, because no
// page may contain it.
func (q ActQuestion) isLast() bool {
	return !q.What.IsZero() || q.Input.Kind == connexa.BulkPassword || q.Input.Kind == connexa.BulkReset
}

// ConfirmAct returns the dialog of a question.
func ConfirmAct(p *i18n.Printer, q ActQuestion) Confirm {
	c := Confirm{
		Title: p.T("acts.name." + string(q.Input.Kind)), Text: p.T("acts.count", q.Total), Warning: q.Warning,
		URL: "/acts", Button: p.T("acts.continue"), Fields: append([]Hidden{{"act", string(q.Input.Kind)}, {"back", q.Back}}, q.Selection...),
	}
	if q.Draft != 0 { // the lines decide which of the selected nodes change
		c.Text = p.T("acts.list.matched", q.List.Lines)
	}
	if q.Warning == "" && q.Input.Kind.Resets() {
		c.Warning = p.T("acts.resets")
	}
	if problem, bad := q.Errors["encryption"]; bad && !q.needsValues() {
		c.Warning = p.Text(problem)
	}
	if q.needsValues() || needsPassword(q.Errors, "encryption") {
		c.Inputs = actInputs(q)
	}
	switch {
	case q.Draft != 0:
		c.URL = "/acts/" + strconv.FormatInt(q.Draft, 10) + "/confirm"
	case q.Input.Kind == connexa.BulkLogins:
		c.URL, c.Upload, c.InDialog = "/acts/logins", true, true
		if q.List != nil {
			c.Body = loginList(q.List.LoginList)
		}
		return c
	}
	if !q.isLast() {
		c.InDialog = true
		return c
	}
	if !q.What.IsZero() {
		c.Fields = append(c.Fields, Hidden{"act_field", q.Input.Field}, Hidden{"act_value", q.Input.Value}, Hidden{"act_tags", q.Input.Tags}, Hidden{"act_login", q.Input.Login},
			Hidden{"act_encryption", q.Input.Encryption})
	}
	c.Fields = append(c.Fields, Hidden{"count", strconv.Itoa(q.Total)}, Hidden{"yes", "1"})
	c.Button, c.Body = p.T("acts.apply", q.Total), actPreview(q)
	c.InDialog = c.Inputs != nil // so that a problem is shown in place
	return c
}

// fieldOptions lists the columns that an act can set.
func fieldOptions(p *i18n.Printer) []Option {
	var list []Option
	for _, c := range connexa.Columns() {
		list = append(list, Option{c.Name, p.T("node." + c.Name)})
	}
	return list
}

// changeValue returns one side of a change as text.
func changeValue(p *i18n.Printer, v any) string {
	switch v := v.(type) {
	case connexa.Text:
		return p.Text(v)
	case string:
		if v != "" {
			return v
		}
	}
	return p.T("acts.preview.none")
}

// ActToast says how an act ended, with a button that undoes it, or that it goes on in the
// background.
func ActToast(a connexa.BulkAct) Toast {
	if a.State.Live() {
		_, total := a.Progress()
		if a.Kind.OnServices() {
			return Toast{Tone: ToneGood, Text: connexa.T("acts.started."+string(a.Kind), total)}
		}
		return Toast{Tone: ToneGood, Text: connexa.T("acts.started", total)}
	}
	t := Toast{Tone: ToneGood, Text: a.Result()}
	if a.Skipped > 0 || a.Kept > 0 || a.Changed == 0 {
		t.Tone = ToneWarn
	}
	if a.Undoable() {
		t.Undo = a.ID
	}
	return t
}

// actTitle names an act and its direction.
func actTitle(p *i18n.Printer, a connexa.BulkAct) string {
	name := p.T("acts.name." + string(a.Kind))
	if a.State == connexa.BulkUndoing {
		return p.T("acts.undoing", name)
	}
	return name
}

func actURL(id int64, what string) string { return "/acts/" + strconv.FormatInt(id, 10) + "/" + what }

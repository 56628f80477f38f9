package connexa

import "time"

// ImportState is the state of an import.
type ImportState string

// The states of an import.
const (
	ImportReading   ImportState = "reading"   // the file is being read into the preview
	ImportMapping   ImportState = "mapping"   // no header: waits until the user names the columns
	ImportReady     ImportState = "ready"     // the preview waits for the user
	ImportRunning   ImportState = "importing" // confirmed; rows are being written
	ImportDone      ImportState = "done"
	ImportCancelled ImportState = "cancelled"
	ImportFailed    ImportState = "failed" // Problem says why
)

// Live reports whether the panel works on the import.
func (s ImportState) Live() bool { return s == ImportReading || s == ImportRunning }

// Ended reports whether the state is final.
func (s ImportState) Ended() bool {
	return s == ImportDone || s == ImportCancelled || s == ImportFailed
}

// LineClass is the class of a line in the preview.
type LineClass string

// The classes of lines.
const (
	LineNew      LineClass = "new"
	LineSame     LineClass = "same"     // the node exists, nothing differs
	LineConflict LineClass = "conflict" // the node exists, and something differs
	LineBad      LineClass = "bad"
)

// LineNoted selects the good lines of any class that have notes. It is not the class
// of a line.
const LineNoted LineClass = "noted"

// Choice is the decision about a conflict.
type Choice string

// The choices. KeepBoth is offered only where the logins differ.
const (
	KeepMine   Choice = "mine"
	TakeTheirs Choice = "theirs"
	KeepBoth   Choice = "both"
)

// ImportTest is the test to run after an import.
type ImportTest string

// TestNone means no test after an import; the other values are kinds of run.
const TestNone ImportTest = "none"

// Import is the import of a file or of pasted text.
type Import struct {
	ID        int64
	State     ImportState
	Name      string // of the file; empty for pasted text
	Bytes     int64
	Lines     int    // lines read so far
	Format    string // "csv", "text"
	Encoding  string // "utf-8", "windows-1251"
	Separator string // "," ";" "|" or a tab; empty for text
	Header    bool   // the first line names the columns
	Mapping   []string
	Chosen    ImportOptions
	// Remembered reports that the mapping is the one that was chosen for the last file with
	// the same header.
	Remembered bool
	Uploaded   bool // the upload is complete
	Confirmed  bool // it is written without waiting once it is read
	Test       ImportTest
	Choice     Choice
	TemplateID int64 // of the template that it was started with, or zero
	// Decided reports that the user made a choice for all conflicts. Before that, the file
	// wins where only the password differs.
	Decided bool
	// TestChosen reports that the user chose the test in the preview.
	TestChosen bool
	Noted      int // good lines with notes
	New        int
	Same       int
	Conflict   int
	Bad        int
	Resets     int      // validated nodes that TakeTheirs would reset
	Crowded    []string // addresses with more than ten logins, the first few
	Todo       int      // rows to write, once confirmed
	Written    int      // rows written so far
	Added      int
	Updated    int
	Kept       int
	RunID      int64 // of the test; zero: none
	Problem    Text
	By         string
	CreatedAt  time.Time
	EndedAt    time.Time

	Undo      UndoState
	UndoBy    string
	UndoAt    time.Time // when it began
	UndoTotal int       // nodes that it was about at its start
	Removed   int
	Restored  int // nodes with at least one restored field
	UndoKept  int // nodes of which at least one value was changed since
}

// UndoState is the state of the undo of an import.
type UndoState string

// The states. An import that was not undone has none.
const (
	UndoRunning UndoState = "running"
	UndoDone    UndoState = "done"
)

// UndoPlan is the effect of the undo of an import, in nodes.
type UndoPlan struct {
	Remove  int // added by the import, and not changed since
	Restore int // changed by it: at least one field gets its former value back
	Keep    int // at least one value was changed since, and stays
}

// ChoiceFor returns the choice that applies to a conflict: chosen, which is its own or
// the one for its group, or else the one for all. passwordOnly reports that only the
// password differs, both that both logins can be kept.
func (i *Import) ChoiceFor(chosen Choice, passwordOnly, both bool) Choice {
	c := i.Choice
	switch {
	case chosen != "":
		c = chosen
	case !i.Decided && passwordOnly:
		c = TakeTheirs
	}
	if c == KeepBoth && !both {
		return KeepMine
	}
	return c
}

// ImportPlan is the effect of an import with the current choices.
type ImportPlan struct {
	Add, Change, Skip int // lines; their sum is the number of lines in the preview
	Kept              int // of Skip: conflicts that keep the node
	Passwords         int // conflicts in which the password differs
	PasswordOnly      int // of these: conflicts in which only the password differs
	// All is the choice for every conflict; empty if they differ.
	All Choice
}

// ConflictGroup is a group of conflicts of an import: the same fields differ, from nodes or
// from earlier lines of the file.
type ConflictGroup struct {
	ID           int64
	Fields       []string // the fields that differ, or nil if an earlier version did not store them
	Twin         bool     // they are compared with earlier lines of the file, not with nodes
	Resets       bool     // TakeTheirs would reset validated nodes
	Both         bool     // KeepBoth may be chosen
	Passwords    bool     // the password differs
	PasswordOnly bool     // and nothing else does
	Lines        int
	Choice       Choice         // for the lines without their own choice; if empty, the import's choice applies
	Own          map[Choice]int // number of lines with their own choice
}

// OwnLines returns the number of lines with their own choice.
func (g *ConflictGroup) OwnLines() (n int) {
	for _, lines := range g.Own {
		n += lines
	}
	return n
}

// Plan returns the effect of the import with the current choices for its conflicts.
func (i *Import) Plan(groups []ConflictGroup) ImportPlan {
	plan := ImportPlan{Add: i.New, Skip: i.Same + i.Bad}
	mixed := false
	for _, g := range groups {
		count := func(chosen Choice, n int) {
			if n == 0 {
				return
			}
			choice := i.ChoiceFor(chosen, g.PasswordOnly, g.Both)
			switch choice {
			case KeepBoth:
				plan.Add += n
			case TakeTheirs:
				plan.Change += n
			default:
				plan.Skip += n
				plan.Kept += n
			}
			if mixed = mixed || plan.All != "" && plan.All != choice; mixed {
				choice = ""
			}
			plan.All = choice
		}
		for own, n := range g.Own {
			count(own, n)
		}
		count(g.Choice, g.Lines-g.OwnLines())
		if g.Passwords {
			plan.Passwords += g.Lines
		}
		if g.PasswordOnly {
			plan.PasswordOnly += g.Lines
		}
	}
	return plan
}

// ImportOptions are the user's choices about how to read a text. The importer detects
// what is empty.
type ImportOptions struct {
	Format    string   `json:"format,omitempty"`
	Encoding  string   `json:"encoding,omitempty"`
	Separator string   `json:"separator,omitempty"`
	Mapping   []string `json:"mapping,omitempty"`
	Detect    bool     `json:"detect,omitempty"` // detect the mapping, also if one is remembered
	// Defaults has values for the empty fields of lines, by the name of the field as
	// DefaultFields lists them. The tags are added to those of each line.
	Defaults map[string]string `json:"defaults,omitempty"`
}

// ImportRow is one server of a file as it was typed, with the number of its first
// line. Problem is set for a bad line.
type ImportRow struct {
	Line    int
	Input   NodeInput
	Raw     Secret // text of a bad line, cut at 4 KiB
	Problem Text
	Notes   []Text   // of a good line: what was interpreted or left out
	Columns []string // of a bad line of a CSV: the field of each column, as the mapping names them
	// NoPassword reports that the file has no password column: a known node keeps its
	// password.
	NoPassword bool
	// Defaults lists the columns whose values are defaults of the import. They replace no
	// value of a known node.
	Defaults []string
	AddTags  []string // tags for the line besides those in Input
}

// ImportLine is one row of the preview.
type ImportLine struct {
	ID      int64
	Line    int
	Class   LineClass
	Address string
	Port    int
	Login   string
	City    string
	State   string
	Country string
	Problem Text // of a bad line
	Differs []Difference
	Choice  Choice // of a conflict; if empty, GroupChoice applies
	// GroupChoice is the choice for its group. If it is empty, the import's choice applies.
	GroupChoice Choice
	Both        bool // KeepBoth may be chosen
	// PasswordOnly reports that only the password differs from the node's.
	PasswordOnly bool
	Notes        []Text
	Raw          Secret   // of a bad line; shown only after a recent entry of the password
	Masked       string   // of a bad line, for everybody
	Columns      []string // of a bad line of a CSV
	Twin         int      // the line of the same file that it is compared with; zero: a node
	Resets       bool     // TakeTheirs would reset a validated node
}

// Difference is one field that differs between a line and a node. For the password,
// both texts are empty.
type Difference struct {
	Field        string
	Mine, Theirs string
}

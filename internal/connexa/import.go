package connexa

import "time"

// ImportState is where an import stands.
type ImportState string

// The states of an import.
const (
	ImportReading   ImportState = "reading"   // the file is being read into the preview
	ImportMapping   ImportState = "mapping"   // no header: waits for a person to name the columns
	ImportReady     ImportState = "ready"     // the preview waits for a person
	ImportRunning   ImportState = "importing" // confirmed; rows are being written
	ImportDone      ImportState = "done"
	ImportCancelled ImportState = "cancelled"
	ImportFailed    ImportState = "failed" // Problem says why
)

// Live says whether the panel is at work on the import.
func (s ImportState) Live() bool { return s == ImportReading || s == ImportRunning }

// Ended says whether nothing will happen to the import any more.
func (s ImportState) Ended() bool {
	return s == ImportDone || s == ImportCancelled || s == ImportFailed
}

// LineClass is what the preview says of a line.
type LineClass string

// The classes of lines.
const (
	LineNew      LineClass = "new"
	LineSame     LineClass = "same"     // already there, nothing differs
	LineConflict LineClass = "conflict" // already there, and something differs
	LineBad      LineClass = "bad"
)

// LineNoted stands for the good lines of any class that have notes. No line is of
// it.
const LineNoted LineClass = "noted"

// Choice says what to do with a conflict.
type Choice string

// The choices. KeepBoth is offered only where the logins differ.
const (
	KeepMine   Choice = "mine"
	TakeTheirs Choice = "theirs"
	KeepBoth   Choice = "both"
)

// ImportTest is the test that follows an import.
type ImportTest string

// TestNone follows an import with nothing; the others are kinds of run.
const TestNone ImportTest = "none"

// Import is a file or a text on its way into the fleet.
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
	Uploaded  bool // all of the text is here
	Confirmed bool // goes on by itself once it is read
	Test      ImportTest
	Choice    Choice
	// Decided says that a person chose for all conflicts: before that, the file is
	// used where only the password differs.
	Decided bool
	// TestChosen says that a person chose the test in the preview.
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
}

// ChoiceFor is what becomes of a conflict: what was chosen for it, or what holds
// for all. passwordOnly says that nothing but the password differs, both that both
// logins can be kept.
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

// ImportPlan is what an import does when it is confirmed as it is chosen now.
type ImportPlan struct {
	Add, Change, Skip int // lines; all of them together are the lines of the preview
	Kept              int // of Skip: conflicts that keep what is here
	Passwords         int // conflicts in which the password differs
	PasswordOnly      int // of these: those in which nothing else does
	// All is the choice that holds for every conflict; empty: they differ.
	All Choice
}

// ImportOptions are how a person says that a text is to be read. What is empty
// is found out from the text.
type ImportOptions struct {
	Format    string   `json:"format,omitempty"`
	Encoding  string   `json:"encoding,omitempty"`
	Separator string   `json:"separator,omitempty"`
	Mapping   []string `json:"mapping,omitempty"`
}

// ImportRow is one server of a file, still as it was typed, with the number of
// its first line. Problem is set for a bad line.
type ImportRow struct {
	Line    int
	Input   NodeInput
	Raw     Secret // the line itself, of a bad line, cut at 4 KiB
	Problem Text
	Notes   []Text   // of a good line: what was understood or left out
	Columns []string // of a bad line of a CSV: the field of each column, as the mapping names them
	// NoPassword says that the file has no password column: a known node keeps
	// its own.
	NoPassword bool
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
	Choice  Choice // of a conflict; empty: as the import says
	Both    bool   // KeepBoth may be chosen
	// PasswordOnly says that nothing but the password differs from the node's.
	PasswordOnly bool
	Notes        []Text
	Raw          Secret   // of a bad line; shown only after a recent entry of the password
	Masked       string   // of a bad line, for everybody
	Columns      []string // of a bad line of a CSV
	Twin         int      // the line of the same file that it is compared with; zero: a node
	Resets       bool     // TakeTheirs would reset a validated node
}

// Difference is one field in which a line and a node differ. For the password
// both texts are empty.
type Difference struct {
	Field        string
	Mine, Theirs string
}

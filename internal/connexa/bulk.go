package connexa

import (
	"slices"
	"strings"
	"time"
)

// BulkKind is what a bulk act does with its nodes.
type BulkKind string

// The kinds of bulk act.
const (
	BulkSet        BulkKind = "set"         // sets or clears a descriptive column
	BulkAddTags    BulkKind = "add_tags"    // adds tags
	BulkRemoveTags BulkKind = "remove_tags" // removes tags
	BulkPassword   BulkKind = "password"    // sets one password for all
	BulkLogin      BulkKind = "login"       // sets one login for all
	BulkLogins     BulkKind = "logins"      // sets the login and the password of each node, from a list
	BulkEncryption BulkKind = "encryption"  // sets the encryption policy
	BulkReset      BulkKind = "reset"       // clears the status and the results
	BulkDelete     BulkKind = "delete"      // moves nodes to the bin
	BulkRestore    BulkKind = "restore"     // takes nodes out of the bin
	BulkPurge      BulkKind = "purge"       // deletes nodes of the bin for good
	BulkStart      BulkKind = "start"       // starts services
	BulkStop       BulkKind = "stop"        // stops services
	BulkStartVPN   BulkKind = "start_vpn"   // switches OpenVPN exits on
	BulkStopVPN    BulkKind = "stop_vpn"    // switches OpenVPN exits off
	BulkTest       BulkKind = "test"        // adds the jobs of a run, whose page has the progress
)

// BulkKinds lists every kind of bulk act.
func BulkKinds() []BulkKind {
	return []BulkKind{
		BulkSet, BulkAddTags, BulkRemoveTags, BulkPassword, BulkLogin, BulkLogins, BulkEncryption, BulkReset, BulkDelete, BulkRestore, BulkPurge,
		BulkStart, BulkStop, BulkStartVPN, BulkStopVPN, BulkTest,
	}
}

// OnBin reports whether the nodes of the act are in the bin.
func (k BulkKind) OnBin() bool { return k == BulkRestore || k == BulkPurge }

// OnServices reports whether the act switches services or their OpenVPN exits.
func (k BulkKind) OnServices() bool {
	return k == BulkStart || k == BulkStop || k == BulkStartVPN || k == BulkStopVPN
}

// Undoable reports whether acts of this kind can be undone.
func (k BulkKind) Undoable() bool { return !k.OnBin() && !k.OnServices() && k != BulkTest }

// Resets reports whether the act clears the results of the nodes that it changes.
func (k BulkKind) Resets() bool {
	return k == BulkPassword || k == BulkLogin || k == BulkLogins || k == BulkReset
}

// Act returns the act that the audit table records.
func (k BulkKind) Act() Act {
	switch k {
	case BulkDelete:
		return ActNodesDeleted
	case BulkRestore:
		return ActNodesRestored
	case BulkPurge:
		return ActNodesPurged
	case BulkStart:
		return ActServiceStarted
	case BulkStop:
		return ActServiceStopped
	case BulkStartVPN, BulkStopVPN:
		return ActServiceChanged
	default: // an edit
		return ActNodesEdited
	}
}

// BulkState is the state of a bulk act.
type BulkState string

// The states of a bulk act.
const (
	BulkDraft     BulkState = "draft" // not confirmed yet
	BulkQueued    BulkState = "queued"
	BulkRunning   BulkState = "running"
	BulkDone      BulkState = "done"
	BulkCancelled BulkState = "cancelled" // the nodes that it had changed stay changed
	BulkUndoing   BulkState = "undoing"
	BulkUndone    BulkState = "undone"
)

// BulkStates lists every state of a bulk act.
func BulkStates() []BulkState {
	return []BulkState{BulkDraft, BulkQueued, BulkRunning, BulkDone, BulkCancelled, BulkUndoing, BulkUndone}
}

// Live reports whether the act has work left.
func (s BulkState) Live() bool { return s == BulkQueued || s == BulkRunning || s == BulkUndoing }

// Bulk is one change of many nodes.
type Bulk struct {
	Kind       BulkKind
	Field      string // of BulkSet: the name of a Column
	Value      string // of BulkSet, empty clears the column; of BulkLogin
	Tags       []string
	Encryption EncryptionPolicy
	Password   Secret // of BulkPassword; empty in an act that was read from the store
}

// BulkInput is a Bulk from a form, not yet checked.
type BulkInput struct {
	Kind       BulkKind
	Field      string
	Value      string
	Tags       string
	Login      string
	Password   string // plain on purpose: it is input
	Encryption string
}

// ParseBulk checks in and returns the change, or FieldErrors keyed by the field's name
// in the form. BulkLogins has no fields.
func ParseBulk(in BulkInput) (Bulk, error) {
	errs := FieldErrors{}
	b := Bulk{Kind: in.Kind}
	switch in.Kind {
	case BulkSet:
		c := ColumnNamed(in.Field)
		if c == nil {
			errs.Add("field", "acts.field.unknown")
			break
		}
		values := FieldErrors{}
		b.Field, b.Value = c.Name, c.parse(in.Value, values)
		if problem, bad := values[c.Name]; bad {
			errs["value"] = problem
		}
	case BulkAddTags, BulkRemoveTags:
		read := parseTags
		if in.Kind == BulkRemoveTags {
			read = splitTags // nodes of earlier versions may have any tag
		}
		if b.Tags = read(in.Tags, errs); len(b.Tags) == 0 {
			errs.Add("tags", "acts.tags.none")
		}
	case BulkPassword:
		_, password := parseLogin("-", in.Password, errs)
		b.Password = Secret(password)
	case BulkLogin:
		b.Value, _ = parseLogin(in.Login, "-", errs)
	case BulkEncryption:
		switch b.Encryption = EncryptionPolicy(in.Encryption); b.Encryption {
		case EncryptionDefault, EncryptionPreferred, EncryptionRequired, EncryptionOff:
		default:
			errs.Add("encryption", "field.encryption")
		}
	case BulkLogins, BulkReset, BulkDelete, BulkRestore, BulkPurge:
	default:
		return Bulk{}, Errorf(Invalid, "acts.kind")
	}
	if len(errs) > 0 {
		return Bulk{}, errs
	}
	return b, nil
}

// Apply returns n as the act leaves it. ok is false if the act cannot change n. It does
// not change passwords and results.
func (b *Bulk) Apply(n Node) (after Node, ok bool) {
	switch b.Kind {
	case BulkSet:
		*ColumnNamed(b.Field).Value(&n) = b.Value
	case BulkAddTags:
		n.Tags = AddTags(n.Tags, b.Tags)
	case BulkRemoveTags:
		n.Tags = RemoveTags(n.Tags, b.Tags)
	case BulkLogin:
		n.Login = b.Value
	case BulkEncryption:
		n.Encryption = b.Encryption
	default: // the others change no field
	}
	return n, len(n.Tags) <= MaxTags
}

// AddTags returns tags with those of more that it does not have. The case of letters
// does not matter.
func AddTags(tags, more []string) []string {
	tags = slices.Clip(tags)
	for _, t := range more {
		if !slices.ContainsFunc(tags, sameTag(t)) {
			tags = append(tags, t)
		}
	}
	return tags
}

// RemoveTags returns tags without those of unwanted. The case of letters does not
// matter.
func RemoveTags(tags, unwanted []string) []string {
	return slices.DeleteFunc(slices.Clone(tags), func(t string) bool { return slices.ContainsFunc(unwanted, sameTag(t)) })
}

func sameTag(tag string) func(string) bool {
	lower := strings.ToLower(tag)
	return func(other string) bool { return strings.ToLower(other) == lower }
}

// BulkKept is how long an act can be undone and how long a deleted node stays in the
// bin.
const BulkKept = 30 * 24 * time.Hour

// BulkAct is a bulk act: what was ordered and how far it is.
type BulkAct struct {
	ID int64
	Bulk
	State     BulkState
	Account   string
	AuditID   int64 // of its row in the audit table; zero: none
	RunID     int64 // of BulkTest
	Total     int   // nodes
	Processed int   // of Total
	Changed   int   // of Processed
	Skipped   int   // of Processed: could not be changed; of BulkStart and BulkStartVPN, because no port is free
	Restored  int   // of Changed: by the undo
	Kept      int   // of Changed: not restored because of a newer change
	At        time.Time
	EndedAt   time.Time
}

// Undoable reports whether the act changed nodes and can be undone.
func (a *BulkAct) Undoable() bool {
	return (a.State == BulkDone || a.State == BulkCancelled) && a.Changed > a.Restored+a.Kept && a.Kind.Undoable()
}

// Progress returns how many nodes are done, of how many, in the current direction.
func (a *BulkAct) Progress() (done, total int) {
	if a.State == BulkUndoing || a.State == BulkUndone {
		return a.Restored + a.Kept, a.Changed
	}
	return a.Processed, a.Total
}

// AsOrdered reports whether the act, or its undo, changed every node that it was ordered
// to change.
func (a *BulkAct) AsOrdered() bool {
	if a.State == BulkUndone {
		return a.Kept == 0
	}
	return a.Changed == a.Total
}

// Result says how the act or its undo ended.
func (a *BulkAct) Result() Text {
	var said Text
	and := func(key string, n int) {
		if n > 0 {
			said = T("acts.result.and", said, T(key, n))
		}
	}
	switch a.State {
	case BulkUndone:
		said = T("acts.result.undone", a.Restored)
		if a.Kind == BulkDelete {
			and("acts.kept.delete", a.Kept)
		} else {
			and("acts.kept", a.Kept)
		}
		return said
	case BulkCancelled:
		if a.Kind.OnServices() {
			return T("acts.result.cancelled."+string(a.Kind), a.Changed, a.Total)
		}
		return T("acts.result.cancelled", a.Changed-a.Restored-a.Kept, a.Total)
	default: // BulkDone
	}
	switch a.Kind {
	case BulkDelete:
		return T("nodes.deleted", a.Changed)
	case BulkRestore, BulkPurge:
		said = T("acts.result."+string(a.Kind), a.Changed)
		and("acts.skipped.restore", a.Skipped)
		return said
	case BulkStart, BulkStop, BulkStartVPN, BulkStopVPN:
		said = T(a.Kind.switched(), a.Changed)
		and("acts.same."+string(a.Kind), a.Processed-a.Changed-a.Skipped)
		and("acts.skipped."+string(a.Kind), a.Skipped)
		return said
	default: // an edit
	}
	said = T("acts.result", a.Changed, a.What())
	if a.Changed == 0 {
		said = T("acts.result.none")
	}
	if a.Kind == BulkAddTags {
		and("acts.skipped.tags", a.Skipped)
	} else {
		and("acts.skipped.login", a.Skipped)
	}
	return said
}

// switched returns the key of the text that says how many services the act switched.
func (k BulkKind) switched() string {
	switch k {
	case BulkStart:
		return "services.started"
	case BulkStop:
		return "services.stopped"
	case BulkStartVPN:
		return "vpn.started"
	default: // BulkStopVPN
		return "vpn.stopped"
	}
}

// AuditEnd returns the row of the audit table about the end of an act or its undo.
func (a *BulkAct) AuditEnd() AuditRow {
	row := AuditRow{At: a.EndedAt, Account: a.Account, Act: a.Kind.Act(), Detail: AuditDetail(a.Result())}
	if a.State == BulkUndone {
		row.Act, row.Detail = ActUndone, AuditDetail(T("acts.audit", a.What(), a.Result()))
	}
	return row
}

// NewLogin is the new login and password of one node. An empty value keeps the old one.
type NewLogin struct {
	NodeID   int64
	Login    string
	Password Secret
}

// NewAct is an order for a bulk act.
type NewAct struct {
	Bulk
	IDs    []int64    // the nodes; of BulkLogins those of Logins
	Logins []NewLogin // of BulkLogins
	Draft  bool       // waits for a confirmation
	Audit  AuditRow   // written together with the act
}

// ActStep is the effect of one step of a bulk act.
type ActStep struct {
	Act  BulkAct // after the step
	IDs  []int64 // nodes that changed
	Runs []int64 // runs whose counts changed, because live jobs ended
	Done bool    // the act has no work left
}

// BinNode is a node in the bin.
type BinNode struct {
	Node
	DeletedAt time.Time
	DeletedBy string
}

// BinPage is one page of the bin, the last deleted nodes first.
type BinPage struct {
	Nodes []BinNode
	Total int
	Next  string // cursor of the page after this one; empty at the end
}

// What says what the act does to a node, without secrets.
func (b *Bulk) What() Text {
	switch b.Kind {
	case BulkSet:
		if b.Value == "" {
			return T("acts.what.clear", T("node."+b.Field))
		}
		return T("acts.what.set", T("node."+b.Field), shortenText(b.Value))
	case BulkAddTags, BulkRemoveTags:
		return T("acts.what."+string(b.Kind), shortenText(strings.Join(b.Tags, ", ")))
	case BulkLogin:
		return T("acts.what.login", shortenText(b.Value))
	case BulkEncryption:
		return T("acts.what.encryption", policyText(b.Encryption))
	default:
		return T("acts.what." + string(b.Kind))
	}
}

// NodeLogin is the server and the login of a node.
type NodeLogin struct {
	ID      int64
	Address string
	Port    int
	Login   string
}

// LoginLine is a line of a list of logins that changes no node.
type LoginLine struct {
	Line    int
	Problem Text // never holds a password
}

// LoginList is what a list of logins changes.
type LoginList struct {
	Logins []NewLogin
	Lines  int         // with a node
	Bad    []LoginLine // the first ones
	BadAll int         // number of all bad lines
}

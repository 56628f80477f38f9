package connexa

import (
	"encoding/json"
	"time"
)

// Account is a login of the panel.
type Account struct {
	ID           int64
	Name         string
	PasswordHash string // argon2id, PHC string format
	CreatedAt    time.Time
	ChangedAt    time.Time // of the password
	MustChange   bool      // the panel generated the password; it allows only the change of the password
}

// Session is one login in one browser.
type Session struct {
	ID        int64
	AccountID int64
	CreatedAt time.Time
	SeenAt    time.Time // updated at most once a minute
	ExpiresAt time.Time
	Address   string
	Agent     string
	Current   bool // the session of the request
}

// Act is what an audit row records.
type Act string

// The acts.
const (
	ActLogin          Act = "login"
	ActLoginFailed    Act = "login_failed"
	ActLogout         Act = "logout"
	ActReauth         Act = "reauth"
	ActPassword       Act = "password_changed"
	ActSessionRevoked Act = "session_revoked"
	ActImport         Act = "import"
	ActNodeAdded      Act = "node_added"
	ActNodeEdited     Act = "node_edited"
	ActNodesDeleted   Act = "nodes_deleted"
	ActExport         Act = "export"
	ActReveal         Act = "reveal"
	ActRunStarted     Act = "run_started"
	ActRunCancelled   Act = "run_cancelled"
	ActRunResumed     Act = "run_resumed"
	ActSettings       Act = "settings_changed"
	ActKeyConfirmed   Act = "key_confirmed"
	ActServiceStarted Act = "service_started"
	ActServiceStopped Act = "service_stopped"
	ActServiceRetried Act = "service_retried"
	ActServiceChanged Act = "service_changed"
	ActClientAdded    Act = "access_added"
	ActClientChanged  Act = "access_changed"
	ActClientDeleted  Act = "access_deleted"
	ActNodesEdited    Act = "nodes_edited"
	ActNodesRestored  Act = "nodes_restored"
	ActNodesPurged    Act = "nodes_purged"
	ActUndone         Act = "act_undone"
	ActCancelled      Act = "act_cancelled"
)

// Acts lists every act.
func Acts() []Act {
	return []Act{
		ActLogin, ActLoginFailed, ActLogout, ActReauth, ActPassword, ActSessionRevoked, ActImport, ActNodeAdded,
		ActNodeEdited, ActNodesDeleted, ActExport, ActReveal, ActRunStarted, ActRunCancelled, ActRunResumed, ActSettings, ActKeyConfirmed,
		ActServiceStarted, ActServiceStopped, ActServiceRetried, ActServiceChanged,
		ActClientAdded, ActClientChanged, ActClientDeleted,
		ActNodesEdited, ActNodesRestored, ActNodesPurged, ActUndone, ActCancelled,
	}
}

// AuditDetail encodes t for an audit row, so that each reader gets it in their own
// language. AuditText is its inverse.
func AuditDetail(t Text) string {
	if t.IsZero() {
		return ""
	}
	kept, err := json.Marshal(t)
	if err != nil { // an argument that JSON cannot encode
		return t.String()
	}
	return string(kept)
}

// AuditText decodes the detail of a row; ok is false if the detail is plain text.
func AuditText(detail string) (t Text, ok bool) {
	err := json.Unmarshal([]byte(detail), &t)
	return t, err == nil && !t.IsZero()
}

// AuditRow is one row of the audit table, which is append-only.
type AuditRow struct {
	ID      int64
	At      time.Time
	Account string
	Address string // IP address of the account's user
	Act     Act
	Detail  string // names and counts as AuditDetail keeps them; never a secret
}

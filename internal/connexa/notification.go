package connexa

import "time"

// NotificationKind is the kind of a Notification.
type NotificationKind string

// The kinds of notifications.
const (
	NotifyNodeDown         NotificationKind = "node_dropped"      // a validated node lost its status
	NotifyNodeRecovered    NotificationKind = "node_recovered"    // a node that was down is validated again
	NotifyNodeFlapping     NotificationKind = "node_flapping"     // its status changes too often: no notifications until it is stable
	NotifyNodeStable       NotificationKind = "node_settled"      // it was flapping and is stable now
	NotifyServiceFailed    NotificationKind = "gateway_failed"    // a wanted service gave up or retries rarely
	NotifyServiceRecovered NotificationKind = "gateway_recovered" // a service that had failed is online
	NotifyRunFinished      NotificationKind = "run_finished"      // not for cancelled runs and those of the monitor
	NotifyOffline          NotificationKind = "offline"           // this machine lost its network: no notifications about nodes meanwhile
	NotifyOnline           NotificationKind = "online"            // it has its network again
	NotifyNewLogin         NotificationKind = "new_login"         // an admin logged in from an address not seen before
	NotifyPassword         NotificationKind = "password_changed"  // the password of an admin changed
)

// NotificationKinds lists every kind.
func NotificationKinds() []NotificationKind {
	return []NotificationKind{
		NotifyNodeDown, NotifyNodeRecovered, NotifyNodeFlapping, NotifyNodeStable,
		NotifyServiceFailed, NotifyServiceRecovered, NotifyRunFinished, NotifyOffline, NotifyOnline, NotifyNewLogin, NotifyPassword,
	}
}

// Notification is a message to an admin who does not watch the panel. It is published
// once, after the commit of its cause, and is not stored, so the receiver must take it
// quickly.
type Notification struct {
	Kind     NotificationKind
	At       time.Time
	NodeID   int64  // zero: not about a node
	RunID    int64  // zero: not about a run
	Name     string // displayed name of the node, or of the account
	Text     Text   // the whole sentence
	Flapping bool   // the node changes too often: NotifyNodeDown and NotifyNodeRecovered are not sent
}

package connexa

import "time"

// NoticeKind is the kind of a Notice.
type NoticeKind string

// The kinds of notices.
const (
	NoticeNodeDown         NoticeKind = "node_dropped"      // a validated node lost its status
	NoticeNodeRecovered    NoticeKind = "node_recovered"    // a node that was down is validated again
	NoticeNodeFlapping     NoticeKind = "node_flapping"     // its status changes too often: no notifications until it is stable
	NoticeNodeStable       NoticeKind = "node_settled"      // it was flapping and is stable now
	NoticeServiceFailed    NoticeKind = "gateway_failed"    // a wanted service gave up or retries rarely
	NoticeServiceRecovered NoticeKind = "gateway_recovered" // a service that had failed is online
	NoticeRunFinished      NoticeKind = "run_finished"      // not for cancelled runs and those of the monitor
	NoticeOffline          NoticeKind = "offline"           // this machine lost its network: no notifications about nodes meanwhile
	NoticeOnline           NoticeKind = "online"            // it has its network again
	NoticeNewLogin         NoticeKind = "new_login"         // an admin logged in from an address not seen before
	NoticePassword         NoticeKind = "password_changed"  // the password of an admin changed
)

// NoticeKinds lists every kind.
func NoticeKinds() []NoticeKind {
	return []NoticeKind{
		NoticeNodeDown, NoticeNodeRecovered, NoticeNodeFlapping, NoticeNodeStable,
		NoticeServiceFailed, NoticeServiceRecovered, NoticeRunFinished, NoticeOffline, NoticeOnline, NoticeNewLogin, NoticePassword,
	}
}

// Notice is a notification for an admin who does not watch the panel. It is published
// once, after the commit of its cause, and is not stored, so the receiver must take it
// quickly.
type Notice struct {
	Kind     NoticeKind
	At       time.Time
	NodeID   int64  // zero: not about a node
	RunID    int64  // zero: not about a run
	Name     string // displayed name of the node, or of the account
	Text     Text   // the whole sentence
	Flapping bool   // the node changes too often: NoticeNodeDown and NoticeNodeRecovered are not sent
}

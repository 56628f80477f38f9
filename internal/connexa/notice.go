package connexa

import "time"

// NoticeKind is what a Notice tells of.
type NoticeKind string

// The kinds of notices.
const (
	NoticeNodeDown         NoticeKind = "node_dropped"      // a validated node lost its status
	NoticeNodeRecovered    NoticeKind = "node_recovered"    // a node that had dropped out is validated again
	NoticeNodeFlapping     NoticeKind = "node_flapping"     // its status changes too often: nothing is said of it until it has settled
	NoticeNodeStable       NoticeKind = "node_settled"      // it was flapping, and has been quiet since
	NoticeServiceFailed    NoticeKind = "gateway_failed"    // a service that is wanted gave up, or tries rarely
	NoticeServiceRecovered NoticeKind = "gateway_recovered" // a service that had failed is online
	NoticeRunFinished      NoticeKind = "run_finished"      // cancelled runs and those of the monitor are not told
	NoticeOffline          NoticeKind = "offline"           // this machine lost its network: nothing is said of nodes meanwhile
	NoticeOnline           NoticeKind = "online"            // and has it again
	NoticeNewLogin         NoticeKind = "new_login"         // an admin logged in from an address not seen before
	NoticePassword         NoticeKind = "password_changed"  // an admin has another password
)

// NoticeKinds lists every kind.
func NoticeKinds() []NoticeKind {
	return []NoticeKind{
		NoticeNodeDown, NoticeNodeRecovered, NoticeNodeFlapping, NoticeNodeStable,
		NoticeServiceFailed, NoticeServiceRecovered, NoticeRunFinished, NoticeOffline, NoticeOnline, NoticeNewLogin, NoticePassword,
	}
}

// Notice is something that an admin who does not look at the panel may want to
// be told. It is given after the commit of what it tells of, once, and is not
// kept: who sends it elsewhere must take it quickly.
type Notice struct {
	Kind     NoticeKind
	At       time.Time
	NodeID   int64  // zero: it is about no node
	RunID    int64  // zero: it is about no run
	Name     string // of the node, for people; or of the user
	Text     Text   // the whole sentence
	Flapping bool   // the node changes too often to be told of: NoticeNodeDown and NoticeNodeRecovered are not to be sent
}

package connexa

// Topic is the kind of an event.
type Topic string

// The topics.
const (
	NodeChanged   Topic = "node"   // ID is the node
	FleetChanged  Topic = "fleet"  // nodes were added or deleted; ID is zero
	RunChanged    Topic = "run"    // ID is the run
	ImportChanged Topic = "import" // ID is the import
	PanelChanged  Topic = "panel"  // settings, banners; ID is zero

	ActChanged Topic = "act" // a bulk act; ID is the act

	ServiceChanged Topic = "service" // ID is the node of the service

	ProfilesChanged Topic = "profiles"       // certificates of clients; ID is zero
	ClientChanged   Topic = "access"         // edits of clients; ID is the client, or zero if some were added or deleted
	ClientTraffic   Topic = "access_figures" // the traffic or the state of a client; ID is the client
)

// Event says that something changed. It does not carry the new value: the receiver
// reads it, so a late or merged event is still true.
type Event struct {
	Topic Topic
	ID    int64
}

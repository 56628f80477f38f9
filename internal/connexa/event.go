package connexa

// Topic is what kind of thing an event tells of.
type Topic string

// The topics.
const (
	NodeChanged   Topic = "node"   // ID is the node
	FleetChanged  Topic = "fleet"  // nodes were added or deleted; ID is zero
	RunChanged    Topic = "run"    // ID is the run
	ImportChanged Topic = "import" // ID is the import
	PanelChanged  Topic = "panel"  // settings, banners; ID is zero

	DeletionChanged Topic = "deletion" // many nodes are being deleted; ID is zero

	ServiceChanged Topic = "service" // ID is the node whose gateway changed

	ProfilesChanged Topic = "profiles"       // certificates of access users; ID is zero
	ClientChanged   Topic = "access"         // what an admin wrote of access users; ID is the user, zero: some were added or deleted
	ClientTraffic   Topic = "access_figures" // what an access user moved, or its state; ID is the user
)

// Event says that one thing changed. It carries nothing of it: whoever cares
// reads it fresh, so an event that is late or joined with another is still true.
type Event struct {
	Topic Topic
	ID    int64
}

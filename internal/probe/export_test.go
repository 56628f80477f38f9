package probe

// For tests.
var (
	Named     = peerNote
	CodesText = codesText
)

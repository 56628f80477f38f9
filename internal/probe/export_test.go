package probe

// For tests.
var (
	Named     = named
	CodesText = codesText
)

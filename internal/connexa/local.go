package connexa

// LocalError is a failure of this machine and no fact about a node: it has no
// network, or has run out of ports or file descriptors.
type LocalError struct{ Err error }

func (e *LocalError) Error() string { return "this machine: " + e.Err.Error() }

func (e *LocalError) Unwrap() error { return e.Err }

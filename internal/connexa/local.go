package connexa

// LocalError is a failure of this machine, not a fact about a node: for example no
// network, no free port or no file descriptor.
type LocalError struct{ Err error }

func (e *LocalError) Error() string { return "this machine: " + e.Err.Error() }

func (e *LocalError) Unwrap() error { return e.Err }

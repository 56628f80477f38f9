package cli

// The exit codes of every command; 0 is well.
const (
	ExitFailed      = 1   // it did not work out; of a check: a step failed
	ExitUsage       = 2   // bad use
	ExitHere        = 3   // this machine cannot do it, whatever the server may be like
	ExitInterrupted = 130 // by a signal, as shells number it
)

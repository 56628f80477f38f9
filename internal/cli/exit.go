package cli

// The exit codes of all commands; 0 is success.
const (
	ExitFailed      = 1   // the command failed; for check: a step failed
	ExitUsage       = 2   // wrong usage
	ExitHere        = 3   // this host cannot do it, whatever the server
	ExitInterrupted = 130 // interrupted by a signal, as shells number it
)

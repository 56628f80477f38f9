package cli

import (
	"errors"
	"fmt"
	"io"
)

// The exit codes of all commands; 0 is success.
const (
	ExitFailed      = 1   // the command failed; for check: a step failed
	ExitUsage       = 2   // wrong usage
	ExitHere        = 3   // this host cannot do it, whatever the server
	ExitInterrupted = 130 // interrupted by a signal, as shells number it
)

// ExitError ends a command with another code than ExitFailed, or without a message.
type ExitError struct {
	Code int
	Err  error // Optional: without it, the command has printed what is wrong.
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// ExitCode prints the error of a command and returns the exit code.
func ExitCode(err error, errs io.Writer) int {
	if err == nil {
		return 0
	}
	exit := &ExitError{Code: ExitFailed, Err: err}
	errors.As(err, &exit)
	if exit.Err != nil {
		fmt.Fprintln(errs, "connexa:", Explain(exit.Err))
	}
	return exit.Code
}

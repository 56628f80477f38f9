package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/connexa-panel/connexa/internal/connexa"
)

var errNoTerminal = errors.New("there is no terminal to ask for the password at: put it into the variable CONNEXA_PASSWORD; " +
	"it is never taken from the command line, which other users of the machine can read")

// askSecret asks a question at a terminal and reads one line without showing it.
func askSecret(ctx context.Context, in *os.File, errs io.Writer, question string) (connexa.Secret, error) {
	fd := int(in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", errNoTerminal
	}
	fmt.Fprint(errs, question)
	defer fmt.Fprintln(errs)
	type answer struct {
		text []byte
		err  error
	}
	got := make(chan answer, 1)
	go func() { // a read from a terminal cannot be cancelled: it ends with the program
		text, err := term.ReadPassword(fd)
		got <- answer{text, err}
	}()
	select {
	case a := <-got:
		if a.err != nil {
			return "", fmt.Errorf("read the password: %w", a.err)
		}
		return connexa.Secret(a.text), nil
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(fd, before)) // turn the echo on again
	}
}

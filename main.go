// Connexa is an admin panel for people who run a fleet of PPTP servers.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/connexa-panel/connexa/internal/cli"
	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/openvpn"
)

func main() {
	if openvpn.IsHelper() { // a hidden command: openvpn passes no arguments
		os.Exit(openvpn.RunHelper(os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from then on a second signal kills
	os.Exit(runCommand(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// runCommand returns the exit code.
func runCommand(ctx context.Context, args []string, in *os.File, out io.Writer, errs *os.File) int {
	cmd, err := config.Parse(args, out)
	switch {
	case errors.Is(err, config.ErrHelp):
		return 0
	case err != nil:
		return cli.ExitCode(&cli.ExitError{Code: cli.ExitUsage, Err: err}, errs)
	}
	log := newLogger(errs)
	switch {
	case cmd.SetupOpenVPN != nil:
		err = cli.SetupOpenVPN(*cmd.SetupOpenVPN, out)
	case cmd.Passwd != nil:
		err = cli.Passwd(ctx, *cmd.Passwd, in, out, errs)
	case cmd.Version != nil:
		fmt.Fprintln(out, "connexa", cli.Version())
	case cmd.Demo != nil:
		err = cli.Demo(ctx, *cmd.Demo, cli.Version(), out, log)
	case cmd.Lab != nil:
		err = cli.Lab(ctx, *cmd.Lab, out)
	case cmd.SpeedServer != nil:
		err = cli.SpeedServer(ctx, *cmd.SpeedServer, out)
	case cmd.Check != nil:
		err = cli.Check(ctx, *cmd.Check, in, out, errs)
	case cmd.Proxy != nil:
		err = cli.Proxy(ctx, *cmd.Proxy, in, out, errs)
	default:
		err = cli.Serve(ctx, *cmd.Serve, cli.Version(), out, log)
	}
	return cli.ExitCode(err, errs)
}

// newLogger writes text to a terminal and JSON to anything else.
func newLogger(to *os.File) *slog.Logger {
	if term.IsTerminal(int(to.Fd())) {
		return slog.New(slog.NewTextHandler(to, nil))
	}
	return slog.New(slog.NewJSONHandler(to, nil))
}

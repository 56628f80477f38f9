package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/connexa"
)

// Passwd sets the password of an account and ends its sessions. The panel may be
// running.
func Passwd(ctx context.Context, cfg config.Passwd, in *os.File, out, errs io.Writer) error {
	d, err := db.OpenRescue(ctx, cfg.Data) // before the user types a password
	if err != nil {
		return err
	}
	defer d.Close()
	password, hash := cfg.Password, ""
	switch {
	case cfg.Generate:
		password, hash, err = app.GeneratePassword(ctx)
	default:
		if password == "" {
			if password, err = askNewPassword(ctx, cfg.Account, in, errs); err != nil {
				return err
			}
		}
		hash, err = app.HashNewPassword(ctx, cfg.Account, password)
	}
	if err != nil {
		return err
	}
	name, ended, err := d.SetPassword(ctx, cfg.Account, hash, cfg.Generate, connexa.AuditDetail(connexa.T("audit.password.command")))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s has a new password; %d sessions ended.\n", name, ended)
	if cfg.Generate {
		fmt.Fprintf(out, "  %s\nThe panel asks for another one at the first login.\n", password.Reveal())
	}
	return nil
}

// askNewPassword asks twice for a password at a terminal, or reads one line from any
// other input.
func askNewPassword(ctx context.Context, account string, in *os.File, errs io.Writer) (connexa.Secret, error) {
	if !term.IsTerminal(int(in.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			return "", errors.Join(errors.New("no password: type it at a terminal, send it on standard input or in CONNEXA_NEW_PASSWORD, or use --generate"), ignoreEOF(err))
		}
		return connexa.Secret(line), nil
	}
	first, err := askSecret(ctx, in, errs, fmt.Sprintf("New password of %s: ", account))
	if err != nil {
		return "", err
	}
	again, err := askSecret(ctx, in, errs, "Once more: ")
	if err != nil {
		return "", err
	}
	if !first.Equal(again) {
		return "", errors.New("the two are not the same; nothing was changed")
	}
	return first, nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

package config

import (
	"errors"
	"os"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Passwd configures the command that sets the password of an account.
type Passwd struct {
	Data     string `default:"./data" env:"CONNEXA_DATA" placeholder:"DIR" help:"Folder of the database."`
	Account  string `default:"admin" placeholder:"NAME" aliases:"user" help:"Name of the account. Default: admin."`
	Generate bool   `help:"Generate a password and print it. It must be changed at the first login."`

	Password connexa.Secret `kong:"-"` // CONNEXA_NEW_PASSWORD; if empty, prompted for or read from standard input
}

func (p *Passwd) validate() error {
	p.Password = connexa.Secret(os.Getenv("CONNEXA_NEW_PASSWORD"))
	if p.Generate && p.Password != "" {
		return errors.New("give --generate or CONNEXA_NEW_PASSWORD, not both")
	}
	return nil
}

package config

import (
	"errors"
	"os"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Target is a server and a login on it. The password comes from CONNEXA_PASSWORD or a
// prompt, never from a flag: other users of the machine can read the command line, and
// the shell stores it in its history.
type Target struct {
	Address    string `arg:"" name:"addr" help:"IPv4 address or host name of the server."`
	Login      string `required:"" env:"LOGIN" placeholder:"L" help:"Login on the server. The password is read from CONNEXA_PASSWORD or from a prompt."`
	Port       string `default:"1723" env:"PORT" placeholder:"P" help:"Port of the server. Default: 1723."`
	Encryption string `default:"preferred" enum:"preferred,required,off" env:"ENCRYPTION" help:"MPPE encryption of the session: preferred, required or off. Default: preferred."`
	AllowPAP   bool   `name:"allow-pap" env:"ALLOW_PAP" help:"Allow PAP, which sends the password unencrypted, if the server offers nothing else."`

	Password connexa.Secret `kong:"-"` // CONNEXA_PASSWORD; prompted for if empty
}

// Check configures one probe from the command line.
type Check struct {
	Target `embed:"" envprefix:"CONNEXA_CHECK_"`
	JSON   bool `name:"json" env:"CONNEXA_CHECK_JSON" help:"Print the result as one JSON object, without progress."`

	Speed       bool   `name:"speed" env:"CONNEXA_CHECK_SPEED" help:"Also measure the speed through the session, with up to 25 MB in each direction. Default endpoint: Cloudflare."`
	SpeedDown   string `name:"speed-down" env:"CONNEXA_CHECK_SPEED_DOWN" placeholder:"URL" help:"URL to download for the measurement."`
	SpeedUp     string `name:"speed-up" env:"CONNEXA_CHECK_SPEED_UP" placeholder:"URL" help:"URL to upload to for the measurement."`
	SpeedServer string `name:"speed-server" env:"CONNEXA_CHECK_SPEED_SERVER" placeholder:"URL" help:"URL of a connexa speed-server to measure against. Its token is read from CONNEXA_SPEED_TOKEN."`

	Endpoint connexa.Endpoint `kong:"-"` // parsed from the flags above
}

func (c *Check) validate() error {
	if err := c.Target.validate(); err != nil {
		return err
	}
	switch {
	case !c.Speed && (c.SpeedDown != "" || c.SpeedUp != "" || c.SpeedServer != ""):
		return errors.New("--speed-down, --speed-up and --speed-server need --speed")
	case c.SpeedServer != "" && (c.SpeedDown != "" || c.SpeedUp != ""):
		return errors.New("give --speed-server or --speed-down, not both")
	case c.SpeedUp != "" && c.SpeedDown == "":
		return errors.New("--speed-up needs --speed-down")
	case c.SpeedServer != "":
		c.Endpoint = connexa.Endpoint{Kind: connexa.EndpointOwn, URL: c.SpeedServer, Token: connexa.Secret(os.Getenv("CONNEXA_SPEED_TOKEN"))}
	case c.SpeedDown != "":
		c.Endpoint = connexa.Endpoint{Kind: connexa.EndpointURLs, URL: c.SpeedDown, UpURL: c.SpeedUp}
	default:
		c.Endpoint = connexa.Endpoint{Kind: connexa.EndpointCloudflare}
	}
	var err error
	c.Endpoint, err = connexa.ParseEndpoint(c.Endpoint)
	return err
}

// Job returns a login job for the target with password. The error is
// connexa.FieldErrors, keyed by the names of the flags.
func (t *Target) Job(password connexa.Secret) (connexa.Job, error) {
	n, password, err := connexa.ParseNode(connexa.NodeInput{
		Address: t.Address, Port: t.Port, Login: t.Login, Password: password.Reveal(),
		Encryption: t.Encryption, AllowPAP: t.AllowPAP,
	})
	if err != nil {
		return connexa.Job{}, err
	}
	return connexa.Job{
		Kind: connexa.Login, Address: n.Address, Port: n.Port, Login: n.Login, Password: password,
		Encryption: n.Encryption, AllowPAP: n.AllowPAP,
	}, nil
}

func (t *Target) validate() error {
	t.Password = connexa.Secret(os.Getenv("CONNEXA_PASSWORD"))
	password := t.Password
	if password == "" {
		password = "yet to be typed" // validates the other fields before the prompt
	}
	_, err := t.Job(password)
	return err
}

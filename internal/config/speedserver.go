package config

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// SpeedServer configures an endpoint for speed tests, on a machine with enough
// bandwidth.
type SpeedServer struct {
	Listen    string `default:":8081" env:"CONNEXA_SPEED_LISTEN" placeholder:"ADDR" help:"Listen address and port of the server. Default: :8081."`
	TLSCert   string `name:"tls-cert" env:"CONNEXA_SPEED_TLS_CERT" placeholder:"FILE" help:"Certificate chain (PEM) for HTTPS."`
	TLSKey    string `name:"tls-key" env:"CONNEXA_SPEED_TLS_KEY" placeholder:"FILE" help:"Private key (PEM) for HTTPS."`
	RequestMB int    `name:"request-mb" default:"1024" env:"CONNEXA_SPEED_REQUEST_MB" placeholder:"N" help:"Maximum size of one request, in MB."`
	AtOnce    int    `name:"at-once" default:"64" env:"CONNEXA_SPEED_AT_ONCE" placeholder:"N" help:"Maximum number of concurrent requests. One test uses up to five."`
	PerAddr   int    `name:"per-address" default:"24" env:"CONNEXA_SPEED_PER_ADDRESS" placeholder:"N" help:"Maximum number of concurrent requests from one address."`
	RateMbit  int    `name:"rate-mbit" default:"0" env:"CONNEXA_SPEED_RATE_MBIT" placeholder:"N" help:"Total rate limit in each direction, in Mbit/s. 0: no limit."`

	Token connexa.Secret `kong:"-"` // CONNEXA_SPEED_TOKEN; generated if empty
}

func (s *SpeedServer) validate() error {
	s.Token = connexa.Secret(os.Getenv("CONNEXA_SPEED_TOKEN"))
	if _, _, err := net.SplitHostPort(s.Listen); err != nil {
		return fmt.Errorf("--listen: %q is not ADDRESS:PORT, such as :8081", s.Listen)
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key go together")
	}
	for _, f := range []struct {
		flag        string
		n           int
		least, most int
	}{
		{"--request-mb", s.RequestMB, 1, 1 << 20}, {"--at-once", s.AtOnce, 1, 10_000},
		{"--per-address", s.PerAddr, 1, 10_000}, {"--rate-mbit", s.RateMbit, 0, 1_000_000},
	} {
		if f.n < f.least || f.n > f.most {
			return fmt.Errorf("%s: %d is not between %d and %d", f.flag, f.n, f.least, f.most)
		}
	}
	return nil
}

// Package config reads flags and environment into one validated struct per command.
// Every flag has a CONNEXA_… variable. Secrets have only the variable, except the
// metrics token, which gives access to nothing else.
package config

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Serve configures the panel.
type Serve struct {
	Listen       string   `default:"127.0.0.1:8080" env:"CONNEXA_LISTEN" placeholder:"ADDR" help:"Listen address and port of the panel."`
	Data         string   `default:"./data" env:"CONNEXA_DATA" placeholder:"DIR" help:"Folder of the database and its key. Only one process can use it."`
	TLSCert      string   `name:"tls-cert" env:"CONNEXA_TLS_CERT" placeholder:"FILE" help:"Certificate chain (PEM) for HTTPS."`
	TLSKey       string   `name:"tls-key" env:"CONNEXA_TLS_KEY" placeholder:"FILE" help:"Private key (PEM) for HTTPS."`
	ACMEDomain   string   `name:"acme-domain" env:"CONNEXA_ACME_DOMAIN" placeholder:"NAME" help:"Host name for a certificate from Let's Encrypt. --listen must be reachable as port 443 of this name."`
	PublicURL    string   `name:"public-url" env:"CONNEXA_PUBLIC_URL" placeholder:"URL" help:"URL of the panel for browsers, such as https://panel.example.net behind a reverse proxy."`
	AllowedHost  []string `name:"allowed-host" env:"CONNEXA_ALLOWED_HOST" sep:"," placeholder:"NAME" help:"Additional host name or address that the panel accepts, besides localhost, IP addresses of this machine and the host of --public-url. Can be repeated."`
	InsecureHTTP bool     `name:"insecure-http" env:"CONNEXA_INSECURE_HTTP" help:"Allow unencrypted HTTP on an address that other machines can reach. The network can then read passwords and sessions."`
	AllowLocal   bool     `name:"allow-local-destinations" env:"CONNEXA_ALLOW_LOCAL_DESTINATIONS" help:"Allow notifications, tests of speed endpoints and reference targets to connect to loopback (127.0.0.0/8, ::1) and link-local addresses (169.254.0.0/16, fe80::/10), where the panel, other services and cloud metadata are. Private networks are always allowed."`
	TrustedProxy []string `name:"trusted-proxy" env:"CONNEXA_TRUSTED_PROXY" sep:"," placeholder:"NET" help:"Addresses or networks of reverse proxies whose X-Forwarded-For is trusted."`

	MetricsListen string         `name:"metrics-listen" env:"CONNEXA_METRICS_LISTEN" placeholder:"ADDR" help:"Listen address and port of /metrics for Prometheus, without authentication."`
	MetricsToken  connexa.Secret `name:"metrics-token" env:"CONNEXA_METRICS_TOKEN" placeholder:"TOKEN" help:"Bearer token for /metrics on the panel's own port. Use the variable, because other users of this machine can read the command line."`

	AdminPassword connexa.Secret `kong:"-"` // CONNEXA_ADMIN_PASSWORD
	Key           connexa.Secret `kong:"-"` // CONNEXA_KEY
	Public        *url.URL       `kong:"-"` // parsed PublicURL, or nil
	Proxies       []netip.Prefix `kong:"-"` // parsed TrustedProxy
	Demo          bool           `kong:"-"` // a temporary panel: no forced password change and no warning about root
	Hosts         []string       `kong:"-"` // AllowedHost and the panel's own names, in lower case and without a port
}

// TLS reports whether the panel itself serves HTTPS.
func (s *Serve) TLS() bool { return s.TLSCert != "" || s.ACMEDomain != "" }

// InClear reports whether browsers on other machines reach the panel over HTTP without
// TLS.
func (s *Serve) InClear() bool {
	return !s.TLS() && !(s.Public != nil && s.Public.Scheme == "https") && !OnLoopback(s.Listen)
}

// OnLoopback reports whether a listen address is reachable only from this machine.
func OnLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// inClear returns the error for HTTP without TLS. It says what to do.
func inClear(listen string) error {
	return fmt.Errorf("--listen %s: other machines reach this address, and without TLS whoever is on the way reads the password, the session and the "+
		"passwords of your servers. Give --tls-cert and --tls-key, or --acme-domain, or --public-url https://… when a proxy speaks TLS; "+
		"or listen on 127.0.0.1 and come by ssh -L. --insecure-http (CONNEXA_INSECURE_HTTP=1) does it all the same", listen)
}

// Demo configures a panel with a fresh data folder and a simulated fleet.
type Demo struct {
	Listen string `default:"127.0.0.1:8080" env:"CONNEXA_LISTEN" placeholder:"ADDR" help:"Listen address and port of the panel."`
	Nodes  int    `default:"200" env:"CONNEXA_DEMO_NODES" placeholder:"N" help:"Number of simulated servers, 1 to 10000."`
	Seed   uint64 `default:"1" env:"CONNEXA_DEMO_SEED" placeholder:"S" help:"Random seed. The same seed generates the same fleet."`

	InsecureHTTP  bool           `name:"insecure-http" env:"CONNEXA_INSECURE_HTTP" help:"Allow unencrypted HTTP on an address that other machines can reach."`
	AdminPassword connexa.Secret `kong:"-"` // CONNEXA_ADMIN_PASSWORD
}

// Lab configures the simulated fleet without a panel.
type Lab struct {
	Nodes  int    `required:"" env:"CONNEXA_LAB_NODES" placeholder:"N" help:"Number of servers, 1 to 10000."`
	CSV    string `name:"csv" required:"" env:"CONNEXA_LAB_CSV" placeholder:"FILE" help:"CSV file to write the fleet to, for import."`
	Faults string `env:"CONNEXA_LAB_FAULTS" placeholder:"SPEC" help:"Weights of the behaviours, such as good=80,silent=10,refuse=10."`
	Seed   uint64 `default:"1" env:"CONNEXA_LAB_SEED" placeholder:"S" help:"Random seed. The same seed generates the same fleet."`
}

// Version is the command that prints the version.
type Version struct{}

// Command is one parsed command line; exactly one of its fields is set.
type Command struct {
	Serve   *Serve
	Demo    *Demo
	Lab     *Lab
	Check   *Check
	Proxy   *Proxy
	Version *Version

	SpeedServer *SpeedServer

	SetupOpenVPN *SetupOpenVPN
	Passwd       *Passwd
}

// ErrHelp is returned after help was requested and printed.
var ErrHelp = errors.New("help was printed")

// Parse parses a command line without the program's name. Help goes to out. Any other
// error than ErrHelp is a usage error and says what to do.
func Parse(args []string, out io.Writer) (Command, error) {
	var cli struct {
		Serve        Serve        `cmd:"" default:"withargs" help:"Run the panel. This is the default command."`
		Demo         Demo         `cmd:"" help:"Run the panel with a simulated fleet, for a trial."`
		Lab          Lab          `cmd:"" help:"Run only the simulated fleet: PPTP servers on 127.x.y.z:1723."`
		Check        Check        `cmd:"" help:"Log in to one server once and print the result of each step."`
		Proxy        Proxy        `cmd:"" help:"Serve a SOCKS5 and HTTP proxy through one server, until interrupted."`
		SetupOpenVPN SetupOpenVPN `cmd:"" name:"setup-openvpn" help:"Create the devices for OpenVPN exits, as root, for a panel without root."`
		Passwd       Passwd       `cmd:"" help:"Set a new password for an account of the panel, which can be running."`
		Version      Version      `cmd:"" help:"Print the version."`

		SpeedServer SpeedServer `cmd:"" name:"speed-server" help:"Run a server for speed tests."`
	}
	helped := false
	p, err := kong.New(&cli,
		kong.Name("connexa"),
		kong.Description("An admin panel for fleets of PPTP servers."),
		kong.Writers(out, out),
		kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		return Command{}, fmt.Errorf("describe the commands: %w", err)
	}
	k, err := p.Parse(args)
	switch {
	case helped:
		return Command{}, ErrHelp
	case err != nil && strings.Contains(err.Error(), "unknown flag --pass"):
		return Command{}, fmt.Errorf("%w: the password comes from CONNEXA_PASSWORD, or you are asked for it", err)
	case err != nil && strings.Contains(err.Error(), "unknown flag --token"):
		return Command{}, fmt.Errorf("%w: the token comes from CONNEXA_SPEED_TOKEN", err)
	case err != nil:
		return Command{}, usageError(err)
	}
	var c Command
	switch name, _, _ := strings.Cut(k.Command(), " "); name {
	case "demo":
		c.Demo, err = &cli.Demo, cli.Demo.validate()
	case "lab":
		c.Lab, err = &cli.Lab, checkCount("--nodes", cli.Lab.Nodes)
	case "check":
		c.Check, err = &cli.Check, cli.Check.validate()
	case "proxy":
		c.Proxy, err = &cli.Proxy, cli.Proxy.validate()
	case "speed-server":
		c.SpeedServer, err = &cli.SpeedServer, cli.SpeedServer.validate()
	case "setup-openvpn":
		c.SetupOpenVPN, err = &cli.SetupOpenVPN, cli.SetupOpenVPN.validate()
	case "passwd":
		c.Passwd, err = &cli.Passwd, cli.Passwd.validate()
	case "version":
		c.Version = &cli.Version
	default:
		c.Serve, err = &cli.Serve, cli.Serve.validate()
	}
	return c, err
}

// leastToken is the minimum length of a token, against guessing.
const leastToken = 16

func checkCount(flag string, n int) error {
	if n < 1 || n > 10000 {
		return fmt.Errorf("%s: %d is not between 1 and 10000", flag, n)
	}
	return nil
}

// adminPassword returns the password for the first account of a new panel. If it is
// empty, the panel generates one.
func adminPassword() connexa.Secret { return connexa.Secret(os.Getenv("CONNEXA_ADMIN_PASSWORD")) }

func (d *Demo) validate() error {
	d.AdminPassword = adminPassword()
	if !OnLoopback(d.Listen) && !d.InsecureHTTP {
		return inClear(d.Listen)
	}
	return checkCount("--nodes", d.Nodes)
}

func (s *Serve) validate() error {
	s.AdminPassword = adminPassword()
	s.Key = connexa.Secret(os.Getenv("CONNEXA_KEY"))
	if _, _, err := net.SplitHostPort(s.Listen); err != nil {
		return fmt.Errorf("--listen: %q is not ADDRESS:PORT, such as 127.0.0.1:8080", s.Listen)
	}
	if _, _, err := net.SplitHostPort(s.MetricsListen); err != nil && s.MetricsListen != "" {
		return fmt.Errorf("--metrics-listen: %q is not ADDRESS:PORT, such as 127.0.0.1:9090", s.MetricsListen)
	}
	if n := len(s.MetricsToken); n > 0 && n < leastToken {
		return fmt.Errorf("--metrics-token: a token has at least %d characters; openssl rand -hex 16 makes one", leastToken)
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key go together")
	}
	if s.TLSCert != "" && s.ACMEDomain != "" {
		return errors.New("give --tls-cert or --acme-domain, not both")
	}
	if s.PublicURL != "" {
		u, err := url.Parse(s.PublicURL)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || (u.Path != "" && u.Path != "/") {
			return fmt.Errorf("--public-url: %q is not like https://panel.example.net", s.PublicURL)
		}
		if u.Host, err = asBrowsersWrite(u); err != nil {
			return fmt.Errorf("--public-url: %w", err)
		}
		s.Public = u
	}
	if s.InClear() && !s.InsecureHTTP {
		return inClear(s.Listen)
	}
	if err := s.checkHosts(); err != nil {
		return err
	}
	for _, t := range s.TrustedProxy {
		prefix, err := parseNetwork(strings.TrimSpace(t))
		if err != nil {
			return fmt.Errorf("--trusted-proxy: %q is neither an address nor a network such as 10.0.0.0/8", t)
		}
		s.Proxies = append(s.Proxies, prefix)
	}
	return nil
}

// checkHosts collects the host names under which the panel answers.
func (s *Serve) checkHosts() error {
	if s.Public != nil {
		s.Hosts = append(s.Hosts, s.Public.Hostname())
	}
	if s.ACMEDomain != "" {
		name, err := hostName(s.ACMEDomain)
		if err != nil {
			return fmt.Errorf("--acme-domain: %w", err)
		}
		s.ACMEDomain = name
		s.Hosts = append(s.Hosts, name)
	}
	for _, given := range s.AllowedHost {
		u, err := url.Parse("//" + strings.TrimSpace(given))
		if a, notIP := netip.ParseAddr(strings.TrimSpace(given)); notIP == nil && a.Is6() {
			u, err = url.Parse("//[" + a.String() + "]")
		}
		if err != nil || u.Hostname() == "" || u.Path != "" || u.User != nil || strings.ContainsAny(u.Host, "*, ") {
			return fmt.Errorf("--allowed-host: %q is neither a name such as panel.example.net nor an address", given)
		}
		name, err := hostName(u.Hostname())
		if err != nil {
			return fmt.Errorf("--allowed-host: %w", err)
		}
		s.Hosts = append(s.Hosts, name)
	}
	return nil
}

// hostName returns a name or an address in the form of a browser's Host header.
func hostName(given string) (string, error) {
	name, ok := connexa.ASCIIHost(strings.TrimSuffix(given, "."))
	if !ok {
		return "", fmt.Errorf("%q is no name of a host", given)
	}
	return name, nil
}

// asBrowsersWrite returns the host and port of u in the form of a browser's Host and
// Origin headers: without the default port of the scheme.
func asBrowsersWrite(u *url.URL) (string, error) {
	name, err := hostName(u.Hostname())
	if err != nil {
		return "", err
	}
	if port := u.Port(); port != "" && port != map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		return net.JoinHostPort(name, port), nil
	}
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	return name, nil
}

func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

// usageError says which help has the flags and arguments of the command.
func usageError(err error) error {
	text := strings.Replace(err.Error(), `expected string value but got "EOL" (<EOL>)`, "needs a value", 1)
	if rest, ok := strings.CutPrefix(text, `expected "`); ok {
		text = "missing argument " + strings.Trim(rest, `"`)
	}
	help := "connexa --help lists the commands"
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context.Selected() != nil && !strings.HasPrefix(text, "unexpected argument") {
		help = fmt.Sprintf("connexa %s --help lists its arguments and flags", parse.Context.Selected().Name)
	}
	return fmt.Errorf("%s (%s)", text, help)
}

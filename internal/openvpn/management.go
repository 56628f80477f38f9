package openvpn

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Password is the password of a client. Only Reveal shows it.
type Password string

// String hides the password.
func (Password) String() string { return "(hidden)" }

// GoString hides the password.
func (Password) GoString() string { return "(hidden)" }

// MarshalText hides the password, for example in JSON logs.
func (Password) MarshalText() ([]byte, error) { return []byte("(hidden)"), nil }

// Reveal returns the password.
func (p Password) Reveal() string { return string(p) }

// Login is a login attempt with a valid certificate.
type Login struct {
	Name     string // common name of the certificate
	Serial   string // of the certificate, in the form of pki.Serial
	User     string // empty if it sent none
	Password Password
	From     netip.AddrPort
	Version  string // as reported by the client
	Platform string
	Reauth   bool // the client is connected and renegotiates its keys
}

// Denied refuses a login.
type Denied struct {
	Message string // shown by the client
}

func (d *Denied) Error() string { return "refused: " + d.Message }

// maxEnvLines and maxLineBytes limit a notification of openvpn.
const (
	maxEnvLines  = 400
	maxLineBytes = 64 << 10
	// writeTimeout is how long openvpn may take to read a command.
	writeTimeout = 5 * time.Second
)

// management is the connection to openvpn's management interface.
type management struct {
	conn net.Conn
	mu   sync.Mutex // guards writes
}

// notification is a notification about a client.
type notification struct {
	kind     string // CONNECT, REAUTH, ESTABLISHED, DISCONNECT, ADDRESS
	cid, kid string
	env      map[string]string
}

// run calls each for every notification in order, until the connection ends or ctx is
// done, and closes the connection. It calls ready once openvpn listens, and fatal for
// fatal errors of openvpn.
func (m *management) run(ctx context.Context, each func(notification), ready func(), fatal func(text string)) error {
	stop := context.AfterFunc(ctx, func() { _ = m.conn.Close() })
	defer func() {
		stop()
		_ = m.conn.Close()
	}()
	if err := m.sendLines("state on all"); err != nil {
		return fmt.Errorf("the management connection: %w", err)
	}
	ready = sync.OnceFunc(ready)
	sc := bufio.NewScanner(m.conn)
	sc.Buffer(make([]byte, 4096), maxLineBytes)
	var open *notification
	for sc.Scan() {
		line := sc.Text()
		if text, ok := strings.CutPrefix(line, ">FATAL:"); ok {
			fatal(text)
			continue
		}
		rest, ok := strings.CutPrefix(line, ">CLIENT:")
		if !ok {
			// A current state starts with ">STATE:", a past one with its time.
			if f := strings.Split(line, ","); len(f) > 2 && f[1] == "CONNECTED" {
				ready()
			}
			continue
		}
		kind, rest, _ := strings.Cut(rest, ",")
		if kind != "ENV" {
			n := notification{kind: kind, env: map[string]string{}}
			n.cid, rest, _ = strings.Cut(rest, ",")
			n.kid, _, _ = strings.Cut(rest, ",")
			if kind == "ADDRESS" { // it has no environment
				continue
			}
			open = &n
			continue
		}
		switch {
		case open == nil:
		case rest == "END":
			each(*open)
			open = nil
		case len(open.env) < maxEnvLines:
			key, value, _ := strings.Cut(rest, "=")
			open.env[key] = value
		}
	}
	err := sc.Err()
	if err == nil || errors.Is(err, net.ErrClosed) {
		err = io.EOF
	}
	return fmt.Errorf("the management connection: %w", err)
}

// sendLines sends lines in one write, so that the lines of two commands do not mix.
func (m *management) sendLines(lines ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := io.WriteString(m.conn, strings.Join(lines, "\n")+"\n")
	return err
}

// admitClient admits a client and pushes options to it.
func (m *management) admitClient(n notification, options ...string) error {
	lines := append([]string{"client-auth " + n.cid + " " + n.kid}, options...)
	return m.sendLines(append(lines, "END")...)
}

// acceptReauth accepts the renegotiation of a client.
func (m *management) acceptReauth(n notification) error {
	return m.sendLines("client-auth-nt " + n.cid + " " + n.kid)
}

func (m *management) denyClient(n notification, words string) error {
	return m.sendLines(fmt.Sprintf("client-deny %s %s %s %s", n.cid, n.kid, quoteWord(words), quoteWord(words)))
}

// killClient makes a client reconnect and authenticate again.
func (m *management) killClient(cid string) error { return m.sendLines("client-kill " + cid) }

// quoteWord quotes s as one word for openvpn's parser. It drops characters that the parser
// treats specially.
func quoteWord(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, s)
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "")
	}
	return `"` + s + `"`
}

// parseLogin reads the login of a notification.
func (n notification) parseLogin() Login {
	l := Login{
		Name: n.env["common_name"], Serial: serialOf(n.env["tls_serial_hex_0"]),
		User: n.env["username"], Password: Password(n.env["password"]),
		Version: truncate(n.env["IV_VER"], 64), Platform: truncate(n.env["IV_PLAT"], 32), Reauth: n.kind == "REAUTH",
	}
	if gui := n.env["IV_GUI_VER"]; gui != "" {
		l.Version = truncate(gui, 64)
	}
	for _, p := range []string{"untrusted_", "trusted_"} {
		ip := n.env[p+"ip"]
		if ip == "" {
			ip = n.env[p+"ip6"]
		}
		a, err := netip.ParseAddr(ip)
		port, _ := strconv.ParseUint(n.env[p+"port"], 10, 16)
		if err == nil {
			l.From = netip.AddrPortFrom(a.Unmap(), uint16(port))
			break
		}
	}
	return l
}

// serialOf converts aa:0b:… to the form of pki.Serial.
func serialOf(s string) string {
	return strings.TrimLeft(strings.ToLower(strings.ReplaceAll(s, ":", "")), "0")
}

func truncate(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(s, "")
}

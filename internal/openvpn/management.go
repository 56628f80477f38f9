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

// Password is a client's. It shows itself to nobody but Reveal.
type Password string

// String hides the password.
func (Password) String() string { return "(hidden)" }

// GoString hides the password.
func (Password) GoString() string { return "(hidden)" }

// MarshalText hides the password, in logs in JSON for one.
func (Password) MarshalText() ([]byte, error) { return []byte("(hidden)"), nil }

// Reveal is the password itself.
func (p Password) Reveal() string { return string(p) }

// Login is a client that wants in. Its certificate has been found good.
type Login struct {
	Name     string // in its certificate
	Serial   string // of its certificate, as pki.Serial has it
	User     string // empty: it sent none
	Password Password
	From     netip.AddrPort
	Version  string // of the client, in its own words
	Platform string
	Reauth   bool // it is connected already, and makes new keys
}

// Denied refuses a login.
type Denied struct {
	Message string // the client shows them
}

func (d *Denied) Error() string { return "refused: " + d.Message }

// maxEnvLines and maxLineBytes bound what openvpn may say in one notification.
const (
	maxEnvLines  = 400
	maxLineBytes = 64 << 10
	// writeTimeout is how long openvpn may take to hear us.
	writeTimeout = 5 * time.Second
)

// management is the connection on which openvpn asks who may come in.
type management struct {
	conn net.Conn
	mu   sync.Mutex // of writes
}

// notification is one notification about a client.
type notification struct {
	kind     string // CONNECT, REAUTH, ESTABLISHED, DISCONNECT, ADDRESS
	cid, kid string
	env      map[string]string
}

// run hands every notification to each, one after another, until the connection
// ends or ctx is done, and closes it. ready is called once openvpn listens.
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
			// A state that is told now begins with ">STATE:", one of before with the time.
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

// sendLines sends lines at once, so that those of two replies do not mix.
func (m *management) sendLines(lines ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := io.WriteString(m.conn, strings.Join(lines, "\n")+"\n")
	return err
}

// admitClient lets a client in, with options to be pushed to it alone.
func (m *management) admitClient(n notification, options ...string) error {
	lines := append([]string{"client-auth " + n.cid + " " + n.kid}, options...)
	return m.sendLines(append(lines, "END")...)
}

// acceptReauth lets a client stay.
func (m *management) acceptReauth(n notification) error {
	return m.sendLines("client-auth-nt " + n.cid + " " + n.kid)
}

func (m *management) denyClient(n notification, words string) error {
	return m.sendLines(fmt.Sprintf("client-deny %s %s %s %s", n.cid, n.kid, quoteWord(words), quoteWord(words)))
}

// killClient makes a client connect again, and be asked who it is.
func (m *management) killClient(cid string) error { return m.sendLines("client-kill " + cid) }

// quoteWord makes one word for the lexer of openvpn. What it could trip over is left
// out: words for people lose nothing by that.
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

// parseLogin reads a client out of a notification.
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

// serialOf turns aa:0b:… into the form of pki.Serial.
func serialOf(s string) string {
	return strings.TrimLeft(strings.ToLower(strings.ReplaceAll(s, ":", "")), "0")
}

func truncate(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(s, "")
}

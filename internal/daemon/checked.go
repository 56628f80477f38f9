package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// checked is what a check found out. Its JSON is relied on by scripts.
type checked struct {
	Address string          `json:"address"`
	Reached connexa.Step    `json:"reached"`
	Cause   connexa.Cause   `json:"cause"` // empty: all is well
	Message string          `json:"message"`
	Steps   []checkedStep   `json:"steps"`
	Session *checkedSession `json:"session,omitempty"`
	Speed   *checkedSpeed   `json:"speed,omitempty"`

	code   int
	policy connexa.EncryptionPolicy
	fix    string // a line that gives this machine what it lacks
	said   []line // what a person reads below the message
}

type checkedStep struct {
	Step connexa.Step `json:"step"`
	OK   bool         `json:"ok"`
	MS   float64      `json:"ms"` // since the check began
}

type checkedSession struct {
	LocalIP    string `json:"local_ip"`
	Encryption string `json:"encryption"`
	Auth       string `json:"auth"`
	MTU        int    `json:"mtu"`
}

type line struct{ label, text string }

// climbed notes the steps.
func (c *checked) climbed(rungs []pptp.Rung) {
	c.Reached, c.Steps = connexa.NoStep, []checkedStep{}
	for _, r := range rungs {
		c.Steps = append(c.Steps, checkedStep{connexa.Step(r.Step), r.OK, milliseconds(r.At)})
		if r.OK {
			c.Reached = connexa.Step(r.Step)
		}
	}
}

// here notes that this machine cannot do it.
func (c *checked) here(cause connexa.Cause, message, fix, seen string) {
	c.code, c.Cause, c.Message = ExitHere, cause, message
	c.fix = fix
	c.say("Evidence", seen)
}

// told notes what is true of the server; unmeasured is what kept a measurement from
// being whole.
func (c *checked) told(p connexa.Probed, unmeasured error, words *i18n.Printer) {
	c.Reached, c.Cause = p.Outcome.Reached, p.Outcome.Cause
	if s := p.Detail.Session; s.LocalIP != "" {
		c.Session = &checkedSession{LocalIP: s.LocalIP, Encryption: s.Encryption, Auth: s.Auth, MTU: s.MTU}
	}
	if c.Cause != "" {
		c.code = ExitFailed
		c.Message = sentence(causeWords(words, c.Cause, ""))
		c.say("It means", causeWords(words, c.Cause, ".more"))
		c.say("Try", causeWords(words, c.Cause, ".try"))
		c.say("Flag", c.flag())
		if p.Detail.PeerText != "" {
			c.say("It says", "“"+p.Detail.PeerText+"”")
		}
		c.say("Evidence", p.Detail.Evidence)
		return
	}
	s := p.Detail.Session
	c.Message = "All is well: a session came up, and was closed again."
	c.say("Address", s.LocalIP+", ours inside the tunnel")
	c.say("Login", s.Auth)
	c.say("Encryption", s.Encryption)
	if s.Bits == 0 {
		c.said[len(c.said)-1].text += ": whoever sits on the way can read what goes through the tunnel"
	}
	c.say("MTU", fmt.Sprintf("%d bytes", s.MTU))
	c.measured(p.Detail.Speed, unmeasured)
}

// flag is the flag of this command that lets the session come up, at a price.
func (c *checked) flag() string {
	switch c.Cause {
	case "auth.pap_not_allowed":
		return "--allow-pap sends the password so."
	case "encryption.refused", "encryption.no_keys":
		return "--encryption preferred does without encryption where the server has none to offer."
	case "encryption.required_by_server":
		if c.policy == connexa.EncryptionOff {
			return "--encryption preferred takes what the server demands."
		}
	}
	return ""
}

func (c *checked) say(label, text string) {
	if text != "" {
		c.said = append(c.said, line{label, text})
	}
}

// encode writes the JSON object.
func (c *checked) encode(w io.Writer) error {
	if c.fix != "" {
		c.Message += " To mend it: " + c.fix
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(c)
}

// width is how long lines of text are, in runes.
const width = 96

// write tells a person what was found, below the ladder.
func (c *checked) write(w io.Writer) error {
	var b strings.Builder
	if len(c.Steps) > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(fold(c.Message, "") + "\n")
	if c.fix != "" {
		b.WriteString("  To mend it  " + c.fix + "\n") // whole, to be copied
	}
	for _, l := range c.said {
		fmt.Fprintf(&b, "  %-10s  %s\n", l.label, fold(l.text, strings.Repeat(" ", 14)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// fold breaks s between words; indent begins every line but the first, and is
// thought to be before that one.
func fold(s, indent string) string {
	var b strings.Builder
	at := len(indent)
	for i, word := range strings.Fields(s) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+n > width:
			b.WriteString("\n" + indent)
			at = len(indent)
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

// sentence begins s with a capital and ends it with a full stop.
func sentence(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return strings.TrimSuffix(string(unicode.ToUpper(r))+s[size:], ".") + "."
}

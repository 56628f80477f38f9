package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// checkResult is the result of a check. Scripts rely on its JSON. The text form is
// written from the same fields.
type checkResult struct {
	Address  string         `json:"address"`
	Reached  connexa.Step   `json:"reached"`
	Cause    connexa.Cause  `json:"cause"` // empty if all is well
	Message  string         `json:"message"`
	Means    string         `json:"means,omitempty"`
	Try      string         `json:"try,omitempty"`
	Flag     string         `json:"flag,omitempty"`     // a flag of this command that lets the session come up
	Fix      string         `json:"fix,omitempty"`      // a command that gives this host what it lacks
	Seen     string         `json:"seen,omitempty"`     // what this probe saw, as a sentence
	Says     string         `json:"says,omitempty"`     // the server's own words
	Evidence string         `json:"evidence,omitempty"` // numbers, names and codes
	Steps    []stepResult   `json:"steps"`
	Session  *sessionResult `json:"session,omitempty"`
	Speed    *speedResult   `json:"speed,omitempty"`

	code   int
	policy connexa.EncryptionPolicy
}

type stepResult struct {
	Step connexa.Step `json:"step"`
	OK   bool         `json:"ok"`
	MS   float64      `json:"ms"`   // since the check began
	Note string       `json:"note"` // what was seen, or why it failed
}

type sessionResult struct {
	LocalIP    string `json:"local_ip"`
	Encryption string `json:"encryption"`
	Auth       string `json:"auth"`
	MTU        int    `json:"mtu"`
}

// setSteps sets the steps, and the last reached one if the result has none.
func (c *checkResult) setSteps(steps []stepResult) {
	c.Steps = slices.Concat([]stepResult{}, steps)
	if c.Reached != "" {
		return
	}
	c.Reached = connexa.NoStep
	for _, s := range steps {
		if s.OK {
			c.Reached = s.Step
		}
	}
}

// setLocalFailure sets a failure of this host.
func (c *checkResult) setLocalFailure(cause connexa.Cause, message, fix, seen string) {
	c.code, c.Cause, c.Message = ExitHere, cause, message
	c.Fix, c.Evidence = fix, seen
}

// setServerResult sets what was found out about the server. unmeasured is why the
// measurement is incomplete.
func (c *checkResult) setServerResult(p connexa.Probed, unmeasured error, words *i18n.Printer) {
	c.Reached, c.Cause = p.Outcome.Reached, p.Outcome.Cause
	s := p.Detail.Session
	if s.LocalIP != "" {
		c.Session = &sessionResult{LocalIP: s.LocalIP, Encryption: s.Encryption, Auth: s.Auth, MTU: s.MTU}
	}
	c.Says, c.Evidence = p.Detail.PeerText, p.Detail.Evidence
	if !p.Detail.Text.IsZero() {
		c.Seen = words.Text(p.Detail.Text)
	}
	if c.Cause != "" {
		c.code = ExitFailed
		c.Message = asSentence(causeText(words, c.Cause, ""))
		c.Means, c.Try = causeText(words, c.Cause, ".more"), causeText(words, c.Cause, ".try")
		c.Flag = c.adviseFlag()
		return
	}
	c.Message = "OK: a session was established and closed again."
	if s.Bits == 0 {
		c.Means = "The session is not encrypted: anyone on the way can read what goes through the tunnel."
	}
	c.setSpeed(p.Detail.Speed, unmeasured)
}

// adviseFlag returns the flag of this command that lets the session come up, with its
// drawback, or the empty string.
func (c *checkResult) adviseFlag() string {
	required := c.policy == connexa.EncryptionRequired
	switch c.Cause {
	case "auth.pap_not_allowed":
		if required {
			return "--allow-pap --encryption preferred sends the password in clear text, and the session is not encrypted."
		}
		return "--allow-pap sends the password in clear text."
	case "encryption.refused", "encryption.no_keys", "encryption.timeout", "encryption.no_agreement":
		if required {
			return "--encryption preferred connects without encryption if the server offers none."
		}
	case "encryption.required_by_server":
		if c.policy == connexa.EncryptionOff {
			return "--encryption preferred uses the encryption that the server requires."
		}
	}
	return ""
}

// writeJSON writes the JSON object.
func (c *checkResult) writeJSON(w io.Writer) error {
	o := *c
	if o.Fix != "" {
		o.Message += " To fix it: " + o.Fix
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(o)
}

type detailLine struct{ label, text string }

// detailLines returns the labelled lines below the message, which are the fields of the
// JSON object.
func (c *checkResult) detailLines() []detailLine {
	quoted := c.Says
	if quoted != "" {
		quoted = "“" + quoted + "”"
	}
	list := []detailLine{{"It means", c.Means}, {"Seen", c.Seen}, {"It says", quoted}, {"Try", c.Try}, {"Flag", c.Flag}, {"Details", c.Evidence}}
	if s := c.Session; s != nil {
		list = append(list, detailLine{"Address", s.LocalIP + ", ours inside the tunnel"}, detailLine{"Login", s.Auth}, detailLine{"Encryption", s.Encryption}, detailLine{"MTU", fmt.Sprintf("%d bytes", s.MTU)})
	}
	if c.Speed != nil {
		list = append(list, c.Speed.detailLines()...)
	}
	return slices.DeleteFunc(list, func(l detailLine) bool { return l.text == "" })
}

// textWidth is the width of a text line in runes.
const textWidth = 96

// writeText writes the text form, below the trace.
func (c *checkResult) writeText(w io.Writer) error {
	var b strings.Builder
	if len(c.Steps) > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(wrapText(c.Message, "") + "\n")
	if c.Fix != "" {
		b.WriteString("  To fix it  " + c.Fix + "\n") // not wrapped, so that it can be copied
	}
	for _, l := range c.detailLines() {
		fmt.Fprintf(&b, "  %-10s  %s\n", l.label, wrapText(l.text, strings.Repeat(" ", 14)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// wrapText breaks s between words. indent begins each line except the first, which is
// assumed to be indented already.
func wrapText(s, indent string) string {
	var b strings.Builder
	at := len(indent)
	for i, word := range strings.Fields(s) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+n > textWidth:
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

// asSentence returns s with a capital at the start and a full stop at the end.
func asSentence(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return strings.TrimSuffix(string(unicode.ToUpper(r))+s[size:], ".") + "."
}

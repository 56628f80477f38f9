package mschap

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Refused is a server's refusal in the form of RFC 2759 section 6 and RFC 2433 section 5:
// "E=691 R=1 C=<challenge> V=3 M=<text>". A server that uses CHAP
// with MD5 or PAP sends only a text; Code is 0 then.
type Refused struct {
	Code      int    // 691 is a wrong login or password; 0 if the server sent none
	Retry     bool   // the server accepts another answer on this link
	Challenge []byte // the challenge for that retry, if the server sent a new one
	Text      string // the server's own text, unsafe to show as is
}

// Codes of RFC 2759 section 6.
const (
	RestrictedHours  = 646
	AccountDisabled  = 647
	PasswordExpired  = 648
	NoDialinAllowed  = 649
	WrongCredentials = 691
	ChangingPassword = 709
)

func (e *Refused) Error() string {
	if e.Code == 0 {
		return fmt.Sprintf("mschap: refused: %q", e.Text)
	}
	return fmt.Sprintf("mschap: refused with %d: %q", e.Code, e.Text)
}

// ParseRefused parses the message of a Failure packet. It accepts every message:
// one without fields becomes the text.
func ParseRefused(message string) *Refused {
	r := &Refused{}
	rest := message
	for {
		rest = strings.TrimLeft(rest, " ")
		if text, ok := strings.CutPrefix(rest, "M="); ok { // the text runs to the end
			r.Text = text
			return r
		}
		field, after, _ := strings.Cut(rest, " ")
		key, value, ok := strings.Cut(field, "=")
		if !ok || !r.setField(key, value) {
			break
		}
		rest = after
	}
	r.Text = rest
	return r
}

// setField stores one field and reports whether it is a known one.
func (r *Refused) setField(key, value string) bool {
	switch key {
	case "E":
		n, err := strconv.ParseUint(value, 10, 16)
		if err != nil {
			return false
		}
		r.Code = int(n)
	case "R":
		r.Retry = value == "1"
	case "C":
		c, err := hex.DecodeString(value)
		if err != nil || len(c) > 16 {
			return false
		}
		r.Challenge = c
	case "V": // the version of the password change protocol, which we do not use
	default:
		return false
	}
	return true
}

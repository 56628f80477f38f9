package mschap

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Refused is the server's no, as RFC 2759 section 6 and RFC 2433 section 5
// word it: "E=691 R=1 C=<challenge> V=3 M=<text>". A server that speaks CHAP
// with MD5 or PAP gives a text only; Code is 0 then.
type Refused struct {
	Code      int    // 691 is a wrong login or password; 0 when the server gave none
	Retry     bool   // the server takes another answer on this link
	Challenge []byte // the challenge of that retry, when the server sent a new one
	Text      string // the server's own words, not made safe for a page
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

// ParseRefused reads the message of a Failure packet. It takes every message:
// one without fields is a Refused with that text.
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

// setField stores one field and reports whether it was one.
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
	case "V": // the version of the password change protocol: we change none
	default:
		return false
	}
	return true
}

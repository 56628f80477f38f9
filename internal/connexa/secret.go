package connexa

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// Secret is a string that never prints itself. Reveal is the only way to the
// text, so a reader finds every place that shows one.
type Secret string

var (
	_ fmt.Formatter  = Secret("")
	_ slog.LogValuer = Secret("")
)

const masked = "•••"

func (Secret) String() string   { return masked }
func (Secret) GoString() string { return "connexa.Secret(" + masked + ")" }

// Format covers every verb: without it %x would print the bytes.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, masked) }

// MarshalText keeps the secret out of JSON, and so out of slog's JSON handler.
func (Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// LogValue keeps it out of every slog handler.
func (Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// Reveal returns the text. The caller is responsible for where it goes.
func (s Secret) Reveal() string { return string(s) }

// Equal compares in constant time for texts of one length.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s), []byte(other)) == 1
}

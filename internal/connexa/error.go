// Package connexa holds the nouns of the panel and the laws between them.
// It imports the standard library and, for host names, golang.org/x/net/idna;
// every other package may import it.
package connexa

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// Code says what kind of failure a caller is looking at. Handlers turn it into
// an HTTP status; nothing else should.
type Code string

// The kinds of failure.
const (
	Invalid   Code = "invalid"   // what was asked cannot be done as asked; the sentence says what to change
	NotFound  Code = "not_found" // no such thing, or no longer
	Conflict  Code = "conflict"  // the thing changed, or already is
	Forbidden Code = "forbidden" // not without a login, or the password again
	Busy      Code = "busy"      // later, not now
	TooSoon   Code = "too_soon"  // not before a wait that the sentence names
	Internal  Code = "internal"  // our fault; the log knows more
)

// Error is a failure with a sentence a person may read. Err, when set, is for
// the log and never for the page.
type Error struct {
	Code Code
	Text Text
	Err  error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Text.String() + ": " + e.Err.Error()
	}
	return e.Text.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an *Error without a cause; key and args make its sentence.
func Errorf(code Code, key string, args ...any) error {
	return &Error{Code: code, Text: T(key, args...)}
}

// CodeOf returns the code carried by err: Invalid for FieldErrors, Internal
// when there is none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	var f FieldErrors
	if errors.As(err, &f) {
		return Invalid
	}
	return Internal
}

// TextOf returns the sentence that a person may read about err.
func TextOf(err error) Text {
	var e *Error
	if errors.As(err, &e) {
		return e.Text
	}
	var f FieldErrors
	if errors.As(err, &f) {
		for _, name := range slices.Sorted(maps.Keys(f)) {
			return f[name]
		}
	}
	return T("error.internal")
}

// FieldErrors says, field by field, why a form cannot be taken.
type FieldErrors map[string]Text

// Add keeps the first complaint about a field.
func (f FieldErrors) Add(field, key string, args ...any) {
	if _, ok := f[field]; !ok {
		f[field] = T(key, args...)
	}
}

func (f FieldErrors) Error() string {
	var b strings.Builder
	b.WriteString("the form has errors:")
	for _, name := range slices.Sorted(maps.Keys(f)) {
		b.WriteString(" " + name + "=" + f[name].Key)
	}
	return b.String()
}

// OrNil returns f as an error when it holds any.
func (f FieldErrors) OrNil() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

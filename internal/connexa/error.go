// Package connexa has the types of the panel and the rules that connect them. It
// imports the standard library and, for host names, golang.org/x/net/idna; every other
// package may import it.
package connexa

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// Code is the kind of a failure. Only handlers turn it into an HTTP status.
type Code string

// The kinds of failure.
const (
	Invalid   Code = "invalid"   // the request is invalid; the text says what to change
	NotFound  Code = "not_found" // it does not exist, or no longer
	Conflict  Code = "conflict"  // it was changed meanwhile, or exists already
	Forbidden Code = "forbidden" // a login, or the password again, is required
	Busy      Code = "busy"      // try again later
	TooSoon   Code = "too_soon"  // try again after the time in the text
	Internal  Code = "internal"  // a fault of the panel; the log has the details
)

// Error is a failure with a text for the user. Err is only for the log, never for a
// page. Optional.
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

// CodeOf returns the code of err: Invalid for FieldErrors, Internal for an error
// without a code.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	if _, ok := errors.AsType[FieldErrors](err); ok {
		return Invalid
	}
	return Internal
}

// TextOf returns the text of err for the user.
func TextOf(err error) Text {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Text
	}
	if f, ok := errors.AsType[FieldErrors](err); ok {
		for _, name := range slices.Sorted(maps.Keys(f)) {
			return f[name]
		}
	}
	return T("error.internal")
}

// FieldErrors has the problem with each invalid field of a form.
type FieldErrors map[string]Text

// Add adds a problem with a field, unless it has one already.
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

// First returns the problem of the first field by name. f must not be empty.
func (f FieldErrors) First() Text { return f[slices.Sorted(maps.Keys(f))[0]] }

// OrNil returns f as an error, or nil if it is empty.
func (f FieldErrors) OrNil() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

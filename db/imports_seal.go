package db

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	linePurpose   = "import.line"
	serverPurpose = "import.server"
)

// lineVersion is the first byte of a sealed line: its high bit, which no line of
// version 0 has, and the version. A line of version 1 is a list of names and values,
// each a text with its length before it; empty values are left out. A reader skips
// names that it does not know.
const lineVersion = 0x80 | 1

// The names in a sealed line besides those of connexa.Columns.
const (
	lineAddress    = "address"
	linePort       = "port"
	lineLogin      = "login"
	linePassword   = "password"
	lineTags       = "tags"
	lineRaw        = "raw"
	lineColumns    = "columns" // with commas between them
	lineNoPassword = "no_password"
	lineDefaults   = "defaults" // with commas between them
	lineAddTags    = "add_tags" // the same
)

// sealLine seals a row of a file as it was typed.
func (k *keyring) sealLine(r *connexa.ImportRow) []byte {
	b := make([]byte, 1, 512)
	b[0] = lineVersion
	add := func(name, value string) {
		if value != "" {
			b = appendText(appendText(b, name), value)
		}
	}
	in := &r.Input
	add(lineAddress, in.Address)
	add(linePort, in.Port)
	add(lineLogin, in.Login)
	add(linePassword, in.Password)
	for _, c := range connexa.Columns() {
		add(c.Name, *c.Input(in))
	}
	add(lineTags, in.Tags)
	add(lineRaw, r.Raw.Reveal())
	add(lineColumns, strings.Join(r.Columns, ","))
	if r.NoPassword {
		add(lineNoPassword, "1")
	}
	add(lineDefaults, strings.Join(r.Defaults, ","))
	add(lineAddTags, strings.Join(r.AddTags, ","))
	return k.seal(linePurpose, b)
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func cutText(b []byte) (s, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, errLine
	}
	return b[size : size+int(n)], b[size+int(n):], nil
}

var errLine = errors.New("a stored line is damaged")

// openLine is the inverse of sealLine. It also reads lines of version 0.
func (k *keyring) openLine(sealed []byte) (r connexa.ImportRow, err error) {
	b, err := k.unseal(linePurpose, sealed)
	switch {
	case err != nil:
		return r, err
	case len(b) == 0:
		return r, errLine
	case b[0]&0x80 == 0:
		return openLineV0(b)
	case b[0] != lineVersion:
		return r, fmt.Errorf("a stored line has the unknown version %d", b[0]&0x7f)
	}
	for b = b[1:]; len(b) > 0; {
		var name, value []byte
		if name, b, err = cutText(b); err == nil {
			value, b, err = cutText(b)
		}
		if err != nil {
			return r, err
		}
		setLineValue(&r, name, string(value))
	}
	return r, nil
}

func setLineValue(r *connexa.ImportRow, name []byte, value string) {
	switch in := &r.Input; string(name) {
	case lineAddress:
		in.Address = value
	case linePort:
		in.Port = value
	case lineLogin:
		in.Login = value
	case linePassword:
		in.Password = value
	case lineTags:
		in.Tags = value
	case lineRaw:
		r.Raw = connexa.Secret(value)
	case lineColumns:
		r.Columns = strings.Split(value, ",")
	case lineNoPassword:
		r.NoPassword = true
	case lineDefaults:
		r.Defaults = strings.Split(value, ",")
	case lineAddTags:
		r.AddTags = strings.Split(value, ",")
	default:
		if c := connexa.ColumnNamed(string(name)); c != nil {
			*c.Input(in) = value
		}
	}
}

// The flags in the first byte of a line of version 0.
const (
	flagNoPassword = 1 << iota
	flagColumns    // the columns of a CSV follow the other texts
)

// openLineV0 reads a line that has flags and values by position.
func openLineV0(b []byte) (r connexa.ImportRow, err error) {
	flags := b[0]
	r.NoPassword = flags&flagNoPassword != 0
	b = b[1:]
	in := &r.Input
	var raw, columns string
	into := []*string{
		&in.Address, &in.Port, &in.Login, &in.Password, &in.Provider, &in.Country, &in.State, &in.City, &in.Zip, &in.Comment, &in.Tags, &raw,
	}
	if flags&flagColumns != 0 {
		into = append(into, &columns)
	}
	for _, value := range into {
		var text []byte
		if text, b, err = cutText(b); err != nil {
			return r, err
		}
		*value = string(text)
	}
	r.Raw = connexa.Secret(raw)
	if flags&flagColumns != 0 {
		r.Columns = strings.Split(columns, ",")
	}
	return r, nil
}

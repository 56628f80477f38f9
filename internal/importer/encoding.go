package importer

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// The encodings.
const (
	UTF8        = "utf-8"
	Windows1251 = "windows-1251" // Cyrillic
	Windows1252 = "windows-1252" // Western European
	UTF16       = "utf-16"       // only with a byte order mark
)

// Encodings lists the encodings that the user may choose.
func Encodings() []string { return []string{UTF8, Windows1251, Windows1252} }

// checkText returns an error for data that is not text.
func checkText(head []byte) error {
	for _, magic := range []string{"PK\x03\x04", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return errWorkbook
		}
	}
	for _, magic := range []string{"\x89PNG", "\xff\xd8\xff", "GIF8", "%PDF-", "\x1f\x8b", "Rar!", "7z\xbc\xaf", "\x7fELF", "BZh", "\xfd7zXZ", "\x28\xb5\x2f\xfd"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return errBinary
		}
	}
	controls := 0
	for _, c := range head {
		switch {
		case c == 0:
			return errBinary
		case c < ' ' && !strings.ContainsRune("\t\n\v\f\r\x1a", rune(c)), c == 0x7f:
			controls++
		}
	}
	if controls*20 > len(head) {
		return errBinary
	}
	text := bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	if len(bytes.Trim(text, " \t\r\n\v\f\x1a")) == 0 && len(head) < ahead {
		return errEmpty
	}
	return nil
}

// decoder turns bytes into text. Without a given encoding, it chooses one at the first
// bytes that are not ASCII.
type decoder struct {
	encoding string
}

// encodingName returns the encoding; UTF-8 if all bytes were ASCII.
func (d *decoder) encodingName() string {
	if d.encoding == "" {
		return UTF8
	}
	return d.encoding
}

// settleEncoding chooses the encoding by the bytes ahead, unless it is already chosen.
func (d *decoder) settleEncoding(ahead []byte) {
	if d.encoding == "" {
		d.encoding = guessEncoding(ahead)
	}
}

// decodeText returns b as text; ok is false if b is not valid in the encoding.
func (d *decoder) decodeText(b []byte) (s string, ok bool) {
	if isASCII(b) {
		return string(b), true
	}
	d.settleEncoding(b)
	var table *charmap.Charmap
	switch d.encoding {
	case Windows1251:
		table = charmap.Windows1251
	case Windows1252:
		table = charmap.Windows1252
	default:
		if utf8.Valid(b) {
			return string(b), true
		}
		return strings.ToValidUTF8(string(b), "\ufffd"), false
	}
	ok = true
	var out strings.Builder
	out.Grow(2 * len(b))
	for _, c := range b {
		r := table.DecodeByte(c)
		ok = ok && r != utf8.RuneError
		out.WriteRune(r)
	}
	return out.String(), ok
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// guessEncoding recognises UTF-8 by its validity. Otherwise, Russian text has whole
// words of non-ASCII letters, and Western text has single ones among ASCII letters. It
// returns "" for plain ASCII.
func guessEncoding(b []byte) string {
	var valid, broken, high, words, amid int
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		high++
		if r, n := utf8.DecodeRune(b[i:]); r != utf8.RuneError || n > 1 {
			valid++
			i += n
			continue
		}
		if !utf8.FullRune(b[i:]) {
			break // cut off by the end of the window
		}
		broken++
		before := i > 0 && letter1252(b[i-1])
		after := i+1 < len(b) && letter1252(b[i+1])
		switch {
		case b[i] >= 0xc0 && i+1 < len(b) && b[i+1] >= 0xc0:
			words++
		case before || after:
			amid++
		}
		i++
	}
	switch {
	case high == 0:
		return ""
	case broken == 0 || valid > broken:
		return UTF8
	case words == 0 && amid > 0:
		return Windows1252
	default:
		return Windows1251
	}
}

func letter1252(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

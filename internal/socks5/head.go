package socks5

import (
	"bytes"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// head is what is kept of the head of a request before net/http reads it: that
// parses the target as a URL, which refuses some that clients send and changes
// others, and RFC 9112 section 3.2 has a proxy pass on what it was given.
type head struct {
	isAbsolute bool   // the target is in absolute form and of the scheme http
	path       string // of the target, behind the authority, without a fragment
}

// framing says where a request ends.
type framing struct {
	body   int64 // bytes behind the head
	isOpen bool  // the head does not say it, or what follows is no HTTP
}

// findHead is the length of the head of a request at the begin of b; 0: its end has
// not come yet. There is none within the first seen bytes.
func findHead(b []byte, seen int) int {
	for at := max(seen-len("\n\r"), 0); ; {
		end := bytes.IndexByte(b[at:], '\n')
		if end < 0 {
			return 0
		}
		at += end + 1
		for _, empty := range []string{"\n", "\r\n"} {
			if bytes.HasPrefix(b[at:], []byte(empty)) {
				return at + len(empty)
			}
		}
	}
}

// takeHead keeps what is to be kept of the head b of a request, and makes it one
// that net/http reads: in place, so that its length stays.
func takeHead(b []byte) (h head, f framing) {
	first := true
	sizes := make([]string, 0, 1)
	for line := range bytes.SplitSeq(b, []byte("\n")) {
		line = bytes.TrimSuffix(line, []byte("\r"))
		switch {
		case len(line) == 0:
		case first:
			first = false
			h, f.isOpen = takeTarget(line)
		case line[0] == ' ' || line[0] == '\t':
			line[0] = ':' // obs-fold, which RFC 9112 section 5.2 has refused: no name is empty
		default:
			name, value, _ := bytes.Cut(line, []byte(":"))
			switch strings.ToLower(string(name)) {
			case "content-length":
				sizes = append(sizes, string(bytes.Trim(value, " \t")))
			case "transfer-encoding", "upgrade":
				f.isOpen = true
			}
		}
	}
	f.body, f.isOpen = bodyLength(sizes, f.isOpen)
	return h, f
}

// bodyLength is the length of a body by its Content-Length headers. What is not clear
// is net/http's to refuse.
func bodyLength(sizes []string, isOpen bool) (int64, bool) {
	if len(sizes) == 0 || isOpen {
		return 0, isOpen
	}
	for _, s := range sizes {
		if s != sizes[0] || strings.Trim(s, "0123456789") != "" {
			return 0, true
		}
	}
	n, err := strconv.ParseInt(sizes[0], 10, 64)
	return n, err != nil
}

// takeTarget keeps the target of a request line and overwrites in it what is no
// URL. connects says that the line is that of a CONNECT.
func takeTarget(line []byte) (h head, connects bool) {
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, _, ok := bytes.Cut(rest, []byte(" "))
	if string(method) == http.MethodConnect || !ok {
		return head{}, string(method) == http.MethodConnect
	}
	const scheme = "http://"
	if len(target) < len(scheme) || !strings.EqualFold(string(target[:len(scheme)]), scheme) {
		return head{}, false
	}
	behind := target[len(scheme):]
	end := bytes.IndexAny(behind, "/?#")
	if end < 0 {
		return head{isAbsolute: true}, false
	}
	behind = behind[end:]
	kept, _, _ := bytes.Cut(behind, []byte("#")) // a fragment is no part of a target, RFC 9110 section 7.1
	h = head{isAbsolute: true, path: string(kept)}
	if behind[0] == '#' {
		behind[0] = '/' // or it would be of the host
	}
	for i, c := range behind {
		if !isPlain(c) && c > ' ' && c != 0x7f { // control characters are net/http's to refuse
			behind[i] = 'x'
		}
	}
	return h, false
}

// isPlain says whether a byte means the same to every parser of URLs.
func isPlain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/?&=:@!$'()*+,;", c) >= 0
}

// targetURL is where a request goes, with the target that its client gave.
func (h head) targetURL(method, host string) *url.URL {
	target := h.path
	switch {
	case target == "" && method == http.MethodOptions:
		target = "*" // RFC 9112 section 3.2.4
	case target == "" || target[0] == '?':
		target = "/" + target
	case strings.HasPrefix(target, "//"):
		// net/url writes an Opaque that begins so behind the scheme: the absolute
		// form, which every server takes.
		target = "//" + host + target
	}
	return &url.URL{Scheme: "http", Host: host, Opaque: target}
}

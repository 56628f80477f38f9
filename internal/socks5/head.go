package socks5

import (
	"bytes"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// head is the part of a request's head that is kept before net/http reads it. net/http
// parses the target as a URL, which rejects or changes some targets that clients send,
// but RFC 9112 section 3.2 requires a proxy to forward the target unchanged.
type head struct {
	isAbsolute bool   // the target is in absolute form with the scheme http
	path       string // target after the authority, without a fragment
}

// framing says where a request ends.
type framing struct {
	body   int64 // bytes after the head
	isOpen bool  // the head does not say where, or what follows is not HTTP
}

// findHead returns the length of the head of a request at the start of b, or 0 if it is
// incomplete. The first seen bytes are known to hold no end.
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

// takeHead extracts the head of a request from b and changes b in place, without changing
// its length, so that net/http accepts it.
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
			line[0] = ':' // obs-fold, which RFC 9112 section 5.2 rejects: a name cannot be empty
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

// bodyLength returns the length of a body from the Content-Length headers. net/http
// rejects unclear ones.
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

// takeTarget extracts the target of a request line and overwrites characters of it that
// a URL cannot hold. connects reports a CONNECT request.
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
	kept, _, _ := bytes.Cut(behind, []byte("#")) // a fragment is not part of a target, RFC 9110 section 7.1
	h = head{isAbsolute: true, path: string(kept)}
	if behind[0] == '#' {
		behind[0] = '/' // otherwise it would belong to the host
	}
	for i, c := range behind {
		if !isPlain(c) && c > ' ' && c != 0x7f { // net/http rejects control characters
			behind[i] = 'x'
		}
	}
	return h, false
}

// isPlain reports whether all URL parsers read a byte in the same way.
func isPlain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/?&=:@!$'()*+,;", c) >= 0
}

// targetURL returns the URL of a request with the target that the client sent.
func (h head) targetURL(method, host string) *url.URL {
	target := h.path
	switch {
	case target == "" && method == http.MethodOptions:
		target = "*" // RFC 9112 section 3.2.4
	case target == "" || target[0] == '?':
		target = "/" + target
	case strings.HasPrefix(target, "//"):
		// net/url writes an Opaque that starts with // after the scheme. That is the absolute
		// form, which every server accepts.
		target = "//" + host + target
	}
	return &url.URL{Scheme: "http", Host: host, Opaque: target}
}

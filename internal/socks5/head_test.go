package socks5

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// origin is a server that records the requests it receives byte for byte. It reads
// bodies by their Content-Length, and chunked ones to the last chunk.
type origin struct{ requests chan string }

func (o *origin) serveConn(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		var head strings.Builder
		size, chunked := int64(0), false
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			head.WriteString(line)
			if line == "\r\n" {
				break
			}
			_, _ = fmt.Sscanf(line, "Content-Length: %d", &size)
			chunked = chunked || strings.HasPrefix(line, "Transfer-Encoding: chunked")
		}
		if strings.Contains(head.String(), "Expect: 100-continue") {
			_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		if strings.Contains(head.String(), "Upgrade: echo") {
			o.requests <- head.String()
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			_, _ = io.Copy(c, r)
			return
		}
		_, _ = io.CopyN(&head, r, size)
		for end := false; chunked && !end; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			head.WriteString(line)
			end = line == "\r\n" && strings.HasSuffix(head.String(), "0\r\n\r\n")
		}
		o.requests <- head.String()
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
}

// withOrigin starts a proxy whose webAt is an origin.
func withOrigin(t *testing.T) (*setUp, *origin) {
	t.Helper()
	o := &origin{requests: make(chan string, 64)}
	s := startServer(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go o.serveConn(c)
		}
	}()
	s.world.hosts[webAt] = l.Addr().String()
	return s, o
}

const credentials = "Proxy-Authorization: " + loginHeader + "\r\n"

// TestTargetsPassByteForByte sends request lines and checks what the origin receives,
// RFC 9112 section 3.
func TestTargetsPassByteForByte(t *testing.T) {
	s, o := withOrigin(t)
	const at = "http://198.51.100.80"
	long := "/" + strings.Repeat("long-", 12_000)
	for _, tt := range []struct{ line, want string }{
		{"GET " + at + "/ HTTP/1.1", "GET / HTTP/1.1"},
		{"GET " + at + "/100% HTTP/1.1", "GET /100% HTTP/1.1"},
		{"GET " + at + "/% HTTP/1.1", "GET /% HTTP/1.1"},
		{"GET " + at + "/a%zz HTTP/1.1", "GET /a%zz HTTP/1.1"},
		{"GET " + at + "/a%2 HTTP/1.1", "GET /a%2 HTTP/1.1"},
		{"GET " + at + "/a%2Fb%2fc HTTP/1.1", "GET /a%2Fb%2fc HTTP/1.1"},
		{"GET " + at + `/a|b"c[d]e{f}g^h` + "`i\\j<k>l HTTP/1.1", `GET /a|b"c[d]e{f}g^h` + "`i\\j<k>l HTTP/1.1"},
		{"GET " + at + "/caf\xc3\xa9\xff HTTP/1.1", "GET /caf\xc3\xa9\xff HTTP/1.1"},
		{"GET " + at + "/?q=50%&r=%zz;s&t=a|b HTTP/1.1", "GET /?q=50%&r=%zz;s&t=a|b HTTP/1.1"},
		{"GET " + at + "?x=%1 HTTP/1.1", "GET /?x=%1 HTTP/1.1"},
		{"GET " + at + "/? HTTP/1.1", "GET /? HTTP/1.1"},
		{"GET " + at + " HTTP/1.1", "GET / HTTP/1.1"},
		{"GET " + at + ":80 HTTP/1.1", "GET / HTTP/1.1"},
		{"OPTIONS " + at + " HTTP/1.1", "OPTIONS * HTTP/1.1"},
		{"OPTIONS " + at + "/ HTTP/1.1", "OPTIONS / HTTP/1.1"},
		{"OPTIONS " + at + "/x% HTTP/1.1", "OPTIONS /x% HTTP/1.1"},
		{"GET " + at + "/p?q#part HTTP/1.1", "GET /p?q HTTP/1.1"},
		{"GET " + at + "#part HTTP/1.1", "GET / HTTP/1.1"},
		{"GET " + at + "/a/../b/./c//d HTTP/1.1", "GET /a/../b/./c//d HTTP/1.1"},
		{"GET " + at + "//two%zz HTTP/1.1", "GET " + at + "//two%zz HTTP/1.1"},
		{"GET HTTP://198.51.100.80/Upper% HTTP/1.1", "GET /Upper% HTTP/1.1"},
		{"GET " + at + "/old% HTTP/1.0", "GET /old% HTTP/1.1"},
		{"PURGE " + at + "/x% HTTP/1.1", "PURGE /x% HTTP/1.1"},
		{"get " + at + "/lower HTTP/1.1", "get /lower HTTP/1.1"},
		{"GET " + at + long + "% HTTP/1.1", "GET " + long + "% HTTP/1.1"},
	} {
		for _, lf := range []string{"\r\n", "\n"} {
			c := s.dialRaw(t, []byte(tt.line+lf+"Host: other.example"+lf+strings.ReplaceAll(credentials, "\r\n", lf)+"Connection: close"+lf+lf)...)
			answer, _ := io.ReadAll(c)
			if !bytes.HasSuffix(answer, []byte("ok")) {
				t.Errorf("%.80q: %.200s", tt.line, answer)
				continue
			}
			line, rest, _ := strings.Cut(<-o.requests, "\r\n")
			if line != tt.want || !strings.Contains(rest, "Host: 198.51.100.80") { // the absolute form takes precedence
				t.Errorf("%.80q: the origin sees %.80q and %.80q", tt.line, line, rest)
			}
		}
	}
}

// TestRequestsInOnePiece sends several requests on one connection, with empty lines
// between them, at once and byte by byte.
func TestRequestsInOnePiece(t *testing.T) {
	s, o := withOrigin(t)
	const at = "http://198.51.100.80"
	const host = "Host: x\r\n" + credentials
	stream := "\r\n\r\nGET " + at + "/1% HTTP/1.1\r\n" + host + "\r\n" +
		"\r\nPOST " + at + "/2% HTTP/1.1\r\n" + host + "Content-Length: 10\r\n\r\n\r\nGET /% x" +
		"\n\r\nGET " + at + "/3% HTTP/1.1\r\n" + host + "Content-Length: 0\r\n\r\n" +
		"GET " + at + "/4% HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n"
	for _, size := range []int{len(stream), 1, 7} {
		c := s.dialRaw(t)
		go func() {
			for rest := []byte(stream); len(rest) > 0; {
				n := min(size, len(rest))
				if _, err := c.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		answers, err := io.ReadAll(c)
		if n := bytes.Count(answers, []byte("200 OK")); err != nil || n != 4 {
			t.Fatalf("in pieces of %d: %d answers, %v:\n%s", size, n, err, answers)
		}
		for _, want := range []string{"GET /1% ", "POST /2% ", "GET /3% ", "GET /4% "} {
			got := <-o.requests
			if !strings.HasPrefix(got, want) || strings.HasPrefix(want, "POST") && !strings.HasSuffix(got, "\r\n\r\n\r\nGET /% x") {
				t.Errorf("in pieces of %d: %q, want %q", size, got, want)
			}
		}
	}
}

// TestRequestsThatAreRefused sends requests that the proxy itself answers with an
// error.
func TestRequestsThatAreRefused(t *testing.T) {
	s, o := withOrigin(t)
	const at = "http://198.51.100.80"
	const host = "Host: x\r\n" + credentials
	for request, want := range map[string]int{
		"GET " + at + "/ HTTP/1.1\r\n" + host + "X-Folded: a\r\n b\r\n\r\n":                      400,
		"GET " + at + "/ HTTP/1.1\r\n" + host + "X-Folded: a\r\n\tb\r\n\r\n":                     400,
		"GET " + at + "/ HTTP/1.1\r\n Host: x\r\n" + host + "\r\n":                               400,
		"GET " + at + "/a b HTTP/1.1\r\n" + host + "\r\n":                                        400,
		"GET " + at + "/a\x01b HTTP/1.1\r\n" + host + "\r\n":                                     400,
		"GET http://user:pw@198.51.100.80/ HTTP/1.1\r\n" + host + "\r\n":                         400,
		"GET http:///path HTTP/1.1\r\n" + host + "\r\n":                                          400,
		"GET /path% HTTP/1.1\r\n" + host + "\r\n":                                                400,
		"GET https://198.51.100.80/ HTTP/1.1\r\n" + host + "\r\n":                                400,
		"GET " + at + "/ HTTP/1.1\r\n" + credentials + "\r\n":                                    400, // without Host
		"GET " + at + "/ HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n": 400,
		"GET " + at + "/ HTTP/1.1\r\n" + host + "Content-Length: +1\r\n\r\n":                     400,
		"GET " + at + "/ HTTP/1.1\r\n" + host + "X-Space : 1\r\n\r\n":                            400,
		"GET http://[2001:db8::1]/ HTTP/1.1\r\n" + host + "\r\n":                                 502,
		"GET http://[2001:db8::1/ HTTP/1.1\r\n" + host + "\r\n":                                  400,
		"GET " + at + "/% HTTP/1.1\r\nHost: x\r\n\r\n":                                           407,
		"GET " + at + "/" + strings.Repeat("x", 80<<10) + " HTTP/1.1\r\n" + host + "\r\n":        431,
		"OPTIONS * HTTP/1.1\r\n" + host + "\r\n":                                                 200,
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n":                                                  407,
		"GET " + at + "/ HTTP/2.7\r\n" + host + "\r\n":                                           505,
		"GET " + at + "/ HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n":                501,
	} {
		c := s.dialRaw(t)
		_, _ = io.WriteString(c, request) // the answer may arrive before the whole request is sent
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != want {
			t.Errorf("%.100q: %v, %v, want %d", request, res, err, want)
		}
	}
	if len(o.requests) > 0 {
		t.Errorf("the origin was asked for %q", <-o.requests)
	}
}

const postLine = "POST http://198.51.100.80/x% HTTP/1.1\r\nHost: x\r\n" + credentials

func TestForwardRemovesHeadersOfOneConnection(t *testing.T) {
	s, o := withOrigin(t)
	c := s.dialRaw(t, []byte(postLine+"Connection: close, X-Hop\r\nX-Hop: 1\r\nX-Stays: 2\r\nKeep-Alive: 3\r\nProxy-Connection: keep-alive\r\nContent-Length: 0\r\n\r\n")...)
	if b, err := io.ReadAll(c); err != nil || !bytes.HasSuffix(b, []byte("ok")) {
		t.Fatalf("got %q, %v; want an answer that ends in ok", b, err)
	}
	got := <-o.requests
	for _, header := range []string{"X-Hop", "Keep-Alive", "Proxy-", "Connection"} {
		if strings.Contains(got, header) {
			t.Errorf("got %q, want it without %s", got, header)
		}
	}
	if !strings.Contains(got, "X-Stays: 2") {
		t.Errorf("got %q, want it with X-Stays", got)
	}
}

func TestForwardFindsEndOfChunkedBody(t *testing.T) {
	s, o := withOrigin(t)
	for name, headers := range map[string]string{
		"chunks":                         "Transfer-Encoding: chunked\r\n",
		"chunks and a length":            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
		"a length and chunks, lowercase": "transfer-encoding: chunked\r\ncontent-length: 3\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			// The bytes after the last chunk must not be taken for a request.
			c := s.dialRaw(t, []byte(postLine+headers+"\r\n3\r\nabc\r\n0\r\n\r\nGET http://198.51.100.80/smuggled HTTP/1.1\r\nHost: x\r\n\r\n")...)
			b, _ := io.ReadAll(c)
			if n := bytes.Count(b, []byte("HTTP/1.1 ")); n != 1 || !bytes.Contains(b, []byte("Connection: close")) {
				t.Errorf("got %d answers: %q; want one with Connection: close", n, b)
			}
			got := <-o.requests
			if !strings.HasPrefix(got, "POST /x% ") || strings.Contains(got, "Content-Length") || !strings.Contains(got, "abc") || len(o.requests) > 0 {
				t.Errorf("got %q and %d more requests, want one chunked POST of abc", got, len(o.requests))
			}
		})
	}
}

func TestForwardContinue(t *testing.T) {
	s, o := withOrigin(t)
	c := s.dialRaw(t, []byte(postLine+"Expect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n")...)
	r := bufio.NewReader(c)
	if first, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(first, "HTTP/1.1 100 ") {
		t.Fatalf("got %q, %v; want status 100", first, err)
	}
	_, _ = io.WriteString(c, "abc")
	if b, err := io.ReadAll(r); err != nil || !bytes.HasSuffix(b, []byte("ok")) {
		t.Fatalf("got %q, %v; want an answer that ends in ok", b, err)
	}
	if got := <-o.requests; !strings.HasSuffix(got, "abc") {
		t.Errorf("got %q, want the body abc", got)
	}
}

func TestForwardUpgrade(t *testing.T) {
	s, o := withOrigin(t)
	c := s.dialRaw(t, []byte("GET http://198.51.100.80/ws% HTTP/1.1\r\nHost: x\r\n"+credentials+"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n")...)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v, %v; want status 101", res, err)
	}
	const want = "GET / \r\n\r\nwhatever"
	_, _ = io.WriteString(c, want)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if line := <-o.requests; !strings.HasPrefix(line, "GET /ws% ") {
		t.Errorf("got request %q, want GET /ws%%", line)
	}
}

func TestConnectAfterProxyAuthRequired(t *testing.T) {
	s, _ := withOrigin(t)
	c := s.dialRaw(t, []byte("CONNECT echo.example:7 HTTP/1.1\r\nHost: x\r\n\r\n")...)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil || res.StatusCode != http.StatusProxyAuthRequired {
		t.Fatalf("got %v, %v; want status 407", res, err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_, _ = io.WriteString(c, "CONNECT echo.example:7 HTTP/1.1\r\nHost: x\r\n"+credentials+"\r\nto and fro")
	if res, err = http.ReadResponse(r, &http.Request{Method: http.MethodConnect}); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("got %v, %v; want status 200", res, err)
	}
	got := make([]byte, len("to and fro"))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != "to and fro" {
		t.Errorf("got %q, %v; want %q", got, err, "to and fro")
	}
}

func FuzzTakeHead(f *testing.F) {
	f.Add([]byte("GET http://a/%?x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("CONNECT a:1 HTTP/1.1\n\n"))
	f.Add([]byte("\n\r\n \n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		size := findHead(b, 0)
		if size < 0 || size > len(b) {
			t.Fatalf("%d of %d", size, len(b))
		}
		for cut := range min(size, 256) { // it must also be found in parts, and never before its end
			if n := findHead(b[:cut], 0); n != 0 {
				t.Fatalf("%d of %d bytes are a head of %d", cut, size, n)
			}
		}
		before := bytes.Count(b[:size], []byte("\n"))
		if _, fr := takeHead(b[:size]); fr.body < 0 {
			t.Fatalf("a body of %d", fr.body)
		}
		if bytes.Count(b[:size], []byte("\n")) != before {
			t.Fatal("the lines have changed")
		}
	})
}

package speed

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/guard"
)

// mostRetryAfter is the maximum accepted Retry-After.
const mostRetryAfter = 24 * time.Hour

// sendRequest sends a and checks the status and headers of the answer. The caller closes
// the body.
func (r *run) sendRequest(ctx context.Context, l *stream, a ask, body io.Reader) (*http.Response, error) {
	u := *a.URL
	// Every request is unique, so that no cache can answer it.
	unique := make([]byte, 8)
	_, _ = rand.Read(unique) // never fails
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += "connexa=" + hex.EncodeToString(unique)
	req, err := http.NewRequestWithContext(ctx, a.Method, u.String(), body)
	if err != nil {
		return nil, errors.New("speed: the endpoint's address cannot be asked for") // without the address
	}
	req.Header.Set("User-Agent", "connexa-speed")
	req.Header.Set("Cache-Control", "no-cache, no-store")
	req.Header.Set("Accept-Encoding", "identity")
	if a.Token != "" {
		req.Header.Set("Authorization", "Bearer "+a.Token.Reveal())
	}
	if body != nil {
		req.ContentLength = a.Bytes
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	if no := r.checkAnswer(resp, a); no != nil {
		resp.Body.Close()
		return nil, no
	}
	return resp, nil
}

// withoutURL returns err without the URL that net/http adds. URLs may be long and do not belong
// into logs.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// checkAnswer returns an error if an answer cannot be used.
func (r *run) checkAnswer(resp *http.Response, a ask) error {
	no := &Refused{Endpoint: r.name, Status: resp.StatusCode}
	switch {
	case a.Method == http.MethodHead && (resp.StatusCode == http.StatusMethodNotAllowed || resp.StatusCode == http.StatusNotImplemented):
		return nil
	case resp.StatusCode >= 300 && resp.StatusCode <= 399:
		no.Reason, no.Elsewhere = ReasonRedirect, guard.HostOf(resp)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		no.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	case resp.Header.Get("Content-Encoding") != "" && !strings.EqualFold(resp.Header.Get("Content-Encoding"), "identity"):
		no.Reason = ReasonEncoded
	case !a.Cached && fromCache(resp.Header):
		no.Reason = ReasonCached
	default:
		return nil
	}
	return no
}

// fromCache reports whether a cache answered.
func fromCache(h http.Header) bool {
	if age, err := strconv.Atoi(h.Get("Age")); err == nil && age > 0 {
		return true
	}
	for _, name := range []string{"X-Cache", "X-Cache-Lookup", "Cf-Cache-Status"} {
		if strings.HasPrefix(strings.ToUpper(strings.TrimSpace(h.Get(name))), "HIT") {
			return true
		}
	}
	return false
}

// retryAfter parses a Retry-After header, RFC 9110 section 10.2.3.
func retryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil {
		return min(max(time.Duration(n), 0)*time.Second, mostRetryAfter)
	}
	if t, err := http.ParseTime(s); err == nil {
		return min(max(t.Sub(now), 0), mostRetryAfter)
	}
	return 0
}

// fetchSmall sends a request with a tiny answer. It returns the answer and the time from
// the last byte sent to the first byte received.
func (r *run) fetchSmall(ctx context.Context, l *stream, a ask) (body []byte, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, smallWait)
	defer cancel()
	var (
		mu           sync.Mutex
		wrote, heard time.Time
	)
	trace := &httptrace.ClientTrace{
		WroteRequest:         func(httptrace.WroteRequestInfo) { mu.Lock(); wrote = time.Now(); mu.Unlock() },
		GotFirstResponseByte: func() { mu.Lock(); heard = time.Now(); mu.Unlock() },
	}
	resp, err := r.sendRequest(httptrace.WithClientTrace(ctx, trace), l, a, nil)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxSmall+1))
	if err != nil {
		return nil, 0, withoutURL(err)
	}
	if len(body) > maxSmall {
		return nil, 0, fmt.Errorf("%w: more than %d bytes", errTooLong, maxSmall)
	}
	mu.Lock()
	defer mu.Unlock()
	return body, max(heard.Sub(wrote), 0), nil
}

// maxSmall is the maximum answer of a small request in bytes.
const maxSmall = 64 << 10

var errTooLong = errors.New("the answer to a small request is long")

// isNetwork reports whether err comes from the network and not from the endpoint.
func isNetwork(err error) bool {
	var n net.Error
	return errors.As(err, &n) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, net.ErrClosed)
}

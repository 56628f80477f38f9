package handlers

import (
	"fmt"
	"net/http"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/gzip"
)

const (
	// jitterBytes is the maximum number of bytes by which a compressed page is longer than
	// needed, so that its length reveals less about its content.
	jitterBytes = 64
	// jitterWindow is the length of the beginning of a page that decides the number. Nothing
	// of a longer answer is sent before.
	jitterWindow = 64 << 10
)

// compression has the two ways to compress an answer.
type compression struct {
	page   func(http.Handler) http.HandlerFunc
	stream func(http.Handler) http.HandlerFunc
}

// newCompression returns the compression of pages and files, and that of event
// streams. A stream compresses each message alone, without a window of earlier ones: it
// needs no memory between messages, and a thousand idle pages would need a gigabyte.
// Only gzip is used: zstd needs more memory for pages of the same size.
func newCompression() (c compression, err error) {
	c.page, err = gzhttp.NewWrapper(
		gzhttp.ContentTypes([]string{"text/html", "text/csv", "text/tab-separated-values", "text/plain", "application/json", "application/x-ndjson"}),
		gzhttp.CompressionLevel(gzip.BestSpeed), gzhttp.EnableZstd(false), gzhttp.RandomJitter(jitterBytes, jitterWindow, true))
	if err == nil {
		c.stream, err = gzhttp.NewWrapper(
			gzhttp.ContentTypes([]string{"text/event-stream"}),
			gzhttp.CompressionLevel(gzip.StatelessCompression), gzhttp.EnableZstd(false))
	}
	if err != nil {
		return c, fmt.Errorf("compress answers: %w", err)
	}
	return c, nil
}

// compress makes next answer through wrap, which is compression.page or
// compression.stream. Inside, recorderOf returns what next has written, also as long as
// the compressor holds it back.
func compress(wrap func(http.Handler) http.HandlerFunc, next http.Handler) http.Handler {
	return wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&recorder{ResponseWriter: w}, r)
	}))
}

// keepPlain keeps the answer from being compressed. It must be called before the answer
// begins.
func keepPlain(w http.ResponseWriter) { w.Header().Set(gzhttp.HeaderNoCompression, "1") }

package speed

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
)

// libreSpeed is the folder of a LibreSpeed server's files.
type libreSpeed struct{ base *url.URL }

const (
	// libreChunk is the unit of garbage.php, and libreMost how many it gives.
	libreChunk = 1 << 20
	libreMost  = 1024
	// libreUp is what LibreSpeed's own client sends at once; the web servers in
	// front of it are set up for that.
	libreUp = 20 << 20
)

// Ping implements target.
func (l libreSpeed) Ping() ask {
	return ask{Method: http.MethodGet, URL: below(l.base, "empty.php", "")}
}

// Down implements target.
func (l libreSpeed) Down(size int64) ask {
	n := min(max((size+libreChunk-1)/libreChunk, 1), libreMost)
	u := below(l.base, "garbage.php", "ckSize="+strconv.FormatInt(n, 10))
	return ask{Method: http.MethodGet, URL: u, Bytes: n * libreChunk}
}

// Up implements target.
func (l libreSpeed) Up(size int64) (ask, bool) {
	return ask{Method: http.MethodPost, URL: below(l.base, "empty.php", ""), Bytes: min(size, libreUp)}, true
}

// Where implements target.
func (l libreSpeed) Where() (ask, bool) {
	return ask{Method: http.MethodGet, URL: below(l.base, "getIP.php", "")}, true
}

// From implements target. The answer is an object, "1.2.3.4 - provider" in one of
// its fields, or that text alone.
func (l libreSpeed) From(body []byte) netip.Addr {
	var told struct {
		ProcessedString string `json:"processedString"`
	}
	if json.Unmarshal(body, &told) == nil {
		return addressIn(told.ProcessedString)
	}
	return addressIn(string(body))
}

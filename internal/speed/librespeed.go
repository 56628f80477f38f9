package speed

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
)

// libreSpeed is the base folder of a LibreSpeed server.
type libreSpeed struct{ base *url.URL }

const (
	// libreChunk is the unit of garbage.php; libreMost is the maximum number of units.
	libreChunk = 1 << 20
	libreMost  = 1024
	// libreUp is the upload size of LibreSpeed's own client. Web servers in front of it
	// usually allow it.
	libreUp = 20 << 20
)

// Ping implements target.
func (l libreSpeed) Ping() ask {
	return ask{Method: http.MethodGet, URL: urlBelow(l.base, "empty.php", "")}
}

// Down implements target.
func (l libreSpeed) Down(size int64) ask {
	n := min(max((size+libreChunk-1)/libreChunk, 1), libreMost)
	u := urlBelow(l.base, "garbage.php", "ckSize="+strconv.FormatInt(n, 10))
	return ask{Method: http.MethodGet, URL: u, Bytes: n * libreChunk}
}

// Up implements target.
func (l libreSpeed) Up(size int64) (ask, bool) {
	return ask{Method: http.MethodPost, URL: urlBelow(l.base, "empty.php", ""), Bytes: min(size, libreUp)}, true
}

// Where implements target.
func (l libreSpeed) Where() (ask, bool) {
	return ask{Method: http.MethodGet, URL: urlBelow(l.base, "getIP.php", "")}, true
}

// From implements target. The answer is an object with a field "1.2.3.4 - provider", or
// that text alone.
func (l libreSpeed) From(body []byte) netip.Addr {
	var answer struct {
		ProcessedString string `json:"processedString"`
	}
	if json.Unmarshal(body, &answer) == nil {
		return addressIn(answer.ProcessedString)
	}
	return addressIn(string(body))
}

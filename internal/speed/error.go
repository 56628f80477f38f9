package speed

import (
	"fmt"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Refused is an endpoint that could be reached and does not let itself be
// measured against. It says nothing about the node's speed.
type Refused struct {
	Endpoint   string        // connexa.Endpoint.Name
	Status     int           // of HTTP
	Reason     string        // why the answer is of no use; empty: the status says it
	Elsewhere  string        // with ReasonRedirect: the host that the endpoint names, if it names one
	RetryAfter time.Duration // as the endpoint asked for; 0: it did not
}

// The reasons of a Refused.
const (
	ReasonCached   = "cached"   // the answer was kept somewhere on the way
	ReasonEncoded  = "encoded"  // the answer is compressed
	ReasonShort    = "short"    // the answer is shorter than what was asked for
	ReasonRedirect = "redirect" // the endpoint sends its clients elsewhere
	ReasonEarly    = "early"    // the answer came before the upload had
)

// Error implements error.
func (e *Refused) Error() string {
	switch e.Reason {
	case ReasonRedirect:
		to := "elsewhere"
		if e.Elsewhere != "" {
			to = "to " + e.Elsewhere
		}
		return fmt.Sprintf("speed: %s redirects %s: HTTP status %d; give the address that it leads to", e.Endpoint, to, e.Status)
	case ReasonEarly:
		return fmt.Sprintf("speed: %s answers before it has read the upload: HTTP status %d", e.Endpoint, e.Status)
	case "":
	default:
		return fmt.Sprintf("speed: %s: the answer is %s", e.Endpoint, e.Reason)
	}
	return fmt.Sprintf("speed: %s refuses: HTTP status %d", e.Endpoint, e.Status)
}

// Cause is what the history keeps.
func (e *Refused) Cause() connexa.Cause {
	if e.Reason == ReasonRedirect {
		return "internet.redirected"
	}
	return "internet.refused"
}

// The codes of a NoInternet.
const (
	CodeNoInternet = "no_internet"   // nothing beyond the tunnel answers
	CodeNoDNS      = "no_dns"        // addresses answer, and names are not resolved
	CodeConnect    = "connect"       // others answer, and the endpoint does not
	CodeTLS        = "tls"           // the endpoint's certificate, or its TLS, is wrong
	CodeBlackhole  = "mtu_blackhole" // small requests are answered, and large packets do not arrive
	CodeTimeout    = "timeout"       // what began well did not end in its time
)

// NoInternet is an endpoint that could not be reached, or not be measured
// against to the end.
type NoInternet struct {
	Endpoint string // connexa.Endpoint.Name
	Code     string
	Err      error
}

// Error implements error.
func (e *NoInternet) Error() string {
	return fmt.Sprintf("speed: %s: %s: %v", e.Endpoint, e.Code, e.Err)
}

// Unwrap returns the reason.
func (e *NoInternet) Unwrap() error { return e.Err }

// Cause is what the history keeps.
func (e *NoInternet) Cause() connexa.Cause { return connexa.Cause("internet." + e.Code) }

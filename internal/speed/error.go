package speed

import (
	"fmt"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Refused reports an endpoint that answers but cannot be used. It says nothing about the
// speed of the node.
type Refused struct {
	Endpoint   string        // connexa.Endpoint.Name
	Status     int           // HTTP status
	Reason     string        // why the answer is unusable; empty if Status says it
	Elsewhere  string        // host of the redirect with ReasonRedirect, if known
	RetryAfter time.Duration // as requested by the endpoint; 0 if it did not
}

// Reasons of a Refused.
const (
	ReasonCached   = "cached"   // a cache answered
	ReasonEncoded  = "encoded"  // the answer is compressed
	ReasonShort    = "short"    // the answer is shorter than requested
	ReasonRedirect = "redirect" // the endpoint redirects to another host
	ReasonEarly    = "early"    // the answer came before the end of the upload
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

// Cause returns the cause for the history.
func (e *Refused) Cause() connexa.Cause {
	if e.Reason == ReasonRedirect {
		return "internet.redirected"
	}
	return "internet.refused"
}

// The values of NoInternet.Code.
const (
	CodeNoInternet = "no_internet"   // nothing behind the tunnel answers
	CodeNoDNS      = "no_dns"        // addresses answer, but names do not resolve
	CodeConnect    = "connect"       // others answer, but not the endpoint
	CodeTLS        = "tls"           // the certificate or TLS of the endpoint is invalid
	CodeBlackhole  = "mtu_blackhole" // small requests are answered, large packets are lost
	CodeTimeout    = "timeout"       // a request that had started did not end in time
)

// NoInternet reports an endpoint that could not be reached, or a measurement that could
// not be completed.
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

// Cause returns the cause for the history.
func (e *NoInternet) Cause() connexa.Cause { return connexa.Cause("internet." + e.Code) }

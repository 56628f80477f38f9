package connexa

import (
	"net/url"
	"time"
)

// SpeedMode is the length of a speed test.
type SpeedMode string

// The modes of a speed test.
const (
	SpeedQuick SpeedMode = "quick" // 5 s each way, to tell fast from slow
	SpeedFull  SpeedMode = "full"  // 10 s each way
)

// Known reports whether m is a mode.
func (m SpeedMode) Known() bool { return m == SpeedQuick || m == SpeedFull }

// EndpointKind is the kind of a speed endpoint.
type EndpointKind string

// The kinds of speed endpoint.
const (
	EndpointOwn        EndpointKind = "own"        // connexa speed-server
	EndpointLibreSpeed EndpointKind = "librespeed" // a LibreSpeed server
	EndpointCloudflare EndpointKind = "cloudflare" // speed.cloudflare.com
	EndpointURLs       EndpointKind = "urls"       // any pair of URLs
)

// Endpoint is a server for speed tests.
type Endpoint struct {
	Kind  EndpointKind `json:"kind"`
	URL   string       `json:"url,omitempty"` // base URL of own and librespeed; the download of urls
	UpURL string       `json:"up_url,omitempty"`
	Token Secret       `json:"-"` // of own; sealed where it is stored
}

// Name returns the displayed name of e: never more than a host.
func (e Endpoint) Name() string {
	if e.Kind == EndpointCloudflare {
		return "speed.cloudflare.com"
	}
	u, err := url.Parse(e.URL)
	if err != nil || u.Host == "" {
		return string(e.Kind)
	}
	return u.Host
}

// Confidence is the reliability of a measurement.
type Confidence string

// The confidences, from the spread of the samples and how many there were.
const (
	ConfidenceHigh   Confidence = "high"
	ConfidenceMedium Confidence = "medium"
	ConfidenceLow    Confidence = "low"
)

// Measurement is the result of a speed test. Speeds are bits per second of TCP payload
// that the peer acknowledged; zero: not measured.
type Measurement struct {
	Endpoint   string        `json:"endpoint"`          // Endpoint.Name
	ExitIP     string        `json:"exit_ip,omitempty"` // public address of the node; empty: the endpoint does not report it
	Mode       SpeedMode     `json:"mode"`
	Down       int64         `json:"down,omitempty"`
	Up         int64         `json:"up,omitempty"`
	DownBytes  int64         `json:"down_bytes,omitempty"` // total, including slow start
	UpBytes    int64         `json:"up_bytes,omitempty"`
	Latency    time.Duration `json:"latency,omitempty"` // of a small request on an idle tunnel, median
	Jitter     time.Duration `json:"jitter,omitempty"`  // mean difference of neighbours
	LoadedDown time.Duration `json:"loaded_down,omitempty"`
	LoadedUp   time.Duration `json:"loaded_up,omitempty"`
	Loss       float64       `json:"loss"` // of GRE packets on their way here, 0 to 1
	Grade      string        `json:"grade,omitempty"`
	Confidence Confidence    `json:"confidence,omitempty"`
	Spread     float64       `json:"spread,omitempty"`  // standard deviation ÷ mean of the worse direction's samples
	Limited    bool          `json:"limited,omitempty"` // likely by the uplink of this machine
}

// SpeedPhase is the phase of a running speed test.
type SpeedPhase string

// The phases of a speed test, in order.
const (
	PhaseLatency  SpeedPhase = "latency"
	PhaseDownload SpeedPhase = "download"
	PhaseUpload   SpeedPhase = "upload"
)

// SpeedLive is the current figure of a running test.
type SpeedLive struct {
	Phase SpeedPhase
	Bits  int64 // per second, over the last quarter of a second
}

// Uplink is the speed of this machine, measured without a tunnel.
type Uplink struct {
	At      time.Time   `json:"at"` // zero: never measured
	Found   Measurement `json:"found"`
	Problem Text        `json:"problem,omitzero"` // why it could not be measured
}

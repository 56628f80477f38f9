package connexa

// ServicePlan is what starting or stopping services would mean.
type ServicePlan struct {
	Nodes    int // that were chosen
	On       int // of these, the services that are wanted already
	Unproven int // of those that are off, the nodes on which no login has worked since their last edit
}

// ServiceRate is how fast a gateway moved bytes in its last sample, a second.
type ServiceRate struct {
	Up, Down int64 // bits
}

// ServiceFormat is the shape of an exported list of services.
type ServiceFormat string

// The formats.
const (
	FormatSOCKS5   ServiceFormat = "socks5"   // socks5://user:password@host:port
	FormatHTTP     ServiceFormat = "http"     // http://user:password@host:port
	FormatHostPort ServiceFormat = "hostport" // host:port:user:password
	FormatUserPass ServiceFormat = "userpass" // user:password@host:port
	FormatCSV      ServiceFormat = "csv"
	FormatClash    ServiceFormat = "clash"   // a provider of mihomo or Clash, YAML
	FormatSingBox  ServiceFormat = "singbox" // outbounds of sing-box, JSON
)

// ServiceFormats lists every format.
func ServiceFormats() []ServiceFormat {
	return []ServiceFormat{FormatSOCKS5, FormatHTTP, FormatHostPort, FormatUserPass, FormatCSV, FormatClash, FormatSingBox}
}

package config

// SetupOpenVPN configures the command that creates what OpenVPN exits need but a panel
// without CAP_NET_ADMIN cannot create. It runs as root, once after each boot.
type SetupOpenVPN struct {
	Count  int    `default:"16" env:"CONNEXA_OPENVPN_COUNT" placeholder:"N" help:"Minimum number of devices (cxo0, cxo1, …). Each node with OpenVPN needs one."`
	User   string `default:"connexa" env:"CONNEXA_OPENVPN_USER" placeholder:"NAME" help:"System account of the panel. It owns the devices if there is no account connexa-ovpn and no --owner."`
	Owner  string `env:"CONNEXA_OPENVPN_OWNER" placeholder:"NAME" help:"System account that runs openvpn and owns the devices. Default: connexa-ovpn."`
	Remove bool   `env:"CONNEXA_OPENVPN_REMOVE" help:"Remove the devices and the nftables table."`
}

func (s *SetupOpenVPN) validate() error { return checkCount("--count", s.Count) }

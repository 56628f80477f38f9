package config

// SetupOpenVPN configures the command that creates what OpenVPN exits need but a panel
// without CAP_NET_ADMIN cannot create. It runs as root, once after each boot.
type SetupOpenVPN struct {
	Count  int    `default:"16" env:"CONNEXA_OPENVPN_COUNT" placeholder:"N" help:"How many devices there are to be at least, cxo0 and on: as many nodes can have OpenVPN switched on."`
	User   string `default:"connexa" env:"CONNEXA_OPENVPN_USER" placeholder:"NAME" help:"Account of the panel. It gets the devices where there is no account connexa-ovpn, and no --owner."`
	Owner  string `env:"CONNEXA_OPENVPN_OWNER" placeholder:"NAME" help:"Account that openvpn runs as and that owns the devices; default connexa-ovpn."`
	Remove bool   `env:"CONNEXA_OPENVPN_REMOVE" help:"Remove the devices and the table of nftables instead."`
}

func (s *SetupOpenVPN) validate() error { return checkCount("--count", s.Count) }

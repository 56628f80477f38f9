package views

import (
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// VPN is the OpenVPN exit of a node.
type VPN struct {
	connexa.VPNRow // without a port it never had one
	Seen           connexa.VPNSeen
	Lacks          []connexa.VPNLack // of this machine
}

// VPNTone is the colour of the state of an exit.
func VPNTone(s connexa.VPNState) Tone {
	switch s {
	case connexa.VPNStarting:
		return ToneInfo
	case connexa.VPNListening:
		return ToneGood
	case connexa.VPNFailed:
		return ToneBad
	default:
		return ToneNone
	}
}

// has says whether the node ever had an exit.
func (v *VPN) has() bool { return v != nil && v.Listen.IsValid() }

// state is that of the exit as a person means it: one that is wanted waits for its
// service.
func (v *VPN) state() connexa.VPNState {
	switch {
	case v.Seen.State == "":
		return connexa.VPNOff
	default:
		return v.Seen.State
	}
}

// word is the state in words.
func (v *VPN) word(p *i18n.Printer) string {
	if s := v.state(); s != connexa.VPNOff || !v.Wanted {
		return p.T("vpn.state." + string(s))
	}
	return p.T("vpn.state.waits")
}

// at is where clients of the exit come to, in the notation of the page.
func (v *VPN) at() string { return string(v.Protocol) + " " + v.Listen.String() }

// line is the exit in the list of services.
func (v *VPN) line(p *i18n.Printer) string {
	switch s := v.state(); s {
	case connexa.VPNListening:
		return "OpenVPN: " + p.T("vpn.clients", len(v.Seen.Clients))
	case connexa.VPNOff:
		return "OpenVPN"
	default:
		return "OpenVPN: " + p.T("vpn.state."+string(s))
	}
}

// key is what the list of services shows of the exit.
func (v *VPN) key() string {
	if v == nil || !v.Wanted {
		return ""
	}
	return string(v.state()) + strconv.Itoa(len(v.Seen.Clients))
}

// vpnClient is whose client it is, and which of its computers.
func vpnClient(c connexa.VPNClient) (who, what string) {
	if c.Profile.ID == 0 {
		return c.Name, ""
	}
	return c.Profile.Client, c.Profile.Label
}

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

// hasExit says whether the node ever had an exit.
func (v *VPN) hasExit() bool { return v != nil && v.Listen.IsValid() }

// shownState is that of the exit as a person means it: one that is wanted waits for its
// service.
func (v *VPN) shownState() connexa.VPNState {
	if v.Seen.State == "" {
		return connexa.VPNOff
	}
	return v.Seen.State
}

// stateWord is the state in words.
func (v *VPN) stateWord(p *i18n.Printer) string {
	if s := v.shownState(); s != connexa.VPNOff || !v.Wanted {
		return p.T("vpn.state." + string(s))
	}
	return p.T("vpn.state.waits")
}

// listenText is where clients of the exit come to, in the notation of the page.
func (v *VPN) listenText() string { return string(v.Protocol) + " " + v.Listen.String() }

// lineText is the exit in the list of services.
func (v *VPN) lineText(p *i18n.Printer) string {
	switch s := v.shownState(); s {
	case connexa.VPNListening:
		return "OpenVPN: " + p.T("vpn.clients", len(v.Seen.Clients))
	case connexa.VPNOff:
		return "OpenVPN"
	default:
		return "OpenVPN: " + p.T("vpn.state."+string(s))
	}
}

// rowKey is what the list of services shows of the exit.
func (v *VPN) rowKey() string {
	if v == nil || !v.Wanted {
		return ""
	}
	return string(v.shownState()) + strconv.Itoa(len(v.Seen.Clients))
}

// vpnClient is whose client it is, and which of its computers.
func vpnClient(c connexa.VPNClient) (who, what string) {
	if c.Profile.ID == 0 {
		return c.Name, ""
	}
	return c.Profile.Client, c.Profile.Label
}

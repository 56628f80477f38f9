package views

import (
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// VPN is the OpenVPN exit of a node.
type VPN struct {
	connexa.VPNRow // without Listen if the node never had an exit
	Seen           connexa.VPNSeen
	Lacks          []connexa.VPNLack // what this machine lacks
}

// VPNTone returns the colour of an exit state.
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

// hasExit reports whether the node ever had an exit.
func (v *VPN) hasExit() bool { return v != nil && v.Listen.IsValid() }

// shownState returns the state to show, which is off if no state was reported.
func (v *VPN) shownState() connexa.VPNState {
	if v.Seen.State == "" {
		return connexa.VPNOff
	}
	return v.Seen.State
}

// stateWord names the state. An enabled exit that is off waits for its service.
func (v *VPN) stateWord(p *i18n.Printer) string {
	if s := v.shownState(); s != connexa.VPNOff || !v.Wanted {
		return p.T("vpn.state." + string(s))
	}
	return p.T("vpn.state.waits")
}

// listenText returns the protocol and the address that the exit listens on.
func (v *VPN) listenText() string { return string(v.Protocol) + " " + v.Listen.String() }

// lineText describes the exit in the services list.
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

// rowKey identifies what the services list shows of the exit.
func (v *VPN) rowKey() string {
	if v == nil || !v.Wanted {
		return ""
	}
	return string(v.shownState()) + strconv.Itoa(len(v.Seen.Clients))
}

// vpnClient returns the client's name and the label of its profile, if it has one.
func vpnClient(c connexa.VPNClient) (who, what string) {
	if c.Profile.ID == 0 {
		return c.Name, ""
	}
	return c.Profile.Client, c.Profile.Label
}

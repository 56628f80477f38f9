package views

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// Profiles is the profiles page.
type Profiles struct {
	Clients  []connexa.Client // clients that may have a profile
	Profiles []connexa.Profile
	Links    map[int64]int // unused one-time links, by profile
	Form     ProfileForm
	Now      time.Time
	Node     int64 // node that the profile is for; 0 if unknown
}

// ProfileForm is the form that creates a profile.
type ProfileForm struct {
	Values map[string]string
	Errors connexa.FieldErrors
}

// ProfilePage is the page of one profile, with its files.
type ProfilePage struct {
	connexa.Profile
	Nodes     []ProfileNode
	Now       time.Time
	Links     int
	Host      string
	Elsewhere bool   // the exits are reachable from other machines
	Link      string // the link that was just created
	LinkUntil time.Time
	LinkFor   string // the node of Link
	Picked    map[int64]bool
}

// ProfileNode is a node with an OpenVPN exit.
type ProfileNode struct {
	Node connexa.Node
	VPN  connexa.VPNRow
	May  bool // the client may use it
}

func profileURL(id int64) string { return "/profiles/" + strconv.FormatInt(id, 10) }

func profilesURL(node int64) string {
	if node == 0 {
		return "/profiles"
	}
	return "/profiles?" + url.Values{"node": {strconv.FormatInt(node, 10)}}.Encode()
}

// profileState returns the state of a profile, without checks of its client.
func profileState(p connexa.Profile, now time.Time) (tone Tone, key string) {
	switch {
	case !p.RevokedAt.IsZero():
		return ToneBad, "profile.state.revoked"
	case !p.Good(now):
		return ToneWarn, "profile.state.expired"
	}
	return ToneGood, "profile.state.good"
}

func (v Profiles) clientOptions() []Option {
	options := make([]Option, len(v.Clients))
	for i, u := range v.Clients {
		options[i] = Option{strconv.FormatInt(u.ID, 10), u.Name}
	}
	return options
}

// noteText returns the details of a node in the list of a profile's files.
func (n ProfileNode) noteText(p *i18n.Printer) string {
	text := string(n.VPN.Protocol) + " " + strconv.Itoa(int(n.VPN.Listen.Port()))
	if where := placeText(p, &n.Node); where != "" {
		text = where + " · " + text
	}
	switch {
	case !n.May:
		text += " · " + p.T("profile.node.barred")
	case !n.VPN.Wanted:
		text += " · " + p.T("profile.node.off")
	}
	return text
}

func withNode(at string, node int64) string {
	if node == 0 {
		return at
	}
	return at + "?node=" + strconv.FormatInt(node, 10)
}

// flagValue returns the form value of a boolean.
func flagValue(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// ConfirmRevoke asks for confirmation before a profile is revoked.
func ConfirmRevoke(p *i18n.Printer, x connexa.Profile) Confirm {
	return Confirm{
		Title: p.T("profile.revoke.title", x.Label, x.Client), Text: p.T("profile.revoke.text"), Warning: p.T("profile.revoke.warning"),
		URL: profileURL(x.ID) + "/revoke", Button: p.T("profile.revoke"), Danger: true, Fields: []Hidden{{"yes", "1"}},
	}
}

// noteText returns the details of a profile except its owner.
func (v Profiles) noteText(p *i18n.Printer, x connexa.Profile) string {
	parts := []string{p.When(x.CreatedAt)}
	if !x.ExpiresAt.IsZero() {
		parts = append(parts, p.T("profile.until")+" "+p.When(x.ExpiresAt))
	}
	if x.Password {
		parts = append(parts, p.T("profile.with.password"))
	}
	if n := v.Links[x.ID]; n > 0 {
		parts = append(parts, p.T("profile.links", n))
	}
	return strings.Join(parts, " · ")
}

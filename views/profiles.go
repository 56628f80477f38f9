package views

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// Profiles is the page of profiles.
type Profiles struct {
	Clients  []connexa.Client // that may have one
	Profiles []connexa.Profile
	Links    map[int64]int // that can still be used, by profile
	Form     ProfileForm
	Now      time.Time
	Node     int64 // the profile is wanted for this node; zero: not said
}

// ProfileForm is the form that makes a profile.
type ProfileForm struct {
	Values map[string]string
	Errors connexa.FieldErrors
}

// ProfilePage is the page of one profile: its files.
type ProfilePage struct {
	connexa.Profile
	Nodes     []ProfileNode
	Now       time.Time
	Links     int
	Host      string
	Elsewhere bool   // other machines reach the exits
	Link      string // one that was made just now
	LinkUntil time.Time
	LinkFor   string // its node
	Picked    map[int64]bool
}

// ProfileNode is a node with an OpenVPN exit.
type ProfileNode struct {
	Node connexa.Node
	VPN  connexa.VPNRow
	May  bool // the access user may use it
}

func profileURL(id int64) string { return "/profiles/" + strconv.FormatInt(id, 10) }

func profilesURL(node int64) string {
	if node == 0 {
		return "/profiles"
	}
	return "/profiles?" + url.Values{"node": {strconv.FormatInt(node, 10)}}.Encode()
}

// profileState is whether a profile lets anybody in, as far as it is asked.
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

// noteText is what stands beside a node in the list of a profile's files.
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

// flagValue is how a form says yes or no.
func flagValue(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// ConfirmRevoke asks before a profile is revoked.
func ConfirmRevoke(p *i18n.Printer, x connexa.Profile) Confirm {
	return Confirm{
		Title: p.T("profile.revoke.title", x.Label, x.Client), Text: p.T("profile.revoke.text"), Warning: p.T("profile.revoke.warning"),
		URL: profileURL(x.ID) + "/revoke", Button: p.T("profile.revoke"), Danger: true, Fields: []Hidden{{"yes", "1"}},
	}
}

// noteText is what there is to know of a profile beside whose it is.
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

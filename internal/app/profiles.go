package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

type profileStore interface {
	Authority(ctx context.Context, create func() (cert string, key connexa.Secret, err error)) (cert string, key connexa.Secret, err error)
	VPNRows(ctx context.Context, nodes []int64) (map[int64]connexa.VPNRow, error)
	VPNs(ctx context.Context, nodes []int64) (map[int64]connexa.VPN, error)
	Clients(ctx context.Context) ([]connexa.Client, error)
	Client(ctx context.Context, id int64) (connexa.Client, error)
	AddProfile(ctx context.Context, p connexa.ProfileKey) (id int64, err error)
	RevokeProfile(ctx context.Context, id int64) error
	DeleteProfile(ctx context.Context, id int64) error
	Profiles(ctx context.Context, client int64) ([]connexa.Profile, error)
	ProfileKey(ctx context.Context, id int64) (connexa.ProfileKey, error)
	AddProfileLink(ctx context.Context, l connexa.ProfileLink, token string) error
	ProfileLink(ctx context.Context, token string) (connexa.ProfileLink, error)
	UseProfileLink(ctx context.Context, id int64) error
	ProfileLinks(ctx context.Context) (map[int64]int, error)
}

// Profiles are the OpenVPN certificates of clients.
type Profiles struct {
	env          Env
	store        profileStore
	certificates certificates
	nodes        nodeReader
}

// NewProfiles returns Profiles.
func NewProfiles(env Env, store profileStore, certificates certificates, nodes nodeReader) *Profiles {
	return &Profiles{env: env, store: store, certificates: certificates, nodes: nodes}
}

// Profiles lists the profiles of a client, or of all clients if client is 0.
func (a *Profiles) Profiles(ctx context.Context, client int64) ([]connexa.Profile, error) {
	return a.store.Profiles(ctx, client)
}

// ProfileLinks counts the usable links of each profile.
func (a *Profiles) ProfileLinks(ctx context.Context) (map[int64]int, error) {
	return a.store.ProfileLinks(ctx)
}

// ProfileClients lists the clients, which may have profiles.
func (a *Profiles) ProfileClients(ctx context.Context) ([]connexa.Client, error) {
	return a.store.Clients(ctx)
}

// ProfileNode is a node that has an OpenVPN exit.
type ProfileNode struct {
	Node connexa.Node
	VPN  connexa.VPNRow
	May  bool // the client may use it
}

// ProfileNodes returns a profile and the nodes with an OpenVPN exit, by address.
func (a *Profiles) ProfileNodes(ctx context.Context, id int64) ([]ProfileNode, connexa.Profile, error) {
	p, err := a.profileByID(ctx, id)
	if err != nil {
		return nil, p, err
	}
	client, err := a.store.Client(ctx, p.ClientID)
	if err != nil {
		return nil, p, err
	}
	rows, err := a.store.VPNRows(ctx, nil)
	if err != nil {
		return nil, p, err
	}
	nodes, err := a.nodes.NodesByID(ctx, slices.Collect(maps.Keys(rows)))
	if err != nil {
		return nil, p, err
	}
	list := make([]ProfileNode, len(nodes))
	for i, n := range nodes {
		list[i] = ProfileNode{n, rows[n.ID], client.MayUse(n.ID, n.Tags)}
	}
	slices.SortFunc(list, func(a, b ProfileNode) int {
		return cmp.Or(compareAddresses(a.Node.Address, b.Node.Address), cmp.Compare(a.Node.ID, b.Node.ID))
	})
	return list, p, nil
}

// AddProfile adds a profile of a client with a certificate of its own.
func (a *Profiles) AddProfile(ctx context.Context, n connexa.NewProfile) (int64, error) {
	n.Label = strings.TrimSpace(n.Label)
	if err := n.Check(a.env.Now()); err != nil {
		return 0, err
	}
	client, err := a.store.Client(ctx, n.ClientID)
	if err != nil {
		return 0, err
	}
	caCert, caKey, err := a.store.Authority(ctx, a.certificates.Authority)
	if err != nil {
		return 0, err
	}
	p := connexa.ProfileKey{Profile: connexa.Profile{ClientID: client.ID, Client: client.Name, Label: n.Label, Name: certificateName(client.Name), Password: n.Password, ExpiresAt: n.Expires}}
	if p.Cert, p.Key, p.Serial, err = a.certificates.Client(caCert, caKey, p.Name); err != nil {
		return 0, err
	}
	id, err := a.store.AddProfile(ctx, p)
	if err != nil {
		return 0, err
	}
	a.profilesChanged()
	a.env.recordAct(ctx, connexa.ActServiceChanged, connexa.T("profile.audit.added", p.Label, p.Client))
	return id, nil
}

// certificateName returns a unique name that begins with the name of the client,
// because clients and servers log it.
func certificateName(client string) string {
	var b [4]byte
	rand.Read(b[:])
	return client[:min(len(client), 48)] + "." + hex.EncodeToString(b[:])
}

// profilesChanged notifies the exits, which disconnect revoked profiles, and the pages.
func (a *Profiles) profilesChanged() {
	a.env.Publish(connexa.Event{Topic: connexa.ProfilesChanged})
}

// profileByID returns a profile without its key.
func (a *Profiles) profileByID(ctx context.Context, id int64) (connexa.Profile, error) {
	list, err := a.store.Profiles(ctx, 0)
	if err != nil {
		return connexa.Profile{}, err
	}
	i := slices.IndexFunc(list, func(p connexa.Profile) bool { return p.ID == id })
	if i < 0 {
		return connexa.Profile{}, connexa.Errorf(connexa.NotFound, "profile.gone")
	}
	return list[i], nil
}

// RevokeProfile ends a profile for good and disconnects its connections.
func (a *Profiles) RevokeProfile(ctx context.Context, id int64) error {
	p, err := a.profileByID(ctx, id)
	if err != nil {
		return err
	}
	if err := a.store.RevokeProfile(ctx, id); err != nil {
		return err
	}
	a.profilesChanged()
	a.env.recordAct(ctx, connexa.ActServiceChanged, connexa.T("profile.audit.revoked", p.Label, p.Client))
	return nil
}

// DeleteProfile deletes a revoked or expired profile.
func (a *Profiles) DeleteProfile(ctx context.Context, id int64) error {
	p, err := a.profileByID(ctx, id)
	if err != nil {
		return err
	}
	if p.Good(a.env.Now()) {
		return connexa.Errorf(connexa.Conflict, "profile.delete.good")
	}
	if err := a.store.DeleteProfile(ctx, id); err != nil {
		return err
	}
	a.profilesChanged()
	a.env.recordAct(ctx, connexa.ActServiceChanged, connexa.T("profile.audit.deleted", p.Label, p.Client))
	return nil
}

// ProfileFile is a configuration file of an OpenVPN client.
type ProfileFile struct {
	Name string // with its extension
	Body []byte
}

// ProfileFiles returns the files of a profile for nodes, with host as the address of
// the exits, and records the act. Nodes without an OpenVPN exit are left out.
func (a *Profiles) ProfileFiles(ctx context.Context, id int64, nodes []int64, host string) ([]ProfileFile, error) {
	p, files, err := a.profileFiles(ctx, id, nodes, host)
	if err != nil {
		return nil, err
	}
	a.env.recordAct(ctx, connexa.ActExport, connexa.T("profile.audit.files", len(files), p.Label, p.Client))
	return files, nil
}

func (a *Profiles) profileFiles(ctx context.Context, id int64, nodes []int64, host string) (connexa.ProfileKey, []ProfileFile, error) {
	p, err := a.store.ProfileKey(ctx, id)
	if err != nil {
		return p, nil, err
	}
	if !p.Good(a.env.Now()) {
		return p, nil, connexa.Errorf(connexa.Conflict, "profile.expired")
	}
	vpns, err := a.store.VPNs(ctx, nodes)
	if err != nil {
		return p, nil, err
	}
	list, err := a.nodes.NodesByID(ctx, nodes)
	if err != nil {
		return p, nil, err
	}
	var files []ProfileFile
	for _, n := range list {
		v, ok := vpns[n.ID]
		if !ok {
			continue
		}
		title := n.Address + " · " + p.Client + " " + strings.Map(plainTitle, p.Label)
		if n.Country != "" {
			title = n.Country + " " + title
		}
		body, err := a.certificates.File(p, v, host, title)
		if err != nil {
			return p, nil, err
		}
		files = append(files, ProfileFile{Name: profileFile(n, p.Client), Body: body})
	}
	if len(files) == 0 {
		return p, nil, connexa.Errorf(connexa.NotFound, "vpn.none")
	}
	return p, files, nil
}

// plainTitle removes characters that a line of a profile cannot hold.
func plainTitle(r rune) rune {
	if r < ' ' || r == 0x7f || r == '"' || r == '\\' {
		return -1
	}
	return r
}

// profileFile returns the file name for a node, which clients show in their lists. It is
// not unique: nodes may have equal addresses.
func profileFile(n connexa.Node, client string) string {
	name := n.Address + "-" + client
	if n.Country != "" {
		name = n.Country + "-" + name
	}
	return strings.Map(func(r rune) rune {
		if r == ':' || r == '/' || r == '\\' || r < ' ' {
			return '-'
		}
		return r
	}, name) + ".ovpn"
}

// linkHours is the maximum lifetime of a link, in hours.
const linkHours = 24 * 7

// LinkProfile creates a link that downloads the file of a profile for a node once,
// within life, and returns its token.
func (a *Profiles) LinkProfile(ctx context.Context, id, node int64, life time.Duration) (token string, until time.Time, err error) {
	if life <= 0 || life > linkHours*time.Hour {
		return "", until, connexa.Errorf(connexa.Invalid, "profile.link.life")
	}
	p, err := a.profileByID(ctx, id)
	if err != nil {
		return "", until, err
	}
	if !p.Good(a.env.Now()) {
		return "", until, connexa.Errorf(connexa.Conflict, "profile.expired")
	}
	token, until = rand.Text(), a.env.Now().Add(life)
	if err := a.store.AddProfileLink(ctx, connexa.ProfileLink{ProfileID: id, NodeID: node, ExpiresAt: until}, token); err != nil {
		return "", until, err
	}
	a.env.recordAct(ctx, connexa.ActExport, connexa.T("profile.audit.link", p.Label, p.Client))
	a.profilesChanged()
	return token, until, nil
}

// ProfileLinkGood returns an error unless a link can be used.
func (a *Profiles) ProfileLinkGood(ctx context.Context, token string) error {
	_, err := a.store.ProfileLink(ctx, token)
	return err
}

// TakeProfile uses up a link and returns the file if its client is allowed. It records
// the address of the request.
func (a *Profiles) TakeProfile(ctx context.Context, token, host string) (ProfileFile, error) {
	l, err := a.store.ProfileLink(ctx, token)
	if err != nil {
		return ProfileFile{}, err
	}
	p, files, err := a.profileFiles(ctx, l.ProfileID, []int64{l.NodeID}, host)
	if err != nil {
		return ProfileFile{}, err
	}
	u, err := a.store.Client(ctx, p.ClientID)
	if err != nil {
		return ProfileFile{}, err
	}
	// Traffic of the last seconds is not stored yet, so it cannot block the client here.
	if u.State(a.env.Now(), u.Up+u.Down) != connexa.ClientGranted {
		// The link stays usable, because the client may be allowed again.
		return ProfileFile{}, connexa.Errorf(connexa.Conflict, "profile.link.closed")
	}
	if err := a.store.UseProfileLink(ctx, l.ID); err != nil {
		return ProfileFile{}, err
	}
	a.env.recordAct(ctx, connexa.ActExport, connexa.T("profile.audit.taken", p.Label, p.Client))
	a.profilesChanged()
	return files[0], nil
}

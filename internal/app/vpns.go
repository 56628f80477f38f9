package app

import (
	"context"

	"github.com/connexa-panel/connexa/internal/connexa"
)

type vpnStore interface {
	CheckVPNs(ctx context.Context, nodes []int64) error
	ShapeVPN(ctx context.Context, node int64, protocol connexa.VPNProtocol, together bool) error
	VPNRows(ctx context.Context, nodes []int64) (map[int64]connexa.VPNRow, error)
	Profiles(ctx context.Context, client int64) ([]connexa.Profile, error)
}

// exits are the running OpenVPN exits.
type exits interface {
	SeenVPN(node int64) connexa.VPNSeen
	Disconnect(node int64, name string)
}

// certificates issues the certificates of OpenVPN exits and their clients.
type certificates interface {
	Authority() (cert string, key connexa.Secret, err error)
	Server(caCert string, caKey connexa.Secret, node int64) (connexa.VPNIdentity, error)
	Client(caCert string, caKey connexa.Secret, name string) (cert string, key connexa.Secret, serial string, err error)
	File(p connexa.ProfileKey, v connexa.VPN, host, title string) ([]byte, error)
}

// VPNs switches the OpenVPN exits of services. The zero value is a panel without exits.
type VPNs struct {
	env      Env
	store    vpnStore
	exits    exits
	missing  func(context.Context) []connexa.VPNLack
	services *Services
	acts     *Acts
}

// NewVPNs returns VPNs. missing lists what this host lacks for exits. Optional.
func NewVPNs(env Env, store vpnStore, exits exits, missing func(context.Context) []connexa.VPNLack, services *Services, acts *Acts) *VPNs {
	return &VPNs{env: env, store: store, exits: exits, missing: missing, services: services, acts: acts}
}

// Exits reports whether the panel can have OpenVPN exits.
func (a *VPNs) Exits() bool { return a.store != nil && a.services.Serves() }

// VPNLacks lists what this host lacks for OpenVPN exits.
func (a *VPNs) VPNLacks(ctx context.Context) []connexa.VPNLack {
	if a.missing == nil {
		return nil
	}
	return a.missing(ctx)
}

// SwitchVPNs switches the OpenVPN exits of the nodes of s on or off with a bulk act. More
// than SmallAct exits are switched in the background. An exit runs while its service does.
// If there are no nodes, the error is NotFound; if there are not enough ports or devices,
// it is Conflict.
func (a *VPNs) SwitchVPNs(ctx context.Context, s connexa.Selection, on bool) (connexa.BulkAct, error) {
	if !a.Exits() {
		return connexa.BulkAct{}, connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	ids, err := a.services.nodes.SelectNodes(ctx, s)
	if err != nil {
		return connexa.BulkAct{}, err
	}
	if len(ids) == 0 {
		return connexa.BulkAct{}, connexa.Errorf(connexa.NotFound, "acts.gone")
	}
	kind := connexa.BulkStopVPN
	if on {
		kind = connexa.BulkStartVPN
		if err := a.store.CheckVPNs(ctx, ids); err != nil {
			return connexa.BulkAct{}, err
		}
	}
	return a.acts.start(ctx, connexa.NewAct{Bulk: connexa.Bulk{Kind: kind}, IDs: ids}, a.services.namesOf(ctx, s, ids))
}

// ShapeVPN sets the protocol of the OpenVPN exit of a node and switches it on or off.
func (a *VPNs) ShapeVPN(ctx context.Context, node int64, on bool, protocol connexa.VPNProtocol, together bool) error {
	if protocol != connexa.VPNOverUDP && protocol != connexa.VPNOverTCP {
		return connexa.Errorf(connexa.Invalid, "field.vpn.protocol")
	}
	n, err := a.services.nodes.Node(ctx, node)
	if err != nil {
		return err
	}
	one := connexa.Selection{IDs: []int64{node}}
	rows, err := a.store.VPNRows(ctx, one.IDs)
	if err == nil && rows[node].Wanted != on {
		if _, err = a.SwitchVPNs(ctx, one, on); err == nil {
			rows, err = a.store.VPNRows(ctx, one.IDs)
		}
	}
	if err != nil {
		return err
	}
	if r, ok := rows[node]; !ok || r.Protocol == protocol && r.Together == together {
		return nil
	}
	if err := a.store.ShapeVPN(ctx, node, protocol, together); err != nil {
		return err
	}
	a.env.recordAct(ctx, connexa.ActServiceChanged, connexa.T("vpn.audit.shape", nameOf(n.ID, &n), string(protocol)))
	a.services.runner.Wake()
	a.env.Publish(connexa.Event{Topic: connexa.ServiceChanged, ID: node})
	return nil
}

// VPNRows returns the OpenVPN exits of nodes as configured, by node. Nil nodes means
// all exits.
func (a *VPNs) VPNRows(ctx context.Context, nodes []int64) (map[int64]connexa.VPNRow, error) {
	if !a.Exits() {
		return nil, nil
	}
	return a.store.VPNRows(ctx, nodes)
}

// SeenVPN returns the state of the OpenVPN exit of a node, with its connected clients
// and their profiles.
func (a *VPNs) SeenVPN(ctx context.Context, node int64) (connexa.VPNSeen, error) {
	seen := a.exits.SeenVPN(node)
	if len(seen.Clients) == 0 {
		return seen, nil
	}
	profiles, err := a.store.Profiles(ctx, 0)
	if err != nil {
		return seen, err
	}
	bySerial := make(map[string]connexa.Profile, len(profiles))
	for _, p := range profiles {
		bySerial[p.Serial] = p
	}
	for i, c := range seen.Clients {
		seen.Clients[i].Profile = bySerial[c.Serial]
	}
	return seen, nil
}

// SeenVPNs returns the state of the OpenVPN exits of nodes, by node. Its clients have
// no profiles.
func (a *VPNs) SeenVPNs(nodes []int64) map[int64]connexa.VPNSeen {
	seen := make(map[int64]connexa.VPNSeen, len(nodes))
	for _, n := range nodes {
		seen[n] = a.exits.SeenVPN(n)
	}
	return seen
}

// Disconnect closes the connections of a certificate name at the OpenVPN exit of a
// node.
func (a *VPNs) Disconnect(ctx context.Context, node int64, name string) error {
	n, err := a.services.nodes.Node(ctx, node)
	if err != nil {
		return err
	}
	a.exits.Disconnect(node, name)
	a.env.recordAct(ctx, connexa.ActServiceChanged, connexa.T("vpn.audit.disconnect", name, nameOf(n.ID, &n)))
	return nil
}

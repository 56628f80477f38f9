package views

import (
	"maps"
	"net/netip"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// serviceSamples returns the service pages.
func serviceSamples(p *i18n.Printer, pg Page) map[string]templ.Component {
	pg.Serving, pg.Charts = 37, true
	line := func(id int64, port uint16, change func(*ServiceRow)) ServiceRow {
		l := ServiceRow{Node: sampleNode().Node, ServiceRow: connexa.ServiceRow{
			ServiceReport: connexa.ServiceReport{NodeID: id, State: connexa.ServiceOnline, Since: now.Add(-2 * time.Hour), UpAt: now.Add(-2 * time.Hour), ExitIP: "203.0.113.77", Latency: 42 * time.Millisecond},
			Wanted:        true, Listen: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), User: "exit-7", Up: 81e6, Down: 2_480e6, Open: 12,
		}}
		l.Node.ID = id
		change(&l)
		return l
	}
	lost := func(l *ServiceRow) {
		l.State, l.UpAt, l.Latency, l.Open = connexa.ServiceReconnecting, time.Time{}, 0, 0
		l.Reason, l.Cause, l.RetryAt = connexa.T("service.reason.ended"), "gre.no_inbound", now.Add(time.Minute)
	}
	v := Services{
		Counts: map[connexa.ServiceState]int{connexa.ServiceOnline: 34, connexa.ServiceReconnecting: 2, connexa.ServiceFailed: 1},
		Rows: []ServiceRow{
			line(7, 20007, func(l *ServiceRow) { l.Rate = connexa.ServiceRate{Down: 38_600_000, Up: 900_000} }),
			line(8, 20008, lost),
			line(9, 20009, func(l *ServiceRow) {
				lost(l)
				l.State, l.Reason, l.Cause = connexa.ServiceFailed, connexa.T("service.reason.refused"), "auth.691"
			}),
		},
		IDs: []int64{7, 8, 9}, Next: "/services?page=2", Stream: "/events?page=services",
	}
	narrowed := v
	narrowed.Filter, narrowed.Tags = connexa.ServiceFilter{Text: "rack", Tags: []string{"eu"}}, []connexa.Facet{{Value: "eu", Count: 12}, {Value: "fast", Count: 3}}
	served, off := sampleNode(), sampleNode()
	served.Serves, served.Service, served.Rate = true, &v.Rows[0].ServiceRow, v.Rows[0].Rate
	served.Charts.TrafficEvery = time.Hour
	for i := range 7 * 24 {
		served.Charts.Traffic = append(served.Charts.Traffic, connexa.TrafficPoint{At: served.Charts.From.Add(time.Duration(i) * time.Hour), Down: uint64(1+i*i*7%31) * 90e6, Up: uint64(i%5) * 40e6})
	}
	off.Serves = true
	vpnNode := vpnSamples(pg, &v, served)
	access := ServiceCredentials{NodeID: 7, Name: "203.0.113.77", Host: "proxy.example.net", Port: 20007, User: "exit-7", Password: "MNRH5ZEWAL72YA4N536263756V"}
	pages := map[string]templ.Component{
		"services":      ServicesPage(pg, v),
		"services-none": ServicesPage(pg, Services{}),
		"services-some": ServicesPage(pg, narrowed),
		"node-served":   NodePage(pg, served),
		"node-off":      NodePage(pg, off),
		"access":        ServiceCredentialsPage(pg, access),
		"services-ask":  ConfirmPage(pg, ConfirmServices(p, true, connexa.ServicePlan{Nodes: 40, On: 3, NoPort: 2, Unproven: 5}, connexa.FilterText("x").Values())),
	}
	maps.Copy(pages, vpnNode)
	return pages
}

// vpnSamples returns the OpenVPN pages.
func vpnSamples(pg Page, services *Services, node Node) map[string]templ.Component {
	exit := VPN{VPNRow: connexa.VPNRow{NodeID: 7, Wanted: true, Protocol: connexa.VPNOverUDP, Listen: netip.MustParseAddrPort("203.0.113.5:11007")}}
	exit.Seen = connexa.VPNSeen{State: connexa.VPNListening, Since: now.Add(-2 * time.Hour), Log: []string{"2026-11-20 11:04:31 Initialization Sequence Completed"}}
	phone := connexa.Profile{ID: 3, ClientID: 1, Client: "ann", Label: "phone", Name: "ann-example.3f9a2b1c", Serial: "4a", CreatedAt: now.Add(-26 * time.Hour)}
	for i, from := range []string{"198.51.100.17:41022", "[2001:db8:4f:1::17]:1194"} {
		c := connexa.VPNClient{Name: "ann-example.3f9a2b1c" + strconv.Itoa(i), Profile: phone, From: netip.MustParseAddrPort(from), Since: now.Add(-40 * time.Minute), Platform: "android", Up: 8e6, Down: 710e6}
		if i == 1 {
			c.Profile.Client, c.Profile.Label, c.Platform = "maximilian-mustermann", "the laptop of the accounting office", "win"
		}
		exit.Seen.Clients = append(exit.Seen.Clients, c)
	}
	services.Exits, services.Rows[0].VPN = true, &exit
	failed := exit
	failed.Seen = connexa.VPNSeen{State: connexa.VPNFailed, Since: now.Add(-time.Minute), Reason: connexa.T("vpn.lack.openvpn"), Fix: "apt-get install openvpn"}
	services.Rows[1].VPN = &failed
	lacking := *services
	lacking.Lacks = []connexa.VPNLack{{Code: "openvpn", Fix: "apt-get install openvpn"}, {Code: "device", Fix: "sudo connexa setup-openvpn"}}
	node.VPN = &exit
	lacks, off := node, node
	failed.Lacks = lacking.Lacks
	lacks.VPN, off.VPN = &failed, &VPN{}
	revoked, late := phone, phone
	revoked.ID, revoked.Label, revoked.RevokedAt = 4, "old phone", now.Add(-time.Hour)
	late.ID, late.Client, late.Label, late.ExpiresAt, late.Password = 5, "maximilian-mustermann", "the laptop of the accounting office", now.Add(40*time.Hour), true
	list := Profiles{
		Clients: []connexa.Client{{ID: 1, Name: "ann"}}, Profiles: []connexa.Profile{phone, late, revoked}, Links: map[int64]int{3: 2}, Now: now,
		Form: ProfileForm{Values: map[string]string{}, Errors: connexa.FieldErrors{}},
	}
	files := ProfilePage{Profile: late, Now: now, Host: "vpn.example.net", Picked: map[int64]bool{7: true}}
	for i := range 4 {
		n := ProfileNode{Node: node.Node, VPN: exit.VPNRow, May: i != 2}
		n.Node.ID = int64(7 + i)
		n.VPN.Wanted = i != 1
		files.Nodes = append(files.Nodes, n)
	}
	link := files
	link.Link, link.LinkUntil, link.LinkFor = "https://panel.example.net/profile#6FHPKYS2VB6MGUWPT57ZVX4LRN", now.Add(24*time.Hour), "203.0.113.77"
	link.Elsewhere = true
	ended := files
	ended.Profile = revoked
	return map[string]templ.Component{
		"vpn-node":       NodePage(pg, node),
		"vpn-node-lacks": NodePage(pg, lacks),
		"vpn-node-off":   NodePage(pg, off),
		"vpn-services":   ServicesPage(pg, lacking),
		"vpn-profiles":   ProfilesPage(pg, list),
		"vpn-none":       ProfilesPage(pg, Profiles{Now: now}),
		"vpn-files":      ProfileFilesPage(pg, files),
		"vpn-link":       ProfileFilesPage(pg, link),
		"vpn-ended":      ProfileFilesPage(pg, ended),
		"vpn-take":       TakeProfilePage(Page{Theme: pg.Theme}),
	}
}

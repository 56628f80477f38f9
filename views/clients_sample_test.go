package views

import (
	"net/netip"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// clientSamples returns the client pages.
func clientSamples(p *i18n.Printer, pg Page) map[string]templ.Component {
	row := func(id int64, name string, change func(*ClientRow)) ClientRow {
		r := ClientRow{Client: connexa.Client{ID: id, Name: name, Enabled: true, Scope: connexa.ScopeAll, CountedFrom: now.Add(-300 * time.Hour), CreatedAt: now.Add(-900 * time.Hour)}}
		change(&r)
		return r
	}
	office := row(1, "office-berlin", func(r *ClientRow) {
		r.Note, r.Quota, r.Period, r.Expires = "The branch in Berlin: ask Jana before you change something here", 250e9, connexa.QuotaMonthly, now.Add(9000*time.Hour)
		r.Sources = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
		r.Live = connexa.ClientLive{Up: 31e9, Down: 203e9, Open: 12, SeenAt: now.Add(-time.Minute), SeenFrom: "192.0.2.77"}
	})
	spent := row(2, "a-name-as-long-as-the-name-of-a-client-may-be-which-is-64-charac", func(r *ClientRow) {
		r.Scope, r.Nodes, r.Quota = connexa.ScopeNodes, []int64{8}, 5e9
		r.Live = connexa.ClientLive{
			State: connexa.ClientOverQuota, Up: 1e9, Down: 4e9, SeenAt: now.Add(-30 * time.Hour), SeenFrom: "2001:db8:1234:5678:9abc:def0:1234:5678",
			Refused: connexa.ClientOverQuota, RefusedAt: now.Add(-time.Hour), RefusedFrom: "198.51.100.7",
		}
	})
	off := row(3, "anna-k", func(r *ClientRow) {
		r.Enabled, r.Scope, r.Tags, r.Live.State = false, connexa.ScopeTags, []string{"eu", "fast"}, connexa.ClientDisabled
	})
	v := ClientList{
		Counts: map[string]int{ClientActive: 1, string(connexa.ClientOverQuota): 1, string(connexa.ClientDisabled): 1}, Rows: []ClientRow{off, spent, office}, Total: 300,
		Next: "/clients?page=2", Stream: "/events?page=clients",
	}
	node := sampleNode().Node
	service := ServiceRow{Node: node, ServiceRow: connexa.ServiceRow{
		ServiceReport: connexa.ServiceReport{NodeID: node.ID, State: connexa.ServiceOnline, ExitIP: "203.0.113.77"}, Wanted: true, Listen: netip.MustParseAddrPort("127.0.0.1:20007"),
	}}
	input := connexa.ClientInput{Name: "a b", Scope: "tags", Quota: "-1", Unit: "GB", Sources: "192.0.2.300", Enabled: true}
	wrong := connexa.FieldErrors{}
	wrong.Add("name", "field.client.name", connexa.MaxClientName)
	wrong.Add("tags", "field.client.tags")
	wrong.Add("quota", "field.client.quota")
	wrong.Add("sources", "field.client.sources", "192.0.2.300")
	chosen := connexa.ClientInput{Name: "office-berlin", Scope: "nodes", Nodes: []string{"7"}, Quota: "250", Unit: "GB", Period: "month", Expires: "2027-12-31", Enabled: true, Note: office.Note}
	line := ServiceCredentials{NodeID: 7, Name: "203.0.113.77", Host: "exits.example.net", Port: 20007, User: "office-berlin", Password: "kite-blue7-kite-blue7", Online: true}
	other := line
	other.NodeID, other.Name, other.Port = 8, "vpn-of-a-friend.example.org", 20008
	return map[string]templ.Component{
		"clients":             ClientListPage(pg, v),
		"clients-empty":       ClientListPage(pg, ClientList{}),
		"clients-none":        ClientListPage(pg, ClientList{Text: "nobody", State: "expired", Counts: v.Counts}),
		"clients-one":         ClientPage(pg, ClientDetail{ClientRow: office, Services: []ServiceRow{service}}),
		"clients-spent":       ClientPage(pg, ClientDetail{ClientRow: spent, Named: []connexa.Node{node}}),
		"clients-off":         ClientPage(pg, ClientDetail{ClientRow: off}),
		"clients-new":         ClientFormPage(pg, ClientForm{Input: input, Errors: wrong, Tags: []string{"eu"}}),
		"clients-edit":        ClientFormPage(pg, ClientForm{ID: 1, Revision: 3, Input: chosen, Nodes: []ServiceRow{service}}),
		"clients-credentials": ClientCredentialsPage(pg, ClientCredentials{ID: 1, Name: "office-berlin", Password: line.Password, Services: []ServiceCredentials{line, other}}),
		"clients-nobody":      ClientCredentialsPage(pg, ClientCredentials{ID: 1, Name: "office-berlin", Password: line.Password, State: connexa.ClientExpired, Elsewhere: true}),
		"clients-ask":         ConfirmPage(pg, ConfirmClient(p, "delete", 1, "office-berlin")),
	}
}

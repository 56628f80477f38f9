package views

import (
	"net/netip"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// accessSamples are the pages about access users.
func accessSamples(p *i18n.Printer, pg Page) map[string]templ.Component {
	row := func(id int64, name string, change func(*AccessRow)) AccessRow {
		r := AccessRow{AccessUser: connexa.AccessUser{ID: id, Name: name, Enabled: true, Scope: connexa.AccessAll, CountedFrom: now.Add(-300 * time.Hour), CreatedAt: now.Add(-900 * time.Hour)}}
		change(&r)
		return r
	}
	office := row(1, "office-berlin", func(r *AccessRow) {
		r.Note, r.Quota, r.Period, r.Expires = "The branch in Berlin: ask Jana before you change something here", 250e9, connexa.QuotaMonthly, now.Add(9000*time.Hour)
		r.Sources = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
		r.Live = connexa.AccessLive{Up: 31e9, Down: 203e9, Open: 12, SeenAt: now.Add(-time.Minute), SeenFrom: "192.0.2.77"}
	})
	spent := row(2, "a-name-as-long-as-a-name-of-an-access-user-may-be-which-is-64-ch", func(r *AccessRow) {
		r.Scope, r.Nodes, r.Quota = connexa.AccessNodes, []int64{8}, 5e9
		r.Live = connexa.AccessLive{
			State: connexa.AccessSpent, Up: 1e9, Down: 4e9, SeenAt: now.Add(-30 * time.Hour), SeenFrom: "2001:db8:1234:5678:9abc:def0:1234:5678",
			Refused: connexa.AccessSpent, RefusedAt: now.Add(-time.Hour), RefusedFrom: "198.51.100.7",
		}
	})
	off := row(3, "anna-k", func(r *AccessRow) {
		r.Enabled, r.Scope, r.Tags, r.Live.State = false, connexa.AccessTags, []string{"eu", "fast"}, connexa.AccessDisabled
	})
	v := AccessList{
		Counts: map[string]int{AccessActive: 1, string(connexa.AccessSpent): 1, string(connexa.AccessDisabled): 1}, Rows: []AccessRow{off, spent, office}, Total: 300,
		Next: "/access?page=2", Stream: "/events?page=people",
	}
	node := sampleNode().Node
	service := ServiceLine{Node: node, ServiceRow: connexa.ServiceRow{
		Gateway: connexa.Gateway{NodeID: node.ID, State: connexa.GatewayOnline, ExitIP: "203.0.113.77"}, Wanted: true, Listen: netip.MustParseAddrPort("127.0.0.1:20007"),
	}}
	input := connexa.AccessInput{Name: "a b", Scope: "tags", Quota: "-1", Unit: "GB", Sources: "192.0.2.300", Enabled: true}
	wrong := connexa.FieldErrors{}
	wrong.Add("name", "field.access.name", connexa.MaxAccessName)
	wrong.Add("tags", "field.access.tags")
	wrong.Add("quota", "field.access.quota")
	wrong.Add("sources", "field.access.sources", "192.0.2.300")
	chosen := connexa.AccessInput{Name: "office-berlin", Scope: "nodes", Nodes: []string{"7"}, Quota: "250", Unit: "GB", Period: "month", Expires: "2027-12-31", Enabled: true, Note: office.Note}
	line := ServiceAccess{NodeID: 7, Name: "203.0.113.77", Host: "exits.example.net", Port: 20007, User: "office-berlin", Password: "kite-blue7-kite-blue7", Online: true}
	other := line
	other.NodeID, other.Name, other.Port = 8, "vpn-of-a-friend.example.org", 20008
	return map[string]templ.Component{
		"people":        AccessListPage(pg, v),
		"people-empty":  AccessListPage(pg, AccessList{}),
		"people-none":   AccessListPage(pg, AccessList{Text: "nobody", State: "expired", Counts: v.Counts}),
		"people-one":    AccessPage(pg, Access{AccessRow: office, Services: []ServiceLine{service}}),
		"people-spent":  AccessPage(pg, Access{AccessRow: spent, Named: []connexa.Node{node}}),
		"people-off":    AccessPage(pg, Access{AccessRow: off}),
		"people-new":    AccessFormPage(pg, AccessForm{Input: input, Errors: wrong, Tags: []string{"eu"}}),
		"people-edit":   AccessFormPage(pg, AccessForm{ID: 1, Revision: 3, Input: chosen, Nodes: []ServiceLine{service}}),
		"people-lines":  AccessLinesPage(pg, AccessLines{ID: 1, Name: "office-berlin", Password: line.Password, Services: []ServiceAccess{line, other}}),
		"people-nobody": AccessLinesPage(pg, AccessLines{ID: 1, Name: "office-berlin", Password: line.Password, State: connexa.AccessExpired, Elsewhere: true}),
		"people-ask":    ConfirmPage(pg, ConfirmAccess(p, "delete", 1, "office-berlin")),
	}
}

package views

import (
	"net/netip"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// serviceSamples are the pages about services.
func serviceSamples(p *i18n.Printer, pg Page) map[string]templ.Component {
	pg.Serving, pg.Charts = 37, true
	line := func(id int64, port uint16, change func(*ServiceLine)) ServiceLine {
		l := ServiceLine{Node: sampleNode().Node, ServiceRow: connexa.ServiceRow{
			Gateway: connexa.Gateway{NodeID: id, State: connexa.GatewayOnline, Since: now.Add(-2 * time.Hour), UpAt: now.Add(-2 * time.Hour), ExitIP: "203.0.113.77", Latency: 42 * time.Millisecond},
			Wanted:  true, Listen: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), User: "exit-7", Up: 81e6, Down: 2_480e6, Open: 12,
		}}
		l.Node.ID = id
		change(&l)
		return l
	}
	lost := func(l *ServiceLine) {
		l.State, l.UpAt, l.Latency, l.Open = connexa.GatewayReconnecting, time.Time{}, 0, 0
		l.Reason, l.Cause, l.RetryAt = connexa.T("service.reason.ended"), "gre.no_inbound", now.Add(time.Minute)
	}
	v := Services{
		Counts: map[connexa.GatewayState]int{connexa.GatewayOnline: 34, connexa.GatewayReconnecting: 2, connexa.GatewayFailed: 1},
		Rows: []ServiceLine{
			line(7, 20007, func(l *ServiceLine) { l.Rate = connexa.ServiceRate{Down: 38_600_000, Up: 900_000} }),
			line(8, 20008, lost),
			line(9, 20009, func(l *ServiceLine) {
				lost(l)
				l.State, l.Reason, l.Cause = connexa.GatewayFailed, connexa.T("service.reason.refused"), "auth.691"
			}),
		},
		IDs: []int64{7, 8, 9}, Next: "/services?page=2", Stream: "/events?page=services",
	}
	narrowed := v
	narrowed.Filter, narrowed.Tags = connexa.ServiceFilter{Text: "rack", Tags: []string{"eu"}}, []connexa.Facet{{Value: "eu", Count: 12}, {Value: "fast", Count: 3}}
	served, off := sampleNode(), sampleNode()
	served.Serves, served.Service, served.Rate = true, &v.Rows[0].ServiceRow, v.Rows[0].Rate
	served.Past.TrafficEvery = time.Hour
	for i := range 7 * 24 {
		served.Past.Traffic = append(served.Past.Traffic, connexa.TrafficPoint{At: served.Past.From.Add(time.Duration(i) * time.Hour), Down: uint64(1+i*i*7%31) * 90e6, Up: uint64(i%5) * 40e6})
	}
	off.Serves = true
	access := ServiceAccess{NodeID: 7, Name: "203.0.113.77", Host: "proxy.example.net", Port: 20007, User: "exit-7", Password: "MNRH5ZEWAL72YA4N536263756V"}
	return map[string]templ.Component{
		"services":      ServicesPage(pg, v),
		"services-none": ServicesPage(pg, Services{}),
		"services-some": ServicesPage(pg, narrowed),
		"node-served":   NodePage(pg, served),
		"node-off":      NodePage(pg, off),
		"access":        ServiceAccessPage(pg, access),
		"services-ask":  ConfirmPage(pg, ConfirmServices(p, true, connexa.ServicePlan{Nodes: 40, On: 3, Unproven: 5}, connexa.Filter{Text: "x"}.Values())),
	}
}

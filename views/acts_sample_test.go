package views

import (
	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// actSamples returns the questions of bulk acts and the bin.
func actSamples(p *i18n.Printer, at func(nav Nav, title string, runs ...RunBar) Page) map[string]templ.Component {
	rows := sampleRows()
	tags := connexa.Bulk{Kind: connexa.BulkAddTags, Tags: []string{"spare", "berlin"}}
	nodes := make([]ActNode, 3)
	for i := range nodes {
		n := rows[i].Node
		after, _ := tags.Apply(n)
		nodes[i] = ActNode{Server: serverText(n.Address, n.Port), Login: n.Login, Changes: connexa.NodeChanges(&n, &after)}
	}
	nodes[2] = ActNode{Server: nodes[2].Server, Login: nodes[2].Login, Full: true}
	logins := []ActNode{{Server: "192.0.2.7", Login: "ops1", Changes: []connexa.Change{{Field: "node.login", From: "ops1", To: "ops2"}, connexa.PasswordChange()}}}
	list := connexa.LoginList{Lines: 4680, BadAll: 23, Bad: []connexa.LoginLine{{Line: 7, Problem: connexa.T("acts.logins.unknown", "192.0.2.99")}, {Line: 8, Problem: connexa.T("field.password.empty")}}}
	ask := func(q ActQuestion) templ.Component {
		q.Total, q.Back = 4688, "/nodes"
		return ConfirmPage(at(NavNodes, p.T("acts.menu")), ConfirmAct(p, q))
	}
	bars := at(NavNodes, p.T("bin.title"))
	bars.Acts = []connexa.BulkAct{
		{ID: 3, Bulk: tags, State: connexa.BulkRunning, Total: 100_000, Processed: 42_500, Changed: 40_000},
		{ID: 4, Bulk: connexa.Bulk{Kind: connexa.BulkDelete}, State: connexa.BulkQueued, Total: 900},
		{ID: 5, Bulk: connexa.Bulk{Kind: connexa.BulkReset}, State: connexa.BulkUndoing, Total: 900, Changed: 800, Restored: 300},
		{ID: 6, Bulk: connexa.Bulk{Kind: connexa.BulkStart}, State: connexa.BulkRunning, Total: 9000, Processed: 4500, Changed: 4000},
	}
	bars.Toasts = []Toast{{Tone: ToneGood, Text: connexa.T("acts.result", 4688, tags.What()), Undo: 3}}
	var bin connexa.BinPage
	for _, r := range rows {
		bin.Nodes = append(bin.Nodes, connexa.BinNode{Node: r.Node, DeletedAt: now.Add(-3e12), DeletedBy: "admin"})
	}
	bin.Total = len(bin.Nodes)
	return map[string]templ.Component{
		"acts-set":      ask(ActQuestion{Input: connexa.BulkInput{Kind: connexa.BulkSet}}),
		"acts-tags":     ask(ActQuestion{Input: connexa.BulkInput{Kind: connexa.BulkAddTags, Tags: "spare, berlin"}, What: tags.What(), Nodes: nodes}),
		"acts-password": ask(ActQuestion{Input: connexa.BulkInput{Kind: connexa.BulkPassword}, Nodes: []ActNode{{Server: "192.0.2.7", Login: "ops1", Changes: []connexa.Change{connexa.PasswordChange()}}}}),
		"acts-logins":   ask(ActQuestion{Input: connexa.BulkInput{Kind: connexa.BulkLogins}}),
		"acts-list":     ask(ActQuestion{Input: connexa.BulkInput{Kind: connexa.BulkLogins}, What: connexa.T("acts.what.logins"), Draft: 7, Nodes: logins, List: &ActLoginsList{list}}),
		"acts-encryption": ask(ActQuestion{
			Input: connexa.BulkInput{Kind: connexa.BulkEncryption, Encryption: "off"}, What: connexa.T("acts.what.encryption", connexa.T("encryption.off")),
			Errors: connexa.FieldErrors{"encryption": connexa.T("account.proof.acts")},
		}),
		"acts-reset": ask(ActQuestion{Input: connexa.BulkInput{Kind: connexa.BulkReset}, What: connexa.T("acts.what.reset")}),
		"bin":        BinPage(bars, Bin{Page: bin, First: true, Older: "/bin?before=1-1"}),
		"bin-empty":  BinPage(at(NavNodes, p.T("bin.title")), Bin{First: true}),
	}
}

package views

import (
	neturl "net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// tableColumn is how a column of the node list looks.
type tableColumn struct {
	name  string // of connexa.ListColumnNames
	class string // of its cells
	width int    // the usual width in CSS pixels
	sort  connexa.SortKey
	desc  bool // the first click sorts in descending order

	// One of cell, text and time is set.
	cell func(class string, r *NodeRow) templ.Component
	text func(p *i18n.Printer, r *NodeRow) string
	time func(r *NodeRow) time.Time
}

// tableColumns are the columns by their names.
var tableColumns = map[string]tableColumn{
	connexa.ServerColumn: {class: "where", width: 190, sort: connexa.SortAddress, cell: serverCell},
	"status":             {class: "state", width: 150, sort: connexa.SortStatus, desc: true, cell: statusCell},
	"place":              {class: "place", width: 180, sort: connexa.SortPlace, cell: placeCell},
	"reason":             {class: "why-cell", width: 240, sort: connexa.SortStep, desc: true, cell: reasonCell},
	"latency":            {class: "num late", width: 150, sort: connexa.SortLatency, cell: latencyCell},
	"speed":              {class: "num fast", width: 116, sort: connexa.SortSpeed, desc: true, cell: speedCell},
	"service":            {class: "serve", width: 160, cell: serviceCell},
	"checked":            {class: "num seen sub", width: 110, sort: connexa.SortChecked, desc: true, cell: checkedCell},

	"step": {width: 130, sort: connexa.SortStep, desc: true, text: func(p *i18n.Printer, r *NodeRow) string {
		if r.Last.At.IsZero() {
			return ""
		}
		return p.T("step." + string(r.Last.Reached))
	}},
	"loss": {class: "num", width: 90, sort: connexa.SortLoss, desc: true, text: func(p *i18n.Printer, r *NodeRow) string {
		if r.Last.Attempts == 0 {
			return ""
		}
		return p.Percent(r.Last.Loss())
	}},
	"upload": {class: "num", width: 100, text: func(p *i18n.Printer, r *NodeRow) string {
		if r.Last.UpBits == 0 {
			return ""
		}
		return formatMbit(p, r.Last.UpBits)
	}},
	"tags":     {class: "tags-cell", width: 180, text: func(_ *i18n.Printer, r *NodeRow) string { return strings.Join(r.Tags, ", ") }},
	"comment":  {class: "comment-cell", width: 240, text: func(_ *i18n.Printer, r *NodeRow) string { return r.Comment }},
	"country":  {width: 130, sort: connexa.SortPlace, text: func(p *i18n.Printer, r *NodeRow) string { return p.Country(r.Country) }},
	"state":    {width: 130, text: func(p *i18n.Printer, r *NodeRow) string { return stateOf(p, &r.Node) }},
	"city":     {width: 130, text: func(_ *i18n.Printer, r *NodeRow) string { return r.City }},
	"zip":      {width: 100, text: func(_ *i18n.Printer, r *NodeRow) string { return r.Zip }},
	"provider": {width: 160, text: func(_ *i18n.Printer, r *NodeRow) string { return r.Provider }},
	"asn":      {width: 110, text: func(_ *i18n.Printer, r *NodeRow) string { return r.ASN }},
	"address":  {class: "mono", width: 150, sort: connexa.SortAddress, text: func(_ *i18n.Printer, r *NodeRow) string { return r.Address }},
	"port":     {class: "num mono", width: 80, text: func(_ *i18n.Printer, r *NodeRow) string { return strconv.Itoa(r.Port) }},
	"login":    {class: "mono", width: 140, sort: connexa.SortLogin, text: func(_ *i18n.Printer, r *NodeRow) string { return r.Login }},
	"encryption": {width: 130, text: func(p *i18n.Printer, r *NodeRow) string {
		if r.Encryption == connexa.EncryptionDefault {
			return p.T("encryption.default")
		}
		return p.T("encryption." + string(r.Encryption))
	}},
	"pap": {width: 100, text: func(p *i18n.Printer, r *NodeRow) string {
		if !r.AllowPAP {
			return ""
		}
		return p.T("node.pap.allowed")
	}},
	"vendor": {width: 150, text: func(_ *i18n.Printer, r *NodeRow) string { return r.Peer.Vendor }},
	"firmware": {class: "num", width: 100, text: func(_ *i18n.Printer, r *NodeRow) string {
		if r.Peer.Firmware == 0 {
			return ""
		}
		return strconv.Itoa(r.Peer.Firmware)
	}},
	"host": {width: 130, text: func(_ *i18n.Printer, r *NodeRow) string { return r.Peer.Host }},
	"kind": {width: 120, text: func(p *i18n.Printer, r *NodeRow) string {
		if r.Last.Kind == "" {
			return ""
		}
		return p.T("kind." + string(r.Last.Kind))
	}},
	"added":   {class: "num sub", width: 110, sort: connexa.SortAdded, desc: true, time: func(r *NodeRow) time.Time { return r.CreatedAt }},
	"changed": {class: "num sub", width: 110, time: func(r *NodeRow) time.Time { return r.ChangedAt }},
}

// cardColumns have a place of their own in the card of a node on a phone. The others
// follow with their names.
var cardColumns = map[string]bool{
	connexa.ServerColumn: true, "status": true, "place": true, "reason": true, "latency": true, "service": true, "checked": true,
}

// tableColumnOf returns how a column looks.
func tableColumnOf(c connexa.ListColumn) tableColumn {
	look := tableColumns[c.Name]
	look.name = c.Name
	if !cardColumns[c.Name] {
		look.class += " more"
	}
	look.class = strings.TrimSpace(look.class + " w-" + strconv.Itoa((widthOf(c)+widthStep/2)/widthStep*widthStep))
	return look
}

func tableColumnsOf(list []connexa.ListColumn) []tableColumn {
	looks := make([]tableColumn, len(list))
	for i, c := range list {
		looks[i] = tableColumnOf(c)
	}
	return looks
}

// headingOf returns the heading of a column.
func headingOf(p *i18n.Printer, name string) string { return p.T("table.column." + name) }

// tableText returns the text of a cell, for the table and for lines of text.
func tableText(p *i18n.Printer, c tableColumn, r *NodeRow) string {
	switch {
	case c.text != nil:
		return c.text(p, r)
	case c.time != nil:
		return exactOrNone(p, c.time(r))
	}
	switch c.name {
	case connexa.ServerColumn:
		return serverText(r.Address, r.Port)
	case "status":
		return p.T("status." + string(r.Status))
	case "place":
		return p.FullPlace(r.City, stateOf(p, &r.Node), p.Country(r.Country))
	case "reason":
		return Reason(p, &r.Node)
	case "latency":
		if r.answeredBy() && r.Last.Latency > 0 {
			return p.Duration(r.Last.Latency)
		}
	case "speed":
		if r.Last.DownBits > 0 {
			return formatMbit(p, r.Last.DownBits)
		}
	case "service":
		return serviceWord(p, r.Service)
	case "checked":
		return exactOrNone(p, r.Last.At)
	}
	return ""
}

func exactOrNone(p *i18n.Printer, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return p.Exact(t)
}

// widthOf returns the width of a column in CSS pixels.
func widthOf(c connexa.ListColumn) int {
	if c.Width > 0 {
		return c.Width
	}
	return tableColumns[c.Name].width
}

const (
	// The columns of the box and of the menu.
	pickWidth = 44
	menuWidth = 50

	widthStep = 20 // of the widths of columns that the stylesheet knows
)

// overClass names the width below which the table scrolls sideways, in steps that the
// stylesheet knows.
func (l NodeList) overClass() string {
	if !l.Chosen {
		return ""
	}
	width := pickWidth + menuWidth
	for _, c := range l.Columns {
		width += widthOf(c)
	}
	return "over-" + strconv.Itoa(min(max((width+99)/100*100, 300), 1500))
}

// reasonText returns all that the reason column says.
func reasonText(p *i18n.Printer, n *connexa.Node) string {
	var parts []string
	if why := Reason(p, n); why != "" {
		parts = append(parts, why)
	}
	if why, _ := laterReason(p, n); why != "" {
		parts = append(parts, why)
	}
	return strings.Join(parts, " · ")
}

// inlineFields are the columns that can be edited in the list.
var inlineFields = map[string]bool{"comment": true, "tags": true}

// sortedBy returns the value of aria-sort for a column.
func (l NodeList) sortedBy(c tableColumn) string {
	switch {
	case l.sortHref().Key != c.sort:
		return "none"
	case l.sortHref().Desc:
		return "descending"
	default:
		return "ascending"
	}
}

func (l NodeList) sortHref() connexa.Sort {
	if l.Query.Sort.Key == "" {
		return connexa.Sort{Key: connexa.SortAddress}
	}
	return l.Query.Sort
}

// sortURL returns the URL that sorts by c, or reverses the order if the list is
// already sorted by c.
func (l NodeList) sortURL(c tableColumn) string {
	q := l.Query
	q.Cursor, q.Size = "", 0
	q.Sort = connexa.Sort{Key: c.sort, Desc: c.desc}
	if l.sortHref().Key == c.sort {
		q.Sort.Desc = !l.sortHref().Desc
	}
	return l.url(q)
}

// sortID returns the id of the link of a heading.
func (c tableColumn) sortID() string {
	return "sort-" + c.name
}

// url returns the URL of this list with another query: with the same view and columns.
func (l NodeList) url(q connexa.ListQuery) string {
	return addParams(NodesURL(q), l.displayFields())
}

// displayFields returns the parameters of the URL that say how the list looks.
func (l NodeList) displayFields() []Hidden {
	var list []Hidden
	if l.View != nil {
		list = append(list, Hidden{"view", strconv.FormatInt(l.View.ID, 10)})
	}
	if l.Cols != "" {
		list = append(list, Hidden{"cols", l.Cols})
	}
	if l.AskedDensity != "" {
		list = append(list, Hidden{"density", string(l.AskedDensity)})
	}
	return list
}

func addParams(url string, params []Hidden) string {
	for _, f := range params {
		separator := "?"
		if strings.Contains(url, "?") {
			separator = "&"
		}
		url += separator + f.Name + "=" + neturl.QueryEscape(f.Value)
	}
	return url
}

// ColumnChooser is the dialog that chooses the columns of the node list.
type ColumnChooser struct {
	Choices []ColumnChoice
	Density connexa.Density
	Back    string // URL of the list
	Moved   string // name of the column that was moved
}

// ColumnChoice is one column of ColumnChooser.
type ColumnChoice struct {
	connexa.ListColumn
	On bool
}

// movedText says where a column is after a move.
func (c ColumnChooser) movedText(p *i18n.Printer) string {
	for i, choice := range c.Choices {
		if choice.Name == c.Moved {
			return p.T("table.moved", headingOf(p, c.Moved), i+1, len(c.Choices))
		}
	}
	return ""
}

// widthOptions returns the widths that the chooser offers for a column.
func widthOptions(p *i18n.Printer, c connexa.ListColumn) []Option {
	usual := tableColumns[c.Name].width
	list := []Option{
		{strconv.Itoa(max(usual*7/10, connexa.MinColumnWidth)), p.T("table.width.narrow")},
		{"0", p.T("table.width.normal")},
		{strconv.Itoa(min(usual*16/10, connexa.MaxColumnWidth)), p.T("table.width.wide")},
	}
	own := strconv.Itoa(c.Width)
	for _, o := range list {
		if o.Value == own {
			return list
		}
	}
	return append(list, Option{own, p.T("table.width.px", c.Width)})
}

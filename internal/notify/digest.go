package notify

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Message is one message to a channel.
type Message struct {
	Title string // one line, used by services that have a title
	Text  string // the whole message
}

// digest collects notifications for one message. Its size is bounded: of each kind it
// keeps the first few notifications and counts the others.
type digest struct {
	kinds map[connexa.NotificationKind]*kindDigest
	since time.Time // of the first notification
}

// kindDigest holds the notifications of one kind.
type kindDigest struct {
	first  []connexa.Notification
	nodes  map[int64]struct{} // each node counts once
	others int                // notifications without a node, and those of nodes beyond maxNodes
}

const (
	maxFirst  = 3
	maxNodes  = 10_000
	maxText   = 3500 // bytes: Telegram takes 4096
	maxTitle  = 200
	lateAfter = 2 * time.Minute
)

func (p *kindDigest) notificationCount() int { return len(p.nodes) + p.others }

func (d *digest) isEmpty() bool { return len(d.kinds) == 0 }

func (d *digest) notificationCount() (all int) {
	for _, p := range d.kinds {
		all += p.notificationCount()
	}
	return all
}

func (d *digest) ofKind(kind connexa.NotificationKind) *kindDigest {
	if d.kinds == nil {
		d.kinds = map[connexa.NotificationKind]*kindDigest{}
	}
	if d.kinds[kind] == nil {
		d.kinds[kind] = &kindDigest{nodes: map[int64]struct{}{}}
	}
	return d.kinds[kind]
}

func (d *digest) add(n connexa.Notification) {
	if d.since.IsZero() || n.At.Before(d.since) {
		d.since = n.At
	}
	p := d.ofKind(n.Kind)
	p.countNode(n.NodeID)
	p.keepFirst(n)
}

// countNode counts a notification of a node, or of none.
func (p *kindDigest) countNode(node int64) {
	_, again := p.nodes[node]
	switch {
	case again:
	case node == 0 || len(p.nodes) >= maxNodes:
		p.others++
	default:
		p.nodes[node] = struct{}{}
	}
}

// keepFirst keeps n if it is one of the first, or replaces the older notification of its node.
func (p *kindDigest) keepFirst(n connexa.Notification) {
	i := slices.IndexFunc(p.first, func(o connexa.Notification) bool { return n.NodeID != 0 && o.NodeID == n.NodeID })
	switch {
	case i >= 0:
		p.first[i] = n
	case len(p.first) < maxFirst:
		p.first = append(p.first, n)
	}
}

// merge adds a newer digest.
func (d *digest) merge(o digest) {
	if d.since.IsZero() || !o.since.IsZero() && o.since.Before(d.since) {
		d.since = o.since
	}
	for kind, from := range o.kinds {
		p := d.ofKind(kind)
		for id := range from.nodes {
			p.countNode(id)
		}
		p.others += from.others
		for _, n := range from.first {
			p.keepFirst(n)
		}
	}
}

// formatMessage returns the message of d in a language.
func (d *digest) formatMessage(n *Notifier, lang string) Message {
	var lines []string
	var title string
	for _, kind := range connexa.NotificationKinds() {
		p := d.kinds[kind]
		if p == nil {
			continue
		}
		formatted := p.formatLines(n, lang)
		if title == "" {
			title = formatted[0]
		}
		lines = append(lines, formatted...)
	}
	if time.Since(d.since) > lateAfter {
		lines = append(lines, n.Words(lang, connexa.T("notify.late", d.since)))
	}
	return Message{Title: truncateText("Connexa: "+title, maxTitle), Text: n.withLink(strings.Join(lines, "\n"), d.pageURL(n))}
}

// formatLines returns the lines of the notifications of one kind.
func (p *kindDigest) formatLines(n *Notifier, lang string) (lines []string) {
	var names []string
	for _, notification := range p.first {
		lines = append(lines, truncateText(n.Words(lang, notification.Text), maxText/8))
		if notification.Name != "" {
			names = append(names, truncateText(notification.Name, maxText/40))
		}
	}
	rest := p.notificationCount() - len(p.first)
	switch many, ok := summaries[p.first[0].Kind]; {
	case rest <= 0:
		return lines
	case ok && len(names) == len(p.first):
		return []string{n.Words(lang, connexa.T(many, p.notificationCount(), strings.Join(names, ", "), connexa.T("notify.more", rest)))}
	default:
		return append(lines, n.Words(lang, connexa.T("notify.rest", rest)))
	}
}

// summaries are the text keys for many notifications of a kind.
var summaries = map[connexa.NotificationKind]string{
	connexa.NotifyNodeDown:         "notify.many.node_dropped",
	connexa.NotifyNodeRecovered:    "notify.many.node_recovered",
	connexa.NotifyNodeFlapping:     "notify.many.node_flapping",
	connexa.NotifyNodeStable:       "notify.many.node_settled",
	connexa.NotifyServiceFailed:    "notify.many.gateway_failed",
	connexa.NotifyServiceRecovered: "notify.many.gateway_recovered",
}

// pageURL returns the URL of the node or run that d is about, or that of the panel.
func (d *digest) pageURL(n *Notifier) string {
	if len(d.kinds) != 1 {
		return n.panelURL("")
	}
	for _, p := range d.kinds {
		switch one := p.first[0]; {
		case p.notificationCount() != 1:
		case one.NodeID != 0:
			return n.panelURL("nodes/" + strconv.FormatInt(one.NodeID, 10))
		case one.RunID != 0:
			return n.panelURL("runs/" + strconv.FormatInt(one.RunID, 10))
		}
	}
	return n.panelURL("")
}

// panelURL returns the URL of a page of the panel, or the empty string if the
// panel's public URL is unknown.
func (n *Notifier) panelURL(page string) string {
	if n.Panel == nil {
		return ""
	}
	u := url.URL{Scheme: n.Panel.Scheme, Host: n.Panel.Host, Path: strings.TrimSuffix(n.Panel.Path, "/") + "/" + page} // without the user
	return u.String()
}

func (n *Notifier) withLink(text, link string) string {
	text = truncateText(text, maxText)
	if link != "" {
		text += "\n\n" + link
	}
	return text
}

// truncateText shortens s to most bytes, at the boundary of a character.
func truncateText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	most -= len("…")
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}

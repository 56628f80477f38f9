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

// Message is what goes out.
type Message struct {
	Title string // one line, for services that have a place for it
	Text  string // all there is to say
}

// digest gathers notices for one message. However many come, it stays small: of
// each kind it keeps the first few and counts the others.
type digest struct {
	piles map[connexa.NoticeKind]*pile
	since time.Time // of the first notice
}

// pile is the notices of one kind.
type pile struct {
	first []connexa.Notice
	nodes map[int64]struct{} // a node counts once
	plain int                // notices of no node, and those of nodes beyond the bound
}

const (
	firstMost = 3
	nodesMost = 10_000
	textMost  = 3500 // bytes: Telegram takes 4096
	titleMost = 200
	lateAfter = 2 * time.Minute
)

func (p *pile) count() int { return len(p.nodes) + p.plain }

func (d *digest) empty() bool { return len(d.piles) == 0 }

func (d *digest) count() (all int) {
	for _, p := range d.piles {
		all += p.count()
	}
	return all
}

func (d *digest) pile(kind connexa.NoticeKind) *pile {
	if d.piles == nil {
		d.piles = map[connexa.NoticeKind]*pile{}
	}
	if d.piles[kind] == nil {
		d.piles[kind] = &pile{nodes: map[int64]struct{}{}}
	}
	return d.piles[kind]
}

func (d *digest) add(n connexa.Notice) {
	if d.since.IsZero() || n.At.Before(d.since) {
		d.since = n.At
	}
	p := d.pile(n.Kind)
	p.tally(n.NodeID)
	p.keep(n)
}

// tally counts a notice of a node, or of none.
func (p *pile) tally(node int64) {
	_, again := p.nodes[node]
	switch {
	case again:
	case node == 0 || len(p.nodes) >= nodesMost:
		p.plain++
	default:
		p.nodes[node] = struct{}{}
	}
}

// keep keeps n when it is one of the first, or newer than what is kept of its node.
func (p *pile) keep(n connexa.Notice) {
	i := slices.IndexFunc(p.first, func(o connexa.Notice) bool { return n.NodeID != 0 && o.NodeID == n.NodeID })
	switch {
	case i >= 0:
		p.first[i] = n
	case len(p.first) < firstMost:
		p.first = append(p.first, n)
	}
}

// join takes in another digest, which is younger.
func (d *digest) join(o digest) {
	if d.since.IsZero() || !o.since.IsZero() && o.since.Before(d.since) {
		d.since = o.since
	}
	for kind, from := range o.piles {
		p := d.pile(kind)
		for id := range from.nodes {
			p.tally(id)
		}
		p.plain += from.plain
		for _, n := range from.first {
			p.keep(n)
		}
	}
}

// message says all of d in a language.
func (d *digest) message(n *Notifier, lang string) Message {
	var lines []string
	var title string
	for _, kind := range connexa.NoticeKinds() {
		p := d.piles[kind]
		if p == nil {
			continue
		}
		said := p.say(n, lang)
		if title == "" {
			title = said[0]
		}
		lines = append(lines, said...)
	}
	if time.Since(d.since) > lateAfter {
		lines = append(lines, n.Words(lang, connexa.T("notify.late", d.since)))
	}
	return Message{Title: cut("Connexa: "+title, titleMost), Text: n.signed(strings.Join(lines, "\n"), d.link(n))}
}

// say is what a pile says, in lines.
func (p *pile) say(n *Notifier, lang string) (lines []string) {
	var names []string
	for _, notice := range p.first {
		lines = append(lines, cut(n.Words(lang, notice.Text), textMost/8))
		if notice.Name != "" {
			names = append(names, cut(notice.Name, textMost/40))
		}
	}
	rest := p.count() - len(p.first)
	switch many, ok := summaries[p.first[0].Kind]; {
	case rest <= 0:
		return lines
	case ok && len(names) == len(p.first):
		return []string{n.Words(lang, connexa.T(many, p.count(), strings.Join(names, ", "), connexa.T("notify.more", rest)))}
	default:
		return append(lines, n.Words(lang, connexa.T("notify.rest", rest)))
	}
}

// summaries are the sentences of many notices of a kind.
var summaries = map[connexa.NoticeKind]string{
	connexa.NoticeNodeDropped:      "notify.many.node_dropped",
	connexa.NoticeNodeRecovered:    "notify.many.node_recovered",
	connexa.NoticeNodeFlapping:     "notify.many.node_flapping",
	connexa.NoticeNodeSettled:      "notify.many.node_settled",
	connexa.NoticeServiceFailed:    "notify.many.gateway_failed",
	connexa.NoticeServiceRecovered: "notify.many.gateway_recovered",
}

// link is where in the panel to read on: the node or the run when all is about one.
func (d *digest) link(n *Notifier) string {
	if len(d.piles) != 1 {
		return n.link("")
	}
	for _, p := range d.piles {
		switch one := p.first[0]; {
		case p.count() != 1:
		case one.NodeID != 0:
			return n.link("nodes/" + strconv.FormatInt(one.NodeID, 10))
		case one.RunID != 0:
			return n.link("runs/" + strconv.FormatInt(one.RunID, 10))
		}
	}
	return n.link("")
}

// link is the address of a page of the panel; empty when it is not known how
// people reach it.
func (n *Notifier) link(page string) string {
	if n.Panel == nil {
		return ""
	}
	u := url.URL{Scheme: n.Panel.Scheme, Host: n.Panel.Host, Path: strings.TrimSuffix(n.Panel.Path, "/") + "/" + page} // and no user
	return u.String()
}

func (n *Notifier) signed(text, link string) string {
	text = cut(text, textMost)
	if link != "" {
		text += "\n\n" + link
	}
	return text
}

// cut shortens s to so many bytes, at the edge of a character.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	most -= len("…")
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}

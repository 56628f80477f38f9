package views

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

func (n Node) placeText(p *i18n.Printer) string {
	place := p.FullPlace(n.City, stateOf(p, &n.Node), n.Country)
	if n.Zip == "" {
		return place
	}
	if place == "" {
		return n.Zip
	}
	return place + " · " + n.Zip
}

func (n Node) subtitleText(p *i18n.Printer) string {
	var parts []string
	for _, s := range []string{p.Place(n.City, stateOf(p, &n.Node), n.Country), n.Provider, n.Login} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " · ")
}

// step is one step of a trace as the page shows it.
type step struct {
	class, icon, name, note, took string
}

// goodNews returns the first sentence about a probe without failures. It says that all
// is well only if the node's last probe made or confirmed its status. Otherwise it
// says only what the probe found.
func goodNews(p *i18n.Printer, n Node, e *connexa.Entry) string {
	if e.ByService() {
		return p.T("node.passed.service")
	}
	if n.Later != nil {
		return endSentence(p.T("node.passed." + string(e.Kind)))
	}
	return p.T("node.good")
}

// stepLines returns the steps of a probe up to the last one of its kind. If a running
// service answered the probe, only steps that were actually tested are ticked.
func stepLines(p *i18n.Printer, e *connexa.Entry) []step {
	seen := map[connexa.Step]connexa.StepResult{}
	for _, r := range e.Trace {
		seen[r.Step] = r
	}
	top := stepGoal(e.Kind).Index()
	var list []step
	for i, s := range connexa.Steps() {
		if i >= max(top, e.Reached.Index(), e.Cause.Step().Index()) {
			break
		}
		line := step{class: "later", name: p.T("step." + string(s)), note: p.T("step." + string(s) + ".means")}
		r, climbed := seen[s]
		switch {
		case e.ByService() && climbed && r.OK, !e.ByService() && s.Index() <= e.Reached.Index():
			line.class, line.icon = "ok", "check"
		case s == e.Cause.Step():
			line.class, line.icon, line.note = "stop", "cross", CauseText(p, e.Cause)
		case e.ByService():
			line.note = p.T("node.step.untested")
		default:
			line.note = p.T("node.step.later")
		}
		if climbed {
			line.took = p.Duration(r.At)
			if !r.Note.IsZero() {
				line.note = p.Text(r.Note)
			}
		}
		list = append(list, line)
	}
	return list
}

// stepGoal returns the last step of a kind of probe.
func stepGoal(k connexa.Kind) connexa.Step {
	switch k {
	case connexa.Login:
		return connexa.IP
	case connexa.Speed:
		return connexa.Internet
	default:
		return connexa.Control
	}
}

// probeFigures describes what a good probe measured.
func probeFigures(p *i18n.Printer, e *connexa.Entry) string {
	var parts []string
	if e.DownBits > 0 {
		parts = append(parts, p.T("node.measured", p.Speed(e.DownBits), speedOrNone(p, e.UpBits)))
	}
	if e.Latency > 0 {
		parts = append(parts, p.T("node.latency", p.Duration(e.Latency)))
	}
	if e.Lost > 0 {
		parts = append(parts, p.T("node.lost", e.Lost, e.Attempts))
	}
	return strings.Join(parts, " ")
}

// historyLine describes one history entry.
func historyLine(p *i18n.Printer, e connexa.Entry) string {
	switch e.What {
	case connexa.EntryProbe:
		return p.T("history.probe", p.T("kind."+string(e.Kind)), probeWords(p, e))
	case connexa.EntryAdded:
		return p.T("history.added")
	case connexa.EntryEdited:
		if !e.Detail.Text.IsZero() {
			return p.Text(e.Detail.Text)
		}
		return p.T("history.changed")
	default:
		return p.Text(e.Detail.Text)
	}
}

func probeWords(p *i18n.Printer, e connexa.Entry) string {
	switch {
	case e.Result.Inconclusive():
		return lowerFirst(p.T("result." + string(e.Result)))
	case e.DownBits > 0:
		return p.T("history.speed", p.Speed(e.DownBits), speedOrNone(p, e.UpBits))
	case e.Cause != "":
		return CauseText(p, e.Cause)
	case e.Latency > 0:
		return p.Duration(e.Latency)
	default:
		return lowerFirst(p.T("result." + string(e.Result)))
	}
}

// fingerprintText returns the vendor, host name and firmware that a server reports.
func fingerprintText(p *i18n.Printer, peer connexa.Peer) string {
	var parts []string
	for _, s := range []string{peer.Vendor, peer.Host} {
		if s = strings.TrimSpace(s); s != "" {
			parts = append(parts, s)
		}
	}
	if peer.Firmware > 0 {
		parts = append(parts, p.T("node.firmware", strconv.Itoa(peer.Firmware)))
	}
	return strings.Join(parts, " · ")
}

func policyKey(e connexa.EncryptionPolicy) string {
	if e == connexa.EncryptionDefault {
		return "default"
	}
	return string(e)
}

// endSentence turns a phrase into a sentence: an upper-case first letter and a full
// stop.
func endSentence(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	s = string(unicode.ToUpper(r)) + s[size:]
	if strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

func lowerFirst(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[size:]
}

func splitLines(list []string) string { return strings.Join(list, "\n") }

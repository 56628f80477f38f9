package importer

import (
	"strings"
	"unicode"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// place is the location of a server, as far as it is known.
type place struct{ country, state, city, zip string }

// parsePlace reads "Texas (Austin)", "Arizona/Phoenix 85001", "US/Arizona/Phoenix",
// "Austin, TX, USA" and single names. A state stays as it was typed.
func parsePlace(s string) place {
	var p place
	s = strings.TrimSpace(s)
	s, p.zip = cutZip(s)
	if outer, inner, ok := strings.Cut(s, "("); ok {
		inner = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(inner), ")"))
		p.widest(strings.TrimSpace(outer))
		if p.zip == "" {
			inner, p.zip = cutZip(inner)
		}
		p.city = inner
		return p
	}
	if parts := trimPlace(strings.Split(s, "/")); len(parts) > 1 {
		p.fillDown(parts)
		return p
	}
	if parts := trimPlace(strings.Split(s, ",")); len(parts) > 1 {
		if p.zip == "" && len(parts) > 2 && looksLikeZip(parts[len(parts)-1]) {
			p.zip, parts = parts[len(parts)-1], parts[:len(parts)-1]
		}
		p.fillUp(parts)
		return p
	}
	if code, ok := Country(s); ok && code != "" && !connexa.IsUSState(s) {
		p.country = code
	} else if connexa.IsUSState(s) {
		p.state = s
	} else {
		p.city = s
	}
	return p
}

// widest sets the country or the state; an unknown name is a state.
func (p *place) widest(s string) {
	if code, ok := Country(s); ok && code != "" && !connexa.IsUSState(s) {
		p.country = code
		return
	}
	p.state = s
}

// fillDown reads state/city or country/state/city.
func (p *place) fillDown(parts []string) {
	if len(parts) > 2 {
		if code, ok := Country(parts[0]); ok && code != "" {
			p.country, parts = code, parts[1:]
		}
		p.state = parts[0]
	} else {
		p.widest(parts[0])
	}
	p.city = strings.Join(parts[1:], "/")
}

// fillUp reads city, state, country; city, country; city, state or state, city.
func (p *place) fillUp(parts []string) {
	last := parts[len(parts)-1]
	if code, ok := Country(last); ok && code != "" && !(len(parts) == 2 && connexa.IsUSState(last)) {
		p.country = code
		parts = parts[:len(parts)-1]
	}
	switch {
	case len(parts) == 1:
		if connexa.IsUSState(parts[0]) {
			p.state = parts[0]
		} else {
			p.city = parts[0]
		}
	case connexa.IsUSState(parts[0]) && !connexa.IsUSState(parts[1]):
		p.state, p.city = parts[0], strings.Join(parts[1:], ", ")
	default:
		p.city, p.state = parts[0], strings.Join(parts[1:], ", ")
	}
}

// cutZip removes the words with digits from the end of s.
func cutZip(s string) (rest, zip string) {
	words := strings.Fields(s)
	n := len(words)
	for n > 0 && len(words)-n < 2 && looksLikeZip(words[n-1]) {
		n--
	}
	if n == len(words) {
		return s, ""
	}
	rest = strings.TrimRightFunc(strings.Join(words[:n], " "), func(r rune) bool { return unicode.IsSpace(r) || r == ',' })
	return rest, strings.Join(words[n:], " ")
}

// trimPlace removes empty parts.
func trimPlace(parts []string) []string {
	kept := parts[:0]
	for _, p := range parts {
		if p = strings.TrimSpace(p); p != "" {
			kept = append(kept, p)
		}
	}
	return kept
}

// knownState reports whether s is a state or province of another country, by a name or
// code that is not also a common word.
func knownState(s string) bool {
	return otherStates[strings.ToLower(strings.Join(strings.Fields(s), " "))]
}

var otherStates = func() map[string]bool {
	m := map[string]bool{}
	for name := range strings.SplitSeq("ontario;quebec;québec;british columbia;alberta;manitoba;saskatchewan;nova scotia;new brunswick;newfoundland;"+
		"newfoundland and labrador;prince edward island;yukon;nunavut;northwest territories;on;qc;bc;ab;mb;sk;ns;nb;nl;"+
		"new south wales;queensland;victoria;tasmania;south australia;western australia;northern territory;australian capital territory;nsw;qld;vic;tas;"+
		"bavaria;bayern;hesse;hessen;saxony;sachsen;lower saxony;niedersachsen;saxony-anhalt;sachsen-anhalt;thuringia;thüringen;brandenburg;saarland;"+
		"baden-württemberg;baden-wuerttemberg;north rhine-westphalia;nordrhein-westfalen;rhineland-palatinate;rheinland-pfalz;schleswig-holstein;"+
		"mecklenburg-vorpommern;hamburg;berlin;bremen;catalonia;andalusia;lombardy;bohemia;moravia;"+
		"московская область;ленинградская область;татарстан;краснодарский край;свердловская область;новосибирская область", ";") {
		m[name] = true
	}
	return m
}()

// isPlace reports whether words are empty, the name of a state or country, or a
// placeholder. Anything else after a password could be the rest of it.
func isPlace(words []string) bool {
	s := strings.Join(words, " ")
	_, isCountry := Country(s)
	return isCountry || connexa.IsUSState(s) || knownState(s) || connexa.IsPlaceholder(s)
}

// surelyPlace reports whether s cannot be the rest of a password: it has a state or
// country that is known, or a city with a zip or a state.
func surelyPlace(s string) bool {
	if s == "" || strings.ContainsAny(s, "@:#$%^&*!?=+_\\<>{}[]|") {
		return false
	}
	p := parsePlace(s)
	return p.country != "" || connexa.IsUSState(p.state) || knownState(p.state) || p.city != "" && (p.zip != "" || p.state != "")
}

// longForm reports whether the last three parts can only be a country, a state and a
// zip.
func longForm(parts []string) bool {
	code, ok := Country(parts[3])
	if !ok || code == "" {
		return false
	}
	state, zip := parts[4], parts[5]
	if zip != "" && !looksLikeZip(zip) {
		return false
	}
	if code == "US" {
		return (state == "" || connexa.IsUSState(state)) && strings.Trim(zip, "0123456789-") == ""
	}
	return strings.IndexFunc(state, func(r rune) bool { return strings.ContainsRune("0123456789@#$%^&*!?=+_/\\|<>{}[]", r) }) < 0
}

package i18n

import (
	"strings"

	"golang.org/x/text/language"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Country is the name of the country with that ISO 3166-1 code; a code that
// has no name is shown as it is.
func (p *Printer) Country(code string) string {
	if !connexa.KnownCountry(code) {
		return code
	}
	region, err := language.ParseRegion(code)
	if err != nil {
		return code
	}
	if name := p.regions.Name(region); name != "" {
		return name
	}
	return code
}

// State is the name of a state or province that was given by its ISO 3166-2
// code ("CA", "US-CA"), where the catalogue has the country's; else it is
// shown as typed.
func (p *Printer) State(country, state string) string {
	code := strings.ToUpper(strings.TrimSpace(state))
	code = strings.TrimPrefix(code, country+"-")
	if key := "state." + country + "." + code; p.Has(key) {
		return p.T(key)
	}
	return state
}

// Place joins what is known of a place, the nearest first: Phoenix, Arizona,
// United States. Beside a city, a code of a state that has no name here is left
// out: "Warszawa, 14" tells a reader less than "Warszawa".
func (p *Printer) Place(city, state, country string) string {
	if city != "" && isCode(p.State(country, state)) {
		state = ""
	}
	return p.FullPlace(city, state, country)
}

// isCode says whether s looks like a code and not like a name: 14, HDF, PL-14.
func isCode(s string) bool {
	if head, rest, ok := strings.Cut(s, "-"); ok && len(head) == 2 {
		return isCode(head) && isCode(rest)
	}
	return len(s) <= 3 && strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// FullPlace is Place with nothing left out.
func (p *Printer) FullPlace(city, state, country string) string {
	var parts []string
	for _, s := range []string{city, p.State(country, state), p.Country(country)} {
		if s != "" && (len(parts) == 0 || parts[len(parts)-1] != s) {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ", ")
}

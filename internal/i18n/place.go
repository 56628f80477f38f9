package i18n

import (
	"strings"

	"golang.org/x/text/language"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Country returns the name of the country with an ISO 3166-1 code, or the code if it
// has no name.
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

// State returns the name of the state or province with an ISO 3166-2 code ("CA",
// "US-CA"). If the catalogue lacks it, the input is returned.
func (p *Printer) State(country, state string) string {
	code := strings.ToUpper(strings.TrimSpace(state))
	code = strings.TrimPrefix(code, country+"-")
	if key := "state." + country + "." + code; p.Has(key) {
		return p.T(key)
	}
	return state
}

// Place joins the known parts of a place, the smallest first: Phoenix, Arizona, United
// States. After a city, a state code without a name is omitted: "Warszawa, 14" is less
// clear than "Warszawa".
func (p *Printer) Place(city, state, country string) string {
	if city != "" && isCode(p.State(country, state)) {
		state = ""
	}
	return p.FullPlace(city, state, country)
}

// isCode reports whether s looks like a code instead of a name: 14, HDF, PL-14.
func isCode(s string) bool {
	if head, rest, ok := strings.Cut(s, "-"); ok && len(head) == 2 {
		return isCode(head) && isCode(rest)
	}
	return len(s) <= 3 && strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// FullPlace is Place without omissions.
func (p *Printer) FullPlace(city, state, country string) string {
	var parts []string
	for _, s := range []string{city, p.State(country, state), p.Country(country)} {
		if s != "" && (len(parts) == 0 || parts[len(parts)-1] != s) {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ", ")
}

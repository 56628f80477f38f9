package views

import (
	"encoding/json"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/i18n"
)

// htmxConfig keeps htmx within our Content-Security-Policy (it would write an
// inline style for its indicators) and lets the browser go back by itself.
const htmxConfig = `{"includeIndicatorCSS":false,"history":"reload","extensions":"sse"}`

func pageTitle(p *i18n.Printer, page string) string {
	if page == "" {
		return "Connexa"
	}
	return page + " · Connexa"
}

// tickingTime carries the sentences with which the page's script keeps relative
// times fresh; {0} is the number.
func tickingTime(p *i18n.Printer) templ.Attributes {
	words := map[string]string{"now": p.T("time.now")}
	for _, unit := range []string{"s", "min", "h", "d"} {
		words[unit] = p.T("time.ago."+unit, "{0}")
	}
	text, err := json.Marshal(words)
	if err != nil { // a map of strings has a JSON form
		return nil
	}
	return templ.Attributes{"data-ago": string(text), "data-copied": p.T("look.copied")}
}

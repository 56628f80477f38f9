package views

import (
	"encoding/json"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/i18n"
)

// htmxConfig makes htmx comply with our Content-Security-Policy, which forbids the
// inline style of its indicators, and leaves navigating back to the browser.
const htmxConfig = `{"includeIndicatorCSS":false,"history":"reload","extensions":"sse, cells"}`

func pageTitle(page string) string {
	if page == "" {
		return "Connexa"
	}
	return page + " · Connexa"
}

// tickingTime returns the sentences with which the page's script updates relative
// times. {0} stands for the number.
func tickingTime(p *i18n.Printer) templ.Attributes {
	words := map[string]string{"now": p.T("time.now")}
	for _, unit := range []string{"s", "min", "h", "d"} {
		words[unit] = p.T("time.ago."+unit, "{0}")
	}
	text, err := json.Marshal(words)
	if err != nil { // a map of strings always has a JSON form
		return nil
	}
	return templ.Attributes{"data-ago": string(text), "data-copied": p.T("ui.copied")}
}

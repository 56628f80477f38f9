package views

import (
	"strings"

	"github.com/connexa-panel/connexa/internal/i18n"
)

// These are tokens of a User-Agent header. The more specific ones are first: Edge and
// Opera also send Chrome's, and all browsers send Mozilla's.
var (
	browsers = [][2]string{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"YaBrowser/", "Yandex"}, {"Firefox/", "Firefox"}, {"HeadlessChrome/", "Chrome"},
		{"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"}, {"Wget/", "Wget"},
	}
	systems = [][2]string{
		{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	}
)

// deviceName returns the browser and the operating system of a User-Agent header, such
// as "Firefox, Windows".
func deviceName(p *i18n.Printer, agent string) string {
	var parts []string
	for _, kind := range [][][2]string{browsers, systems} {
		for _, k := range kind {
			if strings.Contains(agent, k[0]) {
				parts = append(parts, k[1])
				break
			}
		}
	}
	if len(parts) == 0 {
		return p.T("account.sessions.unknown")
	}
	return strings.Join(parts, ", ")
}

//go:build ignore

// Sprite writes icons.svg, the icons that the panel uses, from the files of
// lucide-static (npm install lucide-static@1.62.0):
//
//	go run sprite.go -icons node_modules/lucide-static/icons
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// icons maps the names that pages use to lucide icons.
var icons = [][2]string{
	{"dashboard", "layout-dashboard"}, {"nodes", "server"}, {"import", "download"}, {"export", "upload"}, {"runs", "activity"}, {"services", "globe"}, {"audit", "scroll-text"},
	{"settings", "settings-2"}, {"user", "circle-user-round"}, {"people", "users"}, {"login", "log-in"}, {"logout", "log-out"}, {"key", "key-round"},
	{"search", "search"}, {"plus", "plus"}, {"edit", "pencil"}, {"delete", "trash-2"}, {"more", "ellipsis"}, {"close", "x"},
	{"check", "check"}, {"cross", "x"}, {"minus", "minus"}, {"play", "play"}, {"stop", "square"}, {"retry", "rotate-cw"},
	{"up", "arrow-up"}, {"down", "arrow-down"}, {"right", "arrow-right"}, {"previous", "chevron-left"}, {"next", "chevron-right"},
	{"open", "chevron-down"}, {"open-page", "square-arrow-out-up-right"}, {"sort", "chevrons-up-down"}, {"filter", "list-filter"}, {"copy", "copy"}, {"eye", "eye"},
	{"info", "info"}, {"warning", "triangle-alert"}, {"error", "circle-alert"}, {"success", "circle-check"}, {"offline", "wifi-off"},
	{"language", "languages"}, {"light", "sun"}, {"dark", "moon"}, {"system", "monitor"}, {"keyboard", "keyboard"},
	{"clock", "clock"}, {"tag", "tag"}, {"file", "file-text"}, {"paste", "clipboard-paste"}, {"lock", "lock"}, {"empty", "inbox"},
	{"question", "circle-question-mark"}, {"pause", "pause"}, {"place", "map-pin"}, {"device", "monitor-smartphone"},
}

var shell = regexp.MustCompile(`(?s)^.*?<svg[^>]*>(.*)</svg>\s*$`)

func main() {
	dir := flag.String("icons", "", "the folder icons of lucide-static")
	flag.Parse()
	var b strings.Builder
	b.WriteString("<!-- Icons of lucide-static 1.62.0, ISC; see icons-LICENSE.txt. Written by sprite.go. -->\n<svg hidden xmlns=\"http://www.w3.org/2000/svg\">\n")
	for _, icon := range icons {
		file := filepath.Join(*dir, icon[1]+".svg")
		source, err := os.ReadFile(file)
		if err != nil {
			log.Fatal(err)
		}
		m := shell.FindSubmatch(source)
		if m == nil {
			log.Fatalf("%s is no SVG", file)
		}
		shapes := strings.Join(strings.Fields(string(m[1])), " ")
		fmt.Fprintf(&b, "<symbol id=\"icon-%s\" viewBox=\"0 0 24 24\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.8\" stroke-linecap=\"round\" stroke-linejoin=\"round\">%s</symbol>\n", icon[0], shapes)
	}
	b.WriteString("</svg>\n")
	if err := os.WriteFile("icons.svg", []byte(b.String()), 0o644); err != nil {
		log.Fatal(err)
	}
}

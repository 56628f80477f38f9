package cli

import (
	"cmp"
	"runtime/debug"
	"slices"
	"strings"
)

// version is the newest release of CHANGELOG.md. go build knows the commit and its
// day where there is a git folder; elsewhere the linker sets them.
const version = "0.9.0"

var commit, day string // day is YYYY-MM-DD

// Version is the version with the commit that was built and its date, as far as
// they are known: "0.9.0 (1a2b3c4d5e6f, 2026-11-30)".
func Version() string {
	revision, day, changed := commit, day, ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				revision = cmp.Or(revision, s.Value)
			case "vcs.time":
				built, _, _ := strings.Cut(s.Value, "T")
				day = cmp.Or(day, built)
			case "vcs.modified":
				if s.Value == "true" {
					changed = "changed since"
				}
			}
		}
	}
	details := slices.DeleteFunc([]string{revision[:min(12, len(revision))], day, changed}, func(s string) bool { return s == "" })
	if len(details) == 0 {
		return version
	}
	return version + " (" + strings.Join(details, ", ") + ")"
}

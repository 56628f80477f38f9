package cli

import (
	"os"
	"regexp"
	"testing"
)

func TestVersionIsTheNewestRelease(t *testing.T) {
	b, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	newest := regexp.MustCompile(`(?m)^## (\d+\.\d+\.\d+) \(\d{4}-\d{2}-\d{2}\)$`).FindSubmatch(b)
	if newest == nil {
		t.Fatal("CHANGELOG.md has no release")
	}
	if got, want := version, string(newest[1]); got != want {
		t.Errorf("version is %s, want %s of CHANGELOG.md", got, want)
	}
}

func TestVersionNamesCommitAndDay(t *testing.T) {
	defer func(c, d string) { commit, day = c, d }(commit, day)
	commit, day = "1a2b3c4d5e6f7a8b9c0d", "2026-11-30"
	if got, want := Version(), version+" (1a2b3c4d5e6f, 2026-11-30)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

package deploy

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// readBuild returns the arguments of the build command in a file, and the environment
// variables that it sets.
func readBuild(t *testing.T, file string) (args, env []string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(b), "\\\n", " ")
	line := regexp.MustCompile(`go (build .*-buildmode=.*) -o \S*connexa \.`).FindStringSubmatch(text)
	if line == nil {
		t.Fatalf("%s builds no position-independent program", file)
	}
	for _, m := range regexp.MustCompile(`(?s)"[^"]*"|\S+`).FindAllString(line[1], -1) {
		args = append(args, strings.ReplaceAll(strings.Trim(m, `"`), "$COMMIT", "test"))
	}
	for _, m := range regexp.MustCompile(`(CGO_(?:CFLAGS|LDFLAGS))(?:=|: )"([^"]*)"`).FindAllStringSubmatch(text, -1) {
		env = append(env, m[1]+"="+m[2])
	}
	return args, env
}

// TestBuildsAreHardened builds the program as the Taskfile does and inspects the
// binary. The container image is built with the same flags.
func TestBuildsAreHardened(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the programs of Linux are ELF")
	}
	args, env := readBuild(t, filepath.Join("..", "Taskfile.yml"))
	_, image := readBuild(t, "Dockerfile")
	for _, want := range []string{"-fstack-protector-strong", "-z,relro,-z,now"} {
		for file, flags := range map[string][]string{"Taskfile.yml": env, "Dockerfile": image} {
			if !strings.Contains(strings.Join(flags, " "), want) {
				t.Errorf("%s lacks %s", file, want)
			}
		}
	}
	out := filepath.Join(t.TempDir(), "connexa")
	cmd := exec.CommandContext(t.Context(), "go", append(slices.Clone(args), "-o", out, "..")...)
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=1"), env...)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	f, err := elf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Type != elf.ET_DYN {
		t.Errorf("the program is %s, want a position-independent one", f.Type)
	}
	if !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_GNU_RELRO }) {
		t.Error("no part of the program becomes read-only after it was loaded")
	}
	flags, _ := f.DynValue(elf.DT_FLAGS)
	flags1, _ := f.DynValue(elf.DT_FLAGS_1)
	now := slices.ContainsFunc(flags, func(v uint64) bool { return elf.DynFlag(v)&elf.DF_BIND_NOW != 0 }) ||
		slices.ContainsFunc(flags1, func(v uint64) bool { return elf.DynFlag1(v)&elf.DF_1_NOW != 0 })
	if !now {
		t.Error("functions are bound late, so their table stays writable")
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_GNU_STACK && p.Flags&elf.PF_X != 0 {
			t.Error("the stack can be executed")
		}
	}
	symbols, err := f.ImportedSymbols()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(symbols, func(s elf.ImportedSymbol) bool { return s.Name == "__stack_chk_fail" }) {
		t.Error("the C of SQLite has no stack protector")
	}
}

// TestDeploymentHasFewRights checks the rights in the files of deploy.
func TestDeploymentHasFewRights(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if m := regexp.MustCompile(`(?m)^USER ([1-9][0-9]*)(:[1-9][0-9]*)?$`).FindStringIndex(read("Dockerfile")); m == nil {
		t.Error("the image runs as root, or as an account without a number")
	} else if rest := read("Dockerfile")[m[1]:]; strings.Contains(rest, "RUN ") {
		t.Error("something is done after USER")
	}
	compose := read("compose.yaml")
	if i := strings.Index(compose, "privileged: true"); i >= 0 {
		if !strings.Contains(compose[i:], `restart: "no"`) || strings.Contains(compose, "sleep infinity") {
			t.Error("a container with all rights stays")
		}
	}
	for unit, wants := range map[string][]string{
		"connexa.service": {"SystemCallArchitectures=native", "ProtectClock=yes", "ProtectKernelLogs=yes", "ProtectHostname=yes", "ProtectProc=invisible",
			"RestrictRealtime=yes", "UMask=0077", "CapabilityBoundingSet=CAP_NET_RAW\n"},
		"connexa-openvpn.service": {"CapabilityBoundingSet=CAP_NET_ADMIN", "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "DevicePolicy=closed",
			"DeviceAllow=char-misc rw", "SystemCallFilter=@system-service", "SystemCallArchitectures=native", "RestrictNamespaces=yes", "UMask=0077"},
	} {
		text := read(unit)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %s", unit, strings.TrimSpace(want))
			}
		}
	}
}

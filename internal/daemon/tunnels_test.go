package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// What mends a machine depends on what it lacks, and on what the program runs in.
func TestFixForTheReasonAtHand(t *testing.T) {
	places := map[string]struct {
		env  map[string]string
		file string
	}{
		"kubernetes": {env: map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1"}},
		"podman":     {file: "/run/.containerenv"},
		"docker":     {file: "/.dockerenv"},
		"systemd":    {env: map[string]string{"INVOCATION_ID": "1"}},
		"a host":     {},
	}
	for reason, want := range map[gre.Reason]map[string]string{
		gre.NoCapability: {"kubernetes": "NET_RAW", "podman": "podman run --cap-add", "docker": "docker run --cap-add", "systemd": "AmbientCapabilities", "a host": "setcap cap_net_raw+ep"},
		gre.Forbidden:    {"kubernetes": "seccompProfile", "podman": "podman run --security-opt", "docker": "docker run --security-opt", "systemd": "SystemCallFilter"},
		gre.Filtered:     {"kubernetes": "-p gre", "podman": "-p gre", "docker": "-p gre", "systemd": "-p gre", "a host": "-p gre"},
		gre.Unsupported:  {},
		gre.Broken:       {},
	} {
		for name, place := range places {
			fix := fixFor(reason, func(k string) string { return place.env[k] }, func(f string) bool { return f != "" && f == place.file })
			if part := want[name]; !strings.Contains(fix, part) || part == "" && fix != "" {
				t.Errorf("%s in %s: %q, want %q in it", reason, name, fix, part)
			}
			if reason != gre.NoCapability && strings.Contains(strings.ToUpper(fix), "NET_RAW") {
				t.Errorf("%s in %s: %q gives a right that is there", reason, name, fix)
			}
		}
	}
}

func TestBannerOfAMachineWithoutTunnels(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	if text := noTunnels(t.Context(), gre.NewSwitch().Open, log); !text.IsZero() {
		t.Errorf("where all is well the banner says %v", text)
	}
	for _, lang := range i18n.Langs() {
		p, said := i18n.New(lang, nil), map[string]gre.Reason{}
		for _, reason := range []gre.Reason{gre.NoCapability, gre.Forbidden, gre.Unsupported, gre.Filtered, gre.Broken} {
			wires := func(_ netip.Addr, _ func(gre.Unreachable)) (gre.Wire, error) {
				return nil, &gre.Unavailable{Reason: reason, Err: errors.New("no")}
			}
			text := p.Text(noTunnels(context.Background(), wires, log))
			if strings.Contains(text, "{") || strings.Contains(text, "probe.") {
				t.Errorf("%s, %s: %q", lang, reason, text)
			}
			if other, twice := said[text]; twice {
				t.Errorf("%s: %s and %s read alike", lang, reason, other)
			}
			said[text] = reason
			if got := reasonOf(connexa.T("probe.not_here." + string(reason))); got != reason {
				t.Errorf("%s is read as %s", reason, got)
			}
		}
	}
}

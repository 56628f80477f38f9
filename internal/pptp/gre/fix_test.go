package gre

import (
	"strings"
	"testing"
)

func TestFixFitsReasonAndPlace(t *testing.T) {
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
	for reason, want := range map[Reason]map[string]string{
		NoCapability: {"kubernetes": "NET_RAW", "podman": "podman run --cap-add", "docker": "docker run --cap-add", "systemd": "AmbientCapabilities", "a host": "setcap cap_net_raw+ep"},
		Forbidden:    {"kubernetes": "seccompProfile", "podman": "podman run --security-opt", "docker": "docker run --security-opt", "systemd": "SystemCallFilter"},
		Filtered:     {"kubernetes": "-p gre", "podman": "-p gre", "docker": "-p gre", "systemd": "-p gre", "a host": "-p gre"},
		Unsupported:  {},
		Broken:       {},
	} {
		for name, place := range places {
			fix := reason.fixIn(func(k string) string { return place.env[k] }, func(f string) bool { return f != "" && f == place.file })
			if part := want[name]; !strings.Contains(fix, part) || part == "" && fix != "" {
				t.Errorf("%s in %s: %q, want %q in it", reason, name, fix, part)
			}
			if reason != NoCapability && strings.Contains(strings.ToUpper(fix), "NET_RAW") {
				t.Errorf("%s in %s: %q gives a right that is there", reason, name, fix)
			}
		}
	}
}

package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// selfTestTime bounds the test of this machine's GRE.
const selfTestTime = 3 * time.Second

// lacking tries whether tunnels can be opened from here; when not, it says why.
func lacking(ctx context.Context, wires gre.Opener) *gre.Unavailable {
	ctx, cancel := context.WithTimeout(ctx, selfTestTime)
	defer cancel()
	err := gre.SelfTest(ctx, wires)
	if err == nil {
		return nil
	}
	var u *gre.Unavailable
	if !errors.As(err, &u) {
		u = &gre.Unavailable{Reason: gre.Broken, Err: err}
	}
	return u
}

// noTunnels is the banner of a panel whose machine cannot open tunnels: why, and
// what mends it in the environment it finds. It is zero where all is well.
func noTunnels(ctx context.Context, wires gre.Opener, log *slog.Logger) connexa.Text {
	u := lacking(ctx, wires)
	if u == nil {
		return connexa.Text{}
	}
	fix := fixFor(u.Reason, os.Getenv, exists)
	log.Warn("no tunnels from this machine: logins are off, pings work", "err", u, "fix", fix)
	why := connexa.T("probe.not_here." + string(u.Reason))
	if fix == "" {
		return connexa.T("banner.gre.nofix", why)
	}
	return connexa.T("banner.gre.text", why, fix)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// place is where the program runs, as far as that decides what mends it.
type place int

const (
	plainHost place = iota
	systemd
	docker
	podman
	kubernetes
)

func placeOf(getenv func(string) string, exists func(string) bool) place {
	switch {
	case getenv("KUBERNETES_SERVICE_HOST") != "":
		return kubernetes
	case exists("/run/.containerenv"):
		return podman
	case exists("/.dockerenv"):
		return docker
	case getenv("INVOCATION_ID") != "": // set by systemd for its services
		return systemd
	}
	return plainHost
}

// fixFor is a line that gives the program what it lacks where it runs; empty
// where no line does.
func fixFor(reason gre.Reason, getenv func(string) string, exists func(string) bool) string {
	where := placeOf(getenv, exists)
	switch reason {
	case gre.NoCapability:
		switch where {
		case kubernetes:
			return "securityContext: {capabilities: {add: [NET_RAW]}}"
		case podman:
			return "podman run --cap-add=NET_RAW …"
		case docker:
			return "docker run --cap-add=NET_RAW …"
		case systemd:
			return "systemctl edit connexa: [Service] AmbientCapabilities=CAP_NET_RAW"
		}
		program, err := os.Executable()
		if err != nil {
			program = "connexa"
		}
		return "sudo setcap cap_net_raw+ep " + program
	case gre.Forbidden:
		switch where {
		case kubernetes:
			return "securityContext: {seccompProfile: {type: Unconfined}}"
		case podman:
			return "podman run --security-opt seccomp=unconfined …"
		case docker:
			return "docker run --security-opt seccomp=unconfined …"
		case systemd:
			return "systemctl edit connexa: [Service] SystemCallFilter= RestrictAddressFamilies="
		}
	case gre.Filtered:
		return "sudo iptables -I INPUT -p gre -j ACCEPT; sudo iptables -I OUTPUT -p gre -j ACCEPT"
	}
	return ""
}

// reasonOf is why the text of package probe says that tunnels cannot be opened.
func reasonOf(t connexa.Text) gre.Reason {
	for _, r := range []gre.Reason{gre.NoCapability, gre.Forbidden, gre.Unsupported, gre.Filtered} {
		if t.Key == "probe.not_here."+string(r) {
			return r
		}
	}
	return gre.Broken
}

package daemon

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// selfTestTime bounds the test of this machine's GRE.
const selfTestTime = 3 * time.Second

// tunnelFix tries whether tunnels can be opened from here. When not, it returns
// the line that mends it in the environment it finds; empty when all is well.
func tunnelFix(ctx context.Context, wires gre.Opener, log *slog.Logger) string {
	ctx, cancel := context.WithTimeout(ctx, selfTestTime)
	defer cancel()
	err := gre.SelfTest(ctx, wires)
	if err == nil {
		return ""
	}
	fix := fixFor(os.Getenv, exists)
	log.Warn("no tunnels from this machine: logins are off, pings work", "err", err, "fix", fix)
	return fix
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// fixFor names what gives the program CAP_NET_RAW where it runs.
func fixFor(getenv func(string) string, exists func(string) bool) string {
	switch {
	case getenv("KUBERNETES_SERVICE_HOST") != "":
		return "securityContext: {capabilities: {add: [NET_RAW]}}"
	case exists("/run/.containerenv"):
		return "podman run --cap-add=NET_RAW …"
	case exists("/.dockerenv"):
		return "docker run --cap-add=NET_RAW …"
	case getenv("INVOCATION_ID") != "": // set by systemd for its services
		return "systemctl edit connexa: [Service] AmbientCapabilities=CAP_NET_RAW"
	}
	program, err := os.Executable()
	if err != nil {
		program = "connexa"
	}
	return "sudo setcap cap_net_raw+ep " + program
}

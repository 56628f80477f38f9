package gre

import (
	"context"
	"errors"
	"os"
	"time"
)

// diagnoseTimeout bounds Diagnose, whose self-test may wait in the kernel.
const diagnoseTimeout = 3 * time.Second

// Diagnose runs the self-test and returns why this host cannot open tunnels, or
// nil if it can.
func Diagnose(ctx context.Context, open Opener) *Unavailable {
	ctx, cancel := context.WithTimeout(ctx, diagnoseTimeout)
	defer cancel()
	err := SelfTest(ctx, open)
	if err == nil {
		return nil
	}
	var u *Unavailable
	if !errors.As(err, &u) {
		u = &Unavailable{Reason: Broken, Err: err}
	}
	return u
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// place is where the program runs, as far as the fix depends on it.
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

// Fix returns a command or a setting that gives the program what it lacks where
// it runs, or the empty string where none does.
func (r Reason) Fix() string { return r.fixIn(os.Getenv, fileExists) }

func (r Reason) fixIn(getenv func(string) string, exists func(string) bool) string {
	where := placeOf(getenv, exists)
	switch r {
	case NoCapability:
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
	case Forbidden:
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
	case Filtered:
		return "sudo iptables -I INPUT -p gre -j ACCEPT; sudo iptables -I OUTPUT -p gre -j ACCEPT"
	}
	return ""
}

// Package wgbench measures a proxy behind a PPTP tunnel against the same proxy
// behind user-space WireGuard, as other programs of this kind have it: in turn,
// in one process, over the loopback interface. It is a module of its own, so that
// the product does not depend on WireGuard.
package wgbench

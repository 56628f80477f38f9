// Package wgbench compares a proxy behind a PPTP tunnel with the same proxy behind
// user-space WireGuard, which similar programs use. Both run alternately in one
// process over the loopback interface. It is a separate module, so that the product
// does not depend on WireGuard.
package wgbench

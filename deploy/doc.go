// Package deploy holds what runs the panel on a machine: a container image and
// systemd units. Its Go files test them.
package deploy

//go:build !race

package pptp

const underRace = false // sync.Pool drops some of what it is given there

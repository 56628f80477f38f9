//go:build !race

package pptp

const underRace = false // with the race detector sync.Pool drops some of its items

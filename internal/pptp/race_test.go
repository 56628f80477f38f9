//go:build race

package pptp

const underRace = true // with the race detector sync.Pool drops some of its items

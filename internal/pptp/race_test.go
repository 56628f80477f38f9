//go:build race

package pptp

const underRace = true // sync.Pool drops some of what it is given there

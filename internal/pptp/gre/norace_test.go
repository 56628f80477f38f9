//go:build !race

package gre

const underRace = false // with the race detector sync.Pool drops some of its items

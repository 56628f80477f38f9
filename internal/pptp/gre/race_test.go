//go:build race

package gre

const underRace = true // with the race detector sync.Pool drops some of its items

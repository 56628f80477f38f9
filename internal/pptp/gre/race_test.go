//go:build race

package gre

const underRace = true // sync.Pool drops some of what it is given there

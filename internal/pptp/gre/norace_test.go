//go:build !race

package gre

const underRace = false // sync.Pool drops some of what it is given there

//go:build !race

package daemon

const mixedNodes, mixedAtOnce = 500, 16

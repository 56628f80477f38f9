//go:build race

package daemon

// mixedNodes and mixedAtOnce are fewer under the race detector, which makes a
// speed test many times as dear.
const mixedNodes, mixedAtOnce = 120, 4

//go:build race

package daemon

// mixedNodes and mixedAtOnce are smaller under the race detector, because it makes
// speed tests many times as expensive.
const mixedNodes, mixedAtOnce = 120, 4

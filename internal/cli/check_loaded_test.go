package cli

import "testing"

// TestLoadedTextOfMeasuredDirections checks that a direction which was not measured
// has no latency under load.
func TestLoadedTextOfMeasuredDirections(t *testing.T) {
	for want, m := range map[string]speedResult{
		"29.0 ms down: bufferbloat grade A":             {LoadedDown: 29, Grade: "A"},
		"31.0 ms up: bufferbloat grade B":               {LoadedUp: 31, Grade: "B"},
		"29.0 ms down, 31.0 ms up: bufferbloat grade B": {LoadedDown: 29, LoadedUp: 31, Grade: "B"},
	} {
		if got := m.loadedText(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

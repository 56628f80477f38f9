package daemon

import (
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// A direction that was not measured has no latency under load.
func TestLoadedLatencyOfWhatWasMeasured(t *testing.T) {
	for want, m := range map[string]connexa.Measurement{
		"29.0 ms down: bufferbloat grade A":             {LoadedDown: 29 * time.Millisecond, Grade: "A"},
		"31.0 ms up: bufferbloat grade B":               {LoadedUp: 31 * time.Millisecond, Grade: "B"},
		"29.0 ms down, 31.0 ms up: bufferbloat grade B": {LoadedDown: 29 * time.Millisecond, LoadedUp: 31 * time.Millisecond, Grade: "B"},
	} {
		if got := loadedLine(m); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

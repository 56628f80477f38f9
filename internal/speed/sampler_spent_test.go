package speed

import (
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// TestBytesThatAreSpentAtOnceHaveAFigure checks that a fast line which uses up the
// byte limit within one sample still has a result.
func TestBytesThatAreSpentAtOnceHaveAFigure(t *testing.T) {
	for _, counts := range [][]int64{{1_000_000}, {400_000, 1_000_000}, {0, 300_000, 700_000, 1_000_000}} {
		s := sampler{plan: plans[connexa.SpeedQuick], most: 1_000_000}
		now := time.Now()
		for i, count := range counts {
			if enough := s.takeSample(now.Add(time.Duration(i)*lookEvery), count); enough != (count == 1_000_000) {
				t.Fatalf("%v: enough at %d", counts, count)
			}
		}
		if got := s.result(); len(got) != 1 || got[0] < 100e6 || got[0] > 400e6 {
			t.Errorf("%v: %v", counts, got)
		}
	}
}

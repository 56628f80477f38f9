package jobs

import (
	"github.com/connexa-panel/connexa/internal/connexa"
)

// queue is a set of job kinds that share slots. Speed tests have their own queue: they
// take long and only few run at a time, while pings continue.
type queue struct {
	isSpeed bool
	more    map[connexa.Kind]bool // the last claim of the kind was full, so there may be more
	waiting []connexa.Job         // claimed, not started
	blocked int                   // waiting jobs that the limiter refused at the last start
	running int
}

// queuesOf returns the queues for the kinds of work.
func queuesOf(work map[connexa.Kind]Work) []*queue {
	probes, speed := &queue{more: map[connexa.Kind]bool{}}, &queue{isSpeed: true, more: map[connexa.Kind]bool{}}
	for k := range work {
		if k == connexa.Speed {
			speed.more[k] = true
		} else {
			probes.more[k] = true
		}
	}
	return []*queue{probes, speed}
}

// slotCount returns the number of jobs that may run at once.
func (q *queue) slotCount(s connexa.Settings) int {
	if q.isSpeed {
		return s.Speed.AtOnce
	}
	return s.Concurrency
}

// maxBlockedSpeed is maxBlocked for speed tests. It is small, because a node whose
// speed test is claimed is shown as being tested.
const maxBlockedSpeed = 16

// claimSize returns the number of jobs to claim and the smallest number that is worth
// a claim. Speed tests are claimed only when they can begin, because a claimed one
// is shown as running.
func (q *queue) claimSize(slots int) (want, minimum int) {
	if q.isSpeed {
		return slots - q.running - len(q.waiting) + min(q.blocked, maxBlockedSpeed), 1
	}
	return slots - q.running + prefetch - len(q.waiting) + min(q.blocked, maxBlocked), min(minClaim, slots)
}

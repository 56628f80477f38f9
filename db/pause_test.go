package db

import (
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func pauseRun(t *testing.T, d *DB, run connexa.Run) {
	t.Helper()
	if err := d.PauseRun(t.Context(), run.ID, connexa.T("run.notice.offline")); err != nil {
		t.Fatal(err)
	}
}

// A worker has the job while its run is paused, a second run joins, and the worker releases
// the job: the second run gets it.
func TestAJobInHandThatASecondRunJoinedIsClaimedAgain(t *testing.T) {
	d, ids := addFleet(t, 1)
	first := startRun(t, d, ids...)
	held := claimNext(t, d, 1)[0]
	pauseRun(t, d, first)
	startRun(t, d, ids...)
	if err := d.Release(t.Context(), held, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if jobs := claimNext(t, d, 1); len(jobs) != 1 {
		t.Errorf("%d jobs, want the one that a running run waits for", len(jobs))
	}
}

// A job that was claimable only because of a run waits for the paused run again when that
// run is cancelled.
func TestACancelledRunLeavesItsJobsToThePausedOne(t *testing.T) {
	d, ids := addFleet(t, 2)
	first := startRun(t, d, ids...)
	pauseRun(t, d, first)
	second := startRun(t, d, ids[0])
	if _, err := d.CancelRun(t.Context(), second.ID); err != nil {
		t.Fatal(err)
	}
	if jobs := claimNext(t, d, 2); len(jobs) != 0 {
		t.Errorf("%d jobs of a paused run", len(jobs))
	}
	if err := d.ResumeRun(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	if jobs := claimNext(t, d, 2); len(jobs) != 2 {
		t.Errorf("%d jobs after the pause, want 2", len(jobs))
	}
}

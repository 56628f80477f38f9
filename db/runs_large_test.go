package db

import (
	"slices"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// largeRun starts a run over all nodes and returns it with the act that adds its jobs.
func largeRun(t *testing.T, d *DB, ids []int64) (connexa.Run, connexa.BulkAct) {
	t.Helper()
	act := startAct(t, d, connexa.NewAct{Bulk: connexa.Bulk{Kind: connexa.BulkTest}, IDs: ids})
	a, err := d.Act(t.Context(), act)
	if err != nil {
		t.Fatal(err)
	}
	run, err := d.Run(t.Context(), a.RunID)
	if err != nil || run.Total != len(ids) || a.Total != len(ids) {
		t.Fatalf("got %+v of %+v, %v; want %d nodes", run, a, err, len(ids))
	}
	return run, a
}

func advanceAct(t *testing.T, d *DB, id int64) connexa.ActStep {
	t.Helper()
	step, err := d.AdvanceAct(t.Context(), id, issueVPN)
	if err != nil {
		t.Fatal(err)
	}
	return step
}

// A large run gets its jobs in batches, in one order, and joins live jobs.
func TestLargeRunsGetTheirJobsInBatches(t *testing.T) {
	d := openFleet(t)
	ids := nodeIDs(putFleet(t, d, makeFleet(1, 2*actBatch+9)))
	startRun(t, d, ids[:2]...)
	paused := startRun(t, d, ids[2])
	if err := d.PauseRun(t.Context(), paused.ID, connexa.T("run.notice.gre")); err != nil {
		t.Fatal(err)
	}
	run, act := largeRun(t, d, ids)
	if step := advanceAct(t, d, act.ID); step.Done || !slices.Equal(step.Runs, []int64{run.ID}) || len(step.IDs) != 0 || step.Act.Changed != actBatch {
		t.Errorf("the first batch: %+v", step)
	}
	if _, err := d.CancelAct(t.Context(), act.ID); connexa.CodeOf(err) != connexa.Conflict {
		t.Errorf("the act of a run was cancelled without it: %v", err)
	}
	if a := finishAct(t, d, act.ID); a.State != connexa.BulkDone || a.Changed != len(ids) || a.Undoable() {
		t.Errorf("at the end: %+v", a)
	}
	jobs := claimNext(t, d, len(ids)+1)
	if len(jobs) != len(ids) {
		t.Fatalf("%d jobs, want one for each of %d nodes", len(jobs), len(ids))
	}
	var got []int64
	for _, j := range jobs {
		if !slices.Contains(ids[:3], j.NodeID) {
			got = append(got, j.NodeID)
		}
	}
	if want := slices.DeleteFunc(queueOrder(ids), func(id int64) bool { return slices.Contains(ids[:3], id) }); !slices.Equal(got, want) {
		t.Error("the jobs are not in the order of the queue")
	}
	for _, j := range jobs {
		finishJob(t, d, j, connexa.Answered)
	}
	if r, err := d.Run(t.Context(), run.ID); err != nil || r.State != connexa.RunDone || r.Good != len(ids) {
		t.Errorf("at the end %+v, %v", r, err)
	}
}

// Nodes that are deleted meanwhile leave the run, which ends with the last of the others.
func TestLargeRunsOfDeletedNodesEnd(t *testing.T) {
	d := openFleet(t)
	ids := nodeIDs(putFleet(t, d, makeFleet(1, actBatch+9)))
	run, act := largeRun(t, d, ids)
	advanceAct(t, d, act.ID)
	for _, j := range claimNext(t, d, len(ids)) {
		finishJob(t, d, j, connexa.Answered)
	}
	if _, _, err := deleteNodes(t.Context(), d, queueOrder(ids)[actBatch:]); err != nil {
		t.Fatal(err)
	}
	if a := finishAct(t, d, act.ID); a.Changed != actBatch || a.Skipped != 9 {
		t.Errorf("the act: %+v", a)
	}
	if r, err := d.Run(t.Context(), run.ID); err != nil || r.State != connexa.RunDone || r.Total != actBatch || r.Good != actBatch {
		t.Errorf("the run: %+v, %v", r, err)
	}
}

// Pausing and cancelling a run includes the jobs that it does not have yet.
func TestLargeRunsPauseAndEnd(t *testing.T) {
	d := openFleet(t)
	ids := nodeIDs(putFleet(t, d, makeFleet(1, 2*actBatch+9)))
	run, act := largeRun(t, d, ids)
	advanceAct(t, d, act.ID)
	if err := d.PauseRun(t.Context(), run.ID, connexa.T("run.notice.gre")); err != nil {
		t.Fatal(err)
	}
	advanceAct(t, d, act.ID)
	if jobs := claimNext(t, d, 9); len(jobs) != 0 {
		t.Fatalf("a paused run has the jobs %v", jobs)
	}
	if err := d.ResumeRun(t.Context(), run.ID); err != nil {
		t.Fatal(err)
	}
	if jobs := claimNext(t, d, len(ids)); len(jobs) != 2*actBatch {
		t.Errorf("%d jobs after the pause, want %d", len(jobs), 2*actBatch)
	}
	if _, err := d.CancelRun(t.Context(), run.ID); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Run(t.Context(), run.ID); err != nil || r.State != connexa.RunCancelled || r.Total != 2*actBatch || r.Inconclusive != 2*actBatch {
		t.Errorf("the cancelled run: %+v, %v", r, err)
	}
	if step := advanceAct(t, d, act.ID); !step.Done || step.Act.State != connexa.BulkCancelled || step.Act.Changed != 2*actBatch {
		t.Errorf("the act of a cancelled run: %+v", step)
	}
	if again, err := d.CountLiveJobs(t.Context()); err != nil || again[0].Queued+again[0].Running != 0 {
		t.Errorf("left: %+v, %v", again, err)
	}
}

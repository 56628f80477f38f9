package db

// What every single job executes, through fastTx.
const (
	// jobs_due hands the queued jobs out in the order of their turns.
	claimJobs = `
		UPDATE jobs SET state = 'running', attempt = attempt + 1
		WHERE id IN (SELECT id FROM jobs INDEXED BY jobs_due
			WHERE state = 'queued' AND kind = ? AND turn < ? AND run_after <= ? ORDER BY turn LIMIT ?)
		RETURNING id`
	claimedJobs = `
		SELECT j.id, j.node_id, j.kind, j.attempt, n.revision, n.address, n.port, n.login, n.password, n.encryption, n.allow_pap,
			n.status, n.silences, n.tunnel_failures, n.refusals
		FROM json_each(?) c JOIN jobs j ON j.id = c.value JOIN nodes n ON n.id = j.node_id ORDER BY j.turn`
	releaseJob = `UPDATE jobs SET state = 'queued', run_after = ? WHERE id = ? AND state = 'running' AND attempt = ?`
	requeueJob = `UPDATE jobs SET state = 'queued', mark = '', reached = 0, cause = '', finished_at = NULL WHERE id = ?`
	closeJob   = `
		UPDATE jobs SET state = 'done', mark = ?, reached = ?, cause = ?, finished_at = ?
		WHERE id = ? AND state = 'running' AND attempt = ?`
	judgeNode = `
		UPDATE nodes SET status = ?, silences = ?, tunnel_failures = ?, refusals = ?, kind = ?, reached = ?, cause = ?,
			latency = coalesce(?, latency), control = coalesce(?, control), attempts = ?, lost = ?,
			down = coalesce(?, down), up = coalesce(?, up), checked_at = ?,
			vendor = coalesce(?, vendor), peer_host = coalesce(?, peer_host), firmware = coalesce(?, firmware)
		WHERE id = ? AND revision = ? AND status = ? AND silences = ? AND tunnel_failures = ? AND refusals = ?`
	nodeVerdict = `SELECT revision, status, silences, tunnel_failures, refusals FROM nodes WHERE id = ?`
	addProbe    = `
		INSERT INTO history (node_id, at, what, kind, fact, mark, before, after, doubt, stale,
			reached, cause, latency, control, attempts, lost, down, up, detail)
		VALUES (?, ?, 'probe', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	// The state is not among what it sets: that would rewrite an index each time.
	tallyRuns = `
		UPDATE runs SET good = good + ?, slow = slow + ?, bad = bad + ?, void = void + ?
		WHERE state IN ('running','paused') AND id IN (SELECT run_id FROM run_jobs WHERE job_id = ? AND cancelled = 0)
		RETURNING id, good + slow + bad + void >= total`
	endRun = `UPDATE runs SET state = 'done', finished_at = ? WHERE id = ? AND state IN ('running','paused')`
)

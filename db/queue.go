package db

// The statements of every single job, for stmtTx.
const (
	// The index jobs_due has the queued jobs in the order of their priorities.
	claimJobs = `
		UPDATE jobs SET state = 'running', attempt = attempt + 1
		WHERE id IN (SELECT id FROM jobs INDEXED BY jobs_due
			WHERE state = 'queued' AND kind = ? AND priority < ? AND run_after <= ? ORDER BY priority LIMIT ?)
		RETURNING id`
	claimedJobs = `
		SELECT j.id, j.node_id, j.kind, j.attempt, n.revision, n.address, n.port, n.login, n.password, n.encryption, n.allow_pap,
			n.status, n.silences, n.tunnel_failures, n.refusals, n.basis_kind
		FROM json_each(?) c JOIN jobs j ON j.id = c.value JOIN nodes n ON n.id = j.node_id ORDER BY j.priority`
	releaseJob = `UPDATE jobs SET state = 'queued', run_after = ? WHERE id = ? AND state = 'running' AND attempt = ?`
	requeueJob = `UPDATE jobs SET state = 'queued', result = '', reached = 0, cause = '', finished_at = NULL WHERE id = ?`
	closeJob   = `
		UPDATE jobs SET state = 'done', result = ?, reached = ?, cause = ?, finished_at = ?
		WHERE id = ? AND state = 'running' AND attempt = ?`
	judgeNode = `
		UPDATE nodes SET status = ?, silences = ?, tunnel_failures = ?, refusals = ?, kind = ?, reached = ?, cause = ?,
			latency = coalesce(?, latency), control = coalesce(?, control), attempts = ?, lost = ?,
			down = coalesce(?, down), up = coalesce(?, up), checked_at = ?,
			vendor = coalesce(?, vendor), peer_host = coalesce(?, peer_host), firmware = coalesce(?, firmware),
			basis_kind = coalesce(?, basis_kind), basis_reached = coalesce(?, basis_reached), basis_cause = coalesce(?, basis_cause),
			basis_at = coalesce(?, basis_at)
		WHERE id = ? AND revision = ? AND status = ? AND silences = ? AND tunnel_failures = ? AND refusals = ? AND basis_kind = ?`
	// Separate from judgeNode, so that a ping does not pay for it.
	notePlain   = `UPDATE nodes SET plain = ?1 WHERE id = ?2 AND plain <> ?1`
	nodeVerdict = `SELECT revision, status, silences, tunnel_failures, refusals, basis_kind FROM nodes WHERE id = ?`
	addProbe    = `
		INSERT INTO history (node_id, at, what, kind, fact, result, before, after, suspect, stale,
			reached, cause, latency, control, attempts, lost, down, up, detail, run_id)
		VALUES (?, ?, 'probe', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	// This does not set the state: that would rewrite an index each time. The first parameter
	// is whether the job is a ping that passed: a ping+speed run counts the speed job that
	// follows it instead.
	tallyRuns = `
		UPDATE runs SET good = good + ?2 * (?1 = 0 OR kind <> 'ping+speed'), slow = slow + ?3, bad = bad + ?4, inconclusive = inconclusive + ?5
		WHERE state IN ('running','paused') AND id IN (SELECT run_id FROM run_jobs WHERE job_id = ?6 AND cancelled = 0)
		RETURNING id, good + slow + bad + inconclusive >= total, ?1 = 1 AND kind = 'ping+speed'`
	// The speed jobs of a run have consecutive priorities. The first one gets the lowest
	// queued priority, so that runs interleave. The job with the highest id is the one that
	// was added last.
	addSpeedJob = `
		INSERT INTO jobs (node_id, kind, priority)
		SELECT ?1, 'speed', max(
			(SELECT coalesce(min(priority), 0) FROM jobs WHERE state = 'queued' AND kind = 'speed' AND priority < ?2),
			coalesce((SELECT CASE WHEN j.kind = 'speed' THEN j.priority % ?2 + 1 END FROM run_jobs rj JOIN jobs j ON j.id = rj.job_id
				WHERE rj.run_id = ?3 ORDER BY rj.job_id DESC LIMIT 1), 0))
		WHERE true ON CONFLICT (node_id, kind) WHERE finished_at IS NULL DO NOTHING`
	tieSpeedJob = `
		INSERT INTO run_jobs (run_id, job_id) SELECT ?, id FROM jobs WHERE node_id = ? AND kind = 'speed' AND finished_at IS NULL
		ON CONFLICT DO NOTHING`
	followPing = `UPDATE run_jobs SET chained = 1 WHERE run_id = ? AND job_id = ?`
	// A job whose runs are all paused is behind all others.
	pauseSpeedJob = `
		UPDATE jobs SET priority = priority % ?1 + ?1 * NOT EXISTS (SELECT 1 FROM run_jobs o JOIN runs ON runs.id = o.run_id
			WHERE o.job_id = jobs.id AND o.cancelled = 0 AND runs.state = 'running')
		WHERE node_id = ?2 AND kind = 'speed' AND finished_at IS NULL`
	// A node whose status changed is due at once.
	addMonitored  = `INSERT INTO monitored (node_id, due_at) VALUES (?, ?)`
	wakeMonitored = `UPDATE monitored SET due_at = ?, earned = max(earned, ?) WHERE node_id = ?`
	readFlaps     = `SELECT before_at, last_at, until FROM flaps WHERE node_id = ?`
	saveFlaps     = `
		INSERT INTO flaps (node_id, before_at, last_at, until) VALUES (?, ?, ?, ?)
		ON CONFLICT (node_id) DO UPDATE SET before_at = excluded.before_at, last_at = excluded.last_at, until = excluded.until`
	endRun = `UPDATE runs SET state = 'done', finished_at = ? WHERE id = ? AND state IN ('running','paused')`
)

-- +goose Up

-- Services are started and stopped, and the jobs of large runs are added, by bulk acts. The
-- text of the table is changed in place, as in 00013_history_ids.sql.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, '''delete'',''restore'',''purge''', '''delete'',''restore'',''purge'',''start'',''stop'',''test''')
WHERE type = 'table' AND name = 'acts';
PRAGMA writable_schema = RESET;
ALTER TABLE acts ADD COLUMN run_id INTEGER; -- of 'test'
ALTER TABLE acts ADD COLUMN priority INTEGER; -- of 'test': of the run's first job

-- +goose Down
UPDATE runs SET total = total - (SELECT coalesce(sum(json_array_length(t.nodes)), 0) FROM acts a JOIN act_targets t ON t.act_id = a.id WHERE a.run_id = runs.id)
WHERE state IN ('running','paused');
DELETE FROM acts WHERE kind IN ('start','stop','test');
ALTER TABLE acts DROP COLUMN priority;
ALTER TABLE acts DROP COLUMN run_id;
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, ',''start'',''stop'',''test''', '')
WHERE type = 'table' AND name = 'acts';
PRAGMA writable_schema = RESET;

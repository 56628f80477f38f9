-- +goose Up

-- OpenVPN exits are switched by bulk acts too. The text of the table is changed in place, as
-- in 00013_history_ids.sql.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, '''start'',''stop'',''test''', '''start'',''stop'',''test'',''start_vpn'',''stop_vpn''')
WHERE type = 'table' AND name = 'acts';
PRAGMA writable_schema = RESET;

-- +goose Down
DELETE FROM acts WHERE kind IN ('start_vpn','stop_vpn');
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, ',''start_vpn'',''stop_vpn''', '')
WHERE type = 'table' AND name = 'acts';
PRAGMA writable_schema = RESET;

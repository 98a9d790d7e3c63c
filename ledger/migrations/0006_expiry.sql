-- Columns of rows hold names of people's files, so the journal of them is not kept
-- for good: what is finished goes 90 days after it was. They are counted back from
-- the last whole scan, by the server's clock: a host's that went wrong must not do it.
DROP TRIGGER clearing_kept;
CREATE TRIGGER clearing_kept BEFORE DELETE ON clearing
WHEN OLD.state NOT IN ('skipped', 'done', 'restored')
	OR max(OLD.ended_ns, OLD.restored_ns) >= coalesce((SELECT at_ns FROM scan ORDER BY run DESC LIMIT 1), 0) - 7776000000000000
BEGIN SELECT RAISE(ABORT, 'the journal is append-only, but for what was finished 90 days before the last scan'); END;
CREATE INDEX clearing_finished ON clearing (max(ended_ns, restored_ns)) WHERE state IN ('skipped', 'done', 'restored');

-- The journal of rows whose attachments prune clears: written before the row is
-- touched, and kept for good. An intent that a kill left open may be done or not.
CREATE TABLE clearing (
	id           INTEGER PRIMARY KEY, -- in the order of the intents
	run          INTEGER NOT NULL,
	class        TEXT NOT NULL,
	row_id       INTEGER NOT NULL,    -- Mastodon's
	columns      TEXT NOT NULL,       -- JSON: what is set to NULL, with its values before
	reason       TEXT NOT NULL,
	bytes        INTEGER NOT NULL,
	plan         TEXT NOT NULL,
	state        TEXT NOT NULL,       -- intent, then skipped or cleared; cleared, then done; cleared or done, then restored
	detail       TEXT NOT NULL,
	intended_ns  INTEGER NOT NULL,
	cleared_ns   INTEGER NOT NULL DEFAULT 0,
	ended_ns     INTEGER NOT NULL DEFAULT 0,
	restored_run INTEGER NOT NULL DEFAULT 0,
	restored_ns  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX clearing_row ON clearing (class, row_id, run);
-- Spelled with OR, so that SQLite sees that it serves either state.
CREATE INDEX clearing_open ON clearing (state) WHERE state = 'intent' OR state = 'cleared';
CREATE INDEX clearing_run ON clearing (run);

-- INSERT OR REPLACE deletes without asking the trigger for that.
CREATE TRIGGER clearing_begins BEFORE INSERT ON clearing
WHEN NEW.state <> 'intent' OR (NEW.cleared_ns, NEW.ended_ns, NEW.restored_run, NEW.restored_ns) <> (0, 0, 0, 0)
	OR EXISTS (SELECT 1 FROM clearing WHERE id = NEW.id)
	OR EXISTS (SELECT 1 FROM clearing WHERE class = NEW.class AND row_id = NEW.row_id AND (state = 'intent' OR run = NEW.run))
BEGIN SELECT RAISE(ABORT, 'a clearing begins as the one open intent of its row, once in a run'); END;
CREATE TRIGGER clearing_kept BEFORE DELETE ON clearing BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER clearing_fixed BEFORE UPDATE OF id, run, class, row_id, columns, reason, bytes, plan, intended_ns ON clearing
BEGIN SELECT RAISE(ABORT, 'what was intended is fixed'); END;
CREATE TRIGGER clearing_goes_on BEFORE UPDATE ON clearing
WHEN NOT (
	OLD.state = 'intent' AND NEW.state = 'skipped' AND NEW.ended_ns <> 0
		AND (NEW.cleared_ns, NEW.restored_run, NEW.restored_ns) = (0, 0, 0)
	OR OLD.state = 'intent' AND NEW.state = 'cleared' AND NEW.cleared_ns <> 0
		AND (NEW.ended_ns, NEW.restored_run, NEW.restored_ns) = (0, 0, 0)
	OR OLD.state = 'cleared' AND NEW.state = 'done' AND NEW.ended_ns <> 0
		AND (NEW.cleared_ns, NEW.restored_run, NEW.restored_ns) = (OLD.cleared_ns, 0, 0)
	OR OLD.state IN ('cleared', 'done') AND NEW.state = 'restored' AND NEW.restored_run <> 0 AND NEW.restored_ns <> 0
		AND (NEW.detail, NEW.cleared_ns, NEW.ended_ns) = (OLD.detail, OLD.cleared_ns, OLD.ended_ns))
BEGIN SELECT RAISE(ABORT, 'an intent is skipped or cleared, and only what was cleared is done or restored, each at its time'); END;

-- What the bucket held, a row per day: as the last run of that day listed it.
CREATE TABLE bucket (
	day             TEXT NOT NULL PRIMARY KEY, -- 2026-11-22, UTC
	run             INTEGER NOT NULL,
	at_ns           INTEGER NOT NULL,
	objects         INTEGER NOT NULL,
	bytes           INTEGER NOT NULL,
	parts           TEXT NOT NULL,    -- JSON: the same by class and owner
	removed_objects INTEGER NOT NULL, -- by that run, after it had listed
	removed_bytes   INTEGER NOT NULL,
	before_objects  INTEGER NOT NULL, -- by earlier runs of the day
	before_bytes    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

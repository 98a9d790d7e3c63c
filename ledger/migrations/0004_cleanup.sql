-- What no row of Mastodon's owned when a scan last looked. A key that is seen
-- again with the same ETag keeps its first sighting.
CREATE TABLE suspect (
	key         BLOB NOT NULL PRIMARY KEY,
	kind        TEXT NOT NULL,
	reason      TEXT NOT NULL,
	size        INTEGER NOT NULL,
	etag        TEXT NOT NULL,
	modified_ns INTEGER NOT NULL,
	first_run   INTEGER NOT NULL,
	first_ns    INTEGER NOT NULL,
	last_run    INTEGER NOT NULL,
	last_ns     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per scan that came to its end.
CREATE TABLE scan (
	run     INTEGER PRIMARY KEY,
	at_ns   INTEGER NOT NULL,
	objects INTEGER NOT NULL,
	bytes   INTEGER NOT NULL,
	owned   INTEGER NOT NULL,
	counts  TEXT NOT NULL -- JSON: rows by table
) STRICT;

-- Keys that a scan saw owned: the next ones must see most of them owned too.
CREATE TABLE control (
	run INTEGER NOT NULL,
	key BLOB NOT NULL,
	PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;

-- The journal of what was removed. Written before anything is deleted, and kept
-- for good.
CREATE TABLE removal (
	id            INTEGER PRIMARY KEY, -- in the order of the intents
	run           INTEGER NOT NULL,
	key           BLOB NOT NULL,
	normal        BLOB,                -- the key in NFC; NULL: it is that itself
	policy        TEXT NOT NULL,
	reason        TEXT NOT NULL,
	size          INTEGER NOT NULL,
	etag          TEXT NOT NULL,
	modified_ns   INTEGER NOT NULL,
	trash         TEXT NOT NULL,       -- '': no copy
	plan          TEXT NOT NULL,
	state         TEXT NOT NULL,       -- intent, then removed or kept; removed, then restored
	detail        TEXT NOT NULL,
	intended_ns   INTEGER NOT NULL,
	ended_ns      INTEGER NOT NULL DEFAULT 0,
	restored_run  INTEGER NOT NULL DEFAULT 0,
	restored_etag TEXT NOT NULL DEFAULT '',
	restored_ns   INTEGER NOT NULL DEFAULT 0
) STRICT;
-- All spellings of a name are one object to R2.
CREATE UNIQUE INDEX removal_name ON removal (coalesce(normal, key), run, key);
CREATE INDEX removal_open ON removal (state) WHERE state = 'intent';
CREATE INDEX removal_run ON removal (run);
CREATE INDEX removal_intended ON removal (intended_ns);

-- INSERT OR REPLACE deletes without asking the trigger for that.
CREATE TRIGGER removal_begins BEFORE INSERT ON removal
WHEN NEW.state <> 'intent' OR NEW.ended_ns <> 0 OR NEW.restored_run <> 0
	OR EXISTS (SELECT 1 FROM removal WHERE id = NEW.id)
	OR EXISTS (SELECT 1 FROM removal WHERE coalesce(normal, key) = coalesce(NEW.normal, NEW.key) AND key = NEW.key
		AND (state = 'intent' OR run = NEW.run))
BEGIN SELECT RAISE(ABORT, 'a removal begins as the one open intent of its key, once in a run'); END;
CREATE TRIGGER removal_kept BEFORE DELETE ON removal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER removal_fixed BEFORE UPDATE OF id, run, key, normal, policy, reason, size, etag, modified_ns, plan, intended_ns ON removal
BEGIN SELECT RAISE(ABORT, 'what was intended is fixed'); END;
CREATE TRIGGER removal_ends BEFORE UPDATE ON removal
WHEN NOT (OLD.state = 'intent' AND NEW.state IN ('removed', 'kept')
		AND NEW.restored_run = 0 AND NEW.restored_etag = '' AND NEW.restored_ns = 0
	OR OLD.state = 'removed' AND NEW.state = 'restored'
		AND (NEW.trash, NEW.detail, NEW.ended_ns) = (OLD.trash, OLD.detail, OLD.ended_ns))
BEGIN SELECT RAISE(ABORT, 'an intent becomes an outcome, and only what was removed is restored'); END;

-- A plan that was saved is applied once.
CREATE TABLE plan (
	id  TEXT NOT NULL PRIMARY KEY,
	run INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

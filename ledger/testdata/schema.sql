CREATE INDEX clearing_finished ON clearing (max(ended_ns, restored_ns)) WHERE state IN ('skipped', 'done', 'restored');

CREATE INDEX clearing_open ON clearing (state) WHERE state = 'intent' OR state = 'cleared';

CREATE UNIQUE INDEX clearing_row ON clearing (class, row_id, run);

CREATE INDEX clearing_run ON clearing (run);

CREATE INDEX evidence_key ON evidence (key);

CREATE INDEX removal_intended ON removal (intended_ns);

CREATE UNIQUE INDEX removal_name ON removal (coalesce(normal, key), run, key);

CREATE INDEX removal_open ON removal (state) WHERE state = 'intent';

CREATE INDEX removal_run ON removal (run);

CREATE INDEX usage_day ON usage (day);

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

CREATE TABLE control (
	run INTEGER NOT NULL,
	key BLOB NOT NULL,
	PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE doubt (
	key       BLOB NOT NULL,
	verdict   TEXT NOT NULL,
	since_run INTEGER NOT NULL,
	last_run  INTEGER NOT NULL,
	cause     TEXT NOT NULL,
	detail    TEXT NOT NULL,
	size      INTEGER NOT NULL,
	etag      TEXT NOT NULL, -- '': nothing was seen
	at_ns     INTEGER NOT NULL,
	PRIMARY KEY (key, verdict, since_run)
) STRICT, WITHOUT ROWID;

CREATE TABLE evidence (
	id     INTEGER PRIMARY KEY,
	key    BLOB NOT NULL,
	level  INTEGER NOT NULL,
	op     TEXT NOT NULL,
	detail TEXT NOT NULL,
	run    INTEGER NOT NULL,
	at_ns  INTEGER NOT NULL
, etag TEXT NOT NULL DEFAULT '') STRICT;

CREATE TABLE finding (
	key    BLOB NOT NULL PRIMARY KEY,
	kind   TEXT NOT NULL,
	cause  TEXT NOT NULL,
	detail TEXT NOT NULL,
	size   INTEGER NOT NULL,
	run    INTEGER NOT NULL,
	at_ns  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE listed (
	key  BLOB NOT NULL PRIMARY KEY,
	size INTEGER NOT NULL,
	etag TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (
	name  TEXT NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE object (
	key       BLOB NOT NULL PRIMARY KEY,
	size      INTEGER NOT NULL,
	mtime_ns  INTEGER NOT NULL,
	inode     INTEGER NOT NULL, -- unsigned, stored bit for bit
	mode      INTEGER NOT NULL, -- Go's fs.FileMode
	md5       BLOB NOT NULL CHECK (length(md5) = 16),
	sha256    BLOB NOT NULL CHECK (length(sha256) = 32),
	etag      TEXT,             -- NULL: the MD5 in hex, as a single PUT answers
	part_size INTEGER NOT NULL, -- 0: a single PUT
	origin    INTEGER NOT NULL,
	untyped   INTEGER NOT NULL,
	run       INTEGER NOT NULL,
	at_ns     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pass (
	run      INTEGER PRIMARY KEY,
	began_ns INTEGER NOT NULL,
	ended_ns INTEGER NOT NULL,
	walked   INTEGER NOT NULL, -- the disk was compared too
	switched INTEGER NOT NULL, -- after the switch
	listed   INTEGER NOT NULL,
	same     INTEGER NOT NULL,
	bytes    INTEGER NOT NULL
) STRICT;

CREATE TABLE plan (
	id  TEXT NOT NULL PRIMARY KEY,
	run INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

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

CREATE TABLE run (
	id          INTEGER PRIMARY KEY AUTOINCREMENT, -- an id is never given twice
	command     TEXT NOT NULL,
	began_ns    INTEGER NOT NULL,
	ended_ns    INTEGER,                    -- NULL: running, or killed
	interrupted INTEGER NOT NULL DEFAULT 0, -- found without an end by a later run
	exit_code   INTEGER NOT NULL DEFAULT 0,
	complete    INTEGER NOT NULL DEFAULT 0,
	counts      TEXT NOT NULL DEFAULT '{}',
	bytes       INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE scan (
	run     INTEGER PRIMARY KEY,
	at_ns   INTEGER NOT NULL,
	objects INTEGER NOT NULL,
	bytes   INTEGER NOT NULL,
	owned   INTEGER NOT NULL,
	counts  TEXT NOT NULL -- JSON: rows by table
) STRICT;

CREATE TABLE sqlite_sequence(name,seq);

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

CREATE TABLE upload (
	id    TEXT NOT NULL PRIMARY KEY,
	key   BLOB NOT NULL,
	run   INTEGER NOT NULL,
	at_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE usage (
	run   INTEGER NOT NULL REFERENCES run (id),
	day   TEXT NOT NULL, -- 2026-11-22, UTC
	op    TEXT NOT NULL,
	count INTEGER NOT NULL,
	PRIMARY KEY (run, day, op)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER clearing_begins BEFORE INSERT ON clearing
WHEN NEW.state <> 'intent' OR (NEW.cleared_ns, NEW.ended_ns, NEW.restored_run, NEW.restored_ns) <> (0, 0, 0, 0)
	OR EXISTS (SELECT 1 FROM clearing WHERE id = NEW.id)
	OR EXISTS (SELECT 1 FROM clearing WHERE class = NEW.class AND row_id = NEW.row_id AND (state = 'intent' OR run = NEW.run))
BEGIN SELECT RAISE(ABORT, 'a clearing begins as the one open intent of its row, once in a run'); END;

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

CREATE TRIGGER clearing_kept BEFORE DELETE ON clearing
WHEN OLD.state NOT IN ('skipped', 'done', 'restored')
	OR max(OLD.ended_ns, OLD.restored_ns) >= coalesce((SELECT at_ns FROM scan ORDER BY run DESC LIMIT 1), 0) - 7776000000000000
BEGIN SELECT RAISE(ABORT, 'the journal is append-only, but for what was finished 90 days before the last scan'); END;

CREATE TRIGGER evidence_fixed BEFORE UPDATE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence is append-only'); END;

CREATE TRIGGER evidence_kept BEFORE DELETE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence is append-only'); END;

CREATE TRIGGER removal_begins BEFORE INSERT ON removal
WHEN NEW.state <> 'intent' OR NEW.ended_ns <> 0 OR NEW.restored_run <> 0
	OR EXISTS (SELECT 1 FROM removal WHERE id = NEW.id)
	OR EXISTS (SELECT 1 FROM removal WHERE coalesce(normal, key) = coalesce(NEW.normal, NEW.key) AND key = NEW.key
		AND (state = 'intent' OR run = NEW.run))
BEGIN SELECT RAISE(ABORT, 'a removal begins as the one open intent of its key, once in a run'); END;

CREATE TRIGGER removal_ends BEFORE UPDATE ON removal
WHEN NOT (OLD.state = 'intent' AND NEW.state IN ('removed', 'kept')
		AND NEW.restored_run = 0 AND NEW.restored_etag = '' AND NEW.restored_ns = 0
	OR OLD.state = 'removed' AND NEW.state = 'restored'
		AND (NEW.trash, NEW.detail, NEW.ended_ns) = (OLD.trash, OLD.detail, OLD.ended_ns))
BEGIN SELECT RAISE(ABORT, 'an intent becomes an outcome, and only what was removed is restored'); END;

CREATE TRIGGER removal_fixed BEFORE UPDATE OF id, run, key, normal, policy, reason, size, etag, modified_ns, plan, intended_ns ON removal
BEGIN SELECT RAISE(ABORT, 'what was intended is fixed'); END;

CREATE TRIGGER removal_kept BEFORE DELETE ON removal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

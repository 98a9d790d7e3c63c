CREATE INDEX evidence_key ON evidence (key);

CREATE INDEX usage_day ON usage (day);

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

CREATE TABLE sqlite_sequence(name,seq);

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

CREATE TRIGGER evidence_fixed BEFORE UPDATE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence is append-only'); END;

CREATE TRIGGER evidence_kept BEFORE DELETE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence is append-only'); END;

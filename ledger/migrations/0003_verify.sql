-- An ETag per proof: it is worth something while the object has that ETag.
ALTER TABLE evidence ADD COLUMN etag TEXT NOT NULL DEFAULT '';

-- One row per unbroken row of runs that had the same doubt about a key. What
-- was seen is the last run's.
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

-- One row per run that listed the whole bucket: every recorded object without
-- a doubt of that run was there with the recorded size and ETag.
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

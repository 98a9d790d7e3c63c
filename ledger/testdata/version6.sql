-- A ledger as version 6 made it. Never edit: later versions must read it.
PRAGMA application_id = 0x6d6d6f76;
PRAGMA user_version = 6;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
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
INSERT INTO doubt VALUES(X'63616368652f6163636f756e74732f686561646572732fff0027','extra',2,2,'','',1099511627776,'x-2',1796043600000000000);
INSERT INTO doubt VALUES(X'6d656469615f6174746163686d656e74732f66696c65732f3131342f3030302f3030392f6f726967696e616c2f30303030303030392e6a706567','missing',2,2,'not in the listing','',0,'',1796043600000000000);
INSERT INTO doubt VALUES(X'6d656469615f6174746163686d656e74732f66696c65732f3131342f3030302f3031302f6f726967696e616c2f30303030303030612e6a706567','differs',2,3,'size','8 of 70 bytes',8,'f',1796047200000000000);
CREATE TABLE evidence (
	id     INTEGER PRIMARY KEY,
	key    BLOB NOT NULL,
	level  INTEGER NOT NULL,
	op     TEXT NOT NULL,
	detail TEXT NOT NULL,
	run    INTEGER NOT NULL,
	at_ns  INTEGER NOT NULL
, etag TEXT NOT NULL DEFAULT '') STRICT;
INSERT INTO evidence VALUES(1,X'6d656469615f6174746163686d656e74732f66696c65732f3131342f3030302f3031312f6f726967696e616c2f30303030303030622e6a706567',3,'GetObject','read',3,1796047260000000000,'6512bd43d9caa6e02c990b0a82652dca');
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
INSERT INTO listed VALUES(X'63616368652f6163636f756e74732f686561646572732fff0027',3,'e');
CREATE TABLE meta (
	name  TEXT NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES('checked','2026-11-22T12:23:43Z');
INSERT INTO meta VALUES('clean','2026-11-22T12:23:43Z');
INSERT INTO meta VALUES('cleaning','{"count":3,"token":"c0ffee","open":true,"next_count":4,"next_token":"beef"}');
INSERT INTO meta VALUES('identity','{"ledger_id":"ed92bce2316eba7a695a88bd3fee89de","bucket_id":"5f1d","domain":"example.social","endpoint":"https://example.r2.cloudflarestorage.com","bucket":"media","prefix":"","probed":true,"switched_at":"2026-11-30T12:00:00Z"}');
INSERT INTO meta VALUES('listing','{"state":"complete","at":"2026-11-22T12:23:43.182818594Z"}');
INSERT INTO meta VALUES('rotation 30','{"of":30,"slot":4,"began":"2026-11-30T12:00:00Z"}');
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
INSERT INTO object VALUES(X'6d656469615f6174746163686d656e74732f66696c65732f3131342f3030302f3030382f6f726967696e616c2f30303030303030382e6a706567',56,1700000008000000123,-9223372036854775800,420,X'c9f0f895fb98ab9159f51fd0297e236d',X'2c624232cdd221771294dfbb310aca000a0df6ac8b66b696d90ef06fdefb64a3',NULL,0,0,0,1,1796040000000000008);
INSERT INTO object VALUES(X'6d656469615f6174746163686d656e74732f66696c65732f3131342f3030302f3030392f6f726967696e616c2f30303030303030392e6a706567',63,1700000009000000123,-9223372036854775799,420,X'45c48cce2e2d7fbdea1afc51c7c6ad26',X'19581e27de7ced00ff1ce50b2047e7a567c76b1cbaebabe5ef03f7c3017bb5b7','45c48cce2e2d7fbdea1afc51c7c6ad26-3',5242880,1,1,1,1796040000000000009);
INSERT INTO object VALUES(X'6d656469615f6174746163686d656e74732f66696c65732f3131342f3030302f3031302f6f726967696e616c2f30303030303030612e6a706567',70,1700000010000000123,-9223372036854775798,420,X'd3d9446802a44259755d38e6d163e820',X'4a44dc15364204a80fe80e9039455cc1608281820fe2b24f1e5233ade6af1dd5',NULL,0,0,0,1,1796040000000000010);
INSERT INTO object VALUES(X'6d656469615f6174746163686d656e74732f66696c65732f3131342f3030302f3031312f6f726967696e616c2f30303030303030622e6a706567',77,1700000011000000123,-9223372036854775797,420,X'6512bd43d9caa6e02c990b0a82652dca',X'4fc82b26aecb47d2868c4efbe3581732a3e7cbcc6c2efb32062c08170a05eeb8',NULL,0,0,0,1,1796040000000000011);
INSERT INTO object VALUES(X'6d656469615f6174746163686d656e74732f66696c65732f3131342f3030302f3031322f6f726967696e616c2f30303030303030632e6a706567',84,1700000012000000123,-9223372036854775796,420,X'c20ad4d76fe97759aa27a0c99bff6710',X'6b51d431df5d7f141cbececcf79edf3dd861c3b4069f0b11661a3eefacbba918',NULL,0,0,0,1,1796040000000000012);
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
INSERT INTO pass VALUES(2,1796043600000000000,1796043601000000000,1,0,5,3,231);
INSERT INTO pass VALUES(3,1796047200000000000,1796047201000000000,0,1,6,4,294);
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
INSERT INTO run VALUES(1,'sync',1796040000000000000,1796040060000000000,0,0,1,'{}',0);
INSERT INTO run VALUES(2,'verify',1796043600000000000,1796043660000000000,0,0,1,'{}',0);
INSERT INTO run VALUES(3,'verify',1796047200000000000,1796047260000000000,0,0,1,'{}',0);
INSERT INTO run VALUES(4,'orphans',1796094000000000000,1796094060000000000,0,0,1,'{}',0);
INSERT INTO run VALUES(5,'orphans',1796180400000000000,1796180460000000000,0,0,1,'{}',0);
INSERT INTO run VALUES(6,'undo',1796266800000000000,1796266860000000000,0,0,1,'{}',0);
INSERT INTO run VALUES(7,'prune',1796353200000000000,1796353260000000000,0,0,1,'{}',0);
INSERT INTO run VALUES(8,'prune',1796439600000000000,1796439660000000000,0,0,1,'{}',0);
INSERT INTO run VALUES(9,'undo',1796526000000000000,1796526060000000000,0,0,1,'{}',0);
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
INSERT INTO usage VALUES(1,'2026-11-30','ListObjects',1);
INSERT INTO usage VALUES(2,'2026-11-30','ListObjects',1);
INSERT INTO usage VALUES(3,'2026-11-30','ListObjects',1);
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
INSERT INTO suspect VALUES(X'63616368652f6163636f756e74732f686561646572732fff00272f65cc81','unknown','not a Mastodon media path',1099511627776,'00000000000000000000010000000000',1796041099511627776,4,1796094000000000000,5,1796180400000000000);
INSERT INTO suspect VALUES(X'6d656469615f6174746163686d656e74732f66696c65732f3131342f3030302f3030382f6f726967696e616c2f30303030303030382e6a706567','orphan','row gone',56,'00000000000000000000000000000038',1796040000000000056,4,1796094000000000000,5,1796180400000000000);
INSERT INTO suspect VALUES(X'6d656469615f6174746163686d656e74732f66696c65732f3131342f3030302f3030392f6f726967696e616c2f30303030303030392e6a706567','review','file name changed',63,'0000000000000000000000000000003f',1796040000000000063,4,1796094000000000000,5,1796180400000000000);
INSERT INTO suspect VALUES(X'6d656469615f6174746163686d656e74732f66696c65732f3131342f3030302f3031302f6f726967696e616c2f30303030303030612e6a706567','orphan','row gone',70,'5e-2',1796040000000000070,5,1796180400000000000,5,1796180400000000000);
CREATE TABLE scan (
	run     INTEGER PRIMARY KEY,
	at_ns   INTEGER NOT NULL,
	objects INTEGER NOT NULL,
	bytes   INTEGER NOT NULL,
	owned   INTEGER NOT NULL,
	counts  TEXT NOT NULL -- JSON: rows by table
) STRICT;
INSERT INTO scan VALUES(4,1796094000000000000,10,2199023255552,6,'{"accounts":5}');
INSERT INTO scan VALUES(5,1796180400000000000,11,4398046511104,7,'{"accounts":6,"media_attachments":8589934592}');
CREATE TABLE control (
	run INTEGER NOT NULL,
	key BLOB NOT NULL,
	PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;
INSERT INTO control VALUES(4,X'6d656469615f6174746163686d656e74732f66696c65732f3131342f3030302f3031312f6f726967696e616c2f30303030303030622e6a706567');
INSERT INTO control VALUES(4,X'6d656469615f6174746163686d656e74732f66696c65732f3131342f3030302f3031322f6f726967696e616c2f30303030303030632e6a706567');
INSERT INTO control VALUES(5,X'63616368652f6163636f756e74732f686561646572732fff00272f65cc81');
INSERT INTO control VALUES(5,X'6d656469615f6174746163686d656e74732f66696c65732f3131342f3030302f3031312f6f726967696e616c2f30303030303030622e6a706567');
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
INSERT INTO removal VALUES(1,5,X'6d656469615f6174746163686d656e74732f66696c65732f3131342f3030302f3030382f6f726967696e616c2f30303030303030382e6a706567',NULL,'orphans','row gone',56,'e-2',1796040000000000000,'5/abcd','plan','restored','',1796180400000000056,1796184000000000000,6,'back',1796270400000000000);
INSERT INTO removal VALUES(2,5,X'6d656469615f6174746163686d656e74732f66696c65732f3131342f3030302f3030392f6f726967696e616c2f30303030303030392e6a706567',NULL,'orphans','row gone',63,'e-2',1796040000000000000,'5/abcd','plan','kept','the row is back',1796180400000000063,1796184000000000000,0,'',0);
INSERT INTO removal VALUES(3,5,X'6d656469615f6174746163686d656e74732f66696c65732f3131342f3030302f3031302f6f726967696e616c2f30303030303030612e6a706567',NULL,'orphans','row gone',70,'e-2',1796040000000000000,'5/abcd','plan','intent','',1796180400000000070,0,0,'',0);
INSERT INTO removal VALUES(4,5,X'63616368652f6163636f756e74732f686561646572732fff00272f65cc81',X'63616368652f6163636f756e74732f686561646572732fff00272fc3a9','orphans','row gone',1,'e-2',1796040000000000000,'5/abcd','plan','removed','',1796180400000000001,1796184000000000000,0,'',0);
CREATE TABLE plan (
	id  TEXT NOT NULL PRIMARY KEY,
	run INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "plan" VALUES('plan',5);
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
INSERT INTO clearing VALUES(1,7,'media_attachments',114000000000000001,'{"file_file_name": "e\u0301é\u0000.jpeg","file_updated_at":"2026-10-01T12:00:00.123456Z","thumbnail_file_size":null}','over budget',114001099511627777,'plan','restored','3 objects',1796353200000000000,1796353260000000000,1796353920000000001,9,1796526000000000000);
INSERT INTO clearing VALUES(2,7,'media_attachments',2,'{"file_file_name": "e\u0301é\u0000.jpeg","file_updated_at":"2026-10-01T12:00:00.123456Z","thumbnail_file_size":null}','over budget',1099511627778,'plan','done','1 object',1796353200000000000,1796353260000000000,1796353920000000001,0,0);
INSERT INTO clearing VALUES(3,7,'preview_cards',2,'{"image_file_name":"x"}','over budget',1099511627778,'plan','skipped','a local user bookmarked it',1796353200000000000,0,1796353920000000001,0,0);
INSERT INTO clearing VALUES(4,7,'media_attachments',4,'{"file_file_name": "e\u0301é\u0000.jpeg","file_updated_at":"2026-10-01T12:00:00.123456Z","thumbnail_file_size":null}','over budget',1099511627780,'plan','cleared','',1796353200000000000,1796353260000000000,0,0,0);
INSERT INTO clearing VALUES(5,8,'media_attachments',2,'{"file_file_name": "e\u0301é\u0000.jpeg","file_updated_at":"2026-10-01T12:00:00.123456Z","thumbnail_file_size":null}','over budget',1099511627778,'plan','cleared','row cleared',1796439600000000000,1796439660000000000,0,0,0);
INSERT INTO clearing VALUES(6,8,'preview_cards',6,'{}','over budget',1099511627782,'plan','intent','week 2026-W40',1796439600000000000,0,0,0,0);
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
INSERT INTO bucket VALUES('2026-12-04',7,1796356800000000000,11,4398046511104,'[{"class":"","owner":"unknown","objects":1,"bytes":1},{"class":"accounts","owner":"orphan","objects":1,"bytes":3},{"class":"media_attachments","owner":"local","objects":2,"bytes":5},{"class":"media_attachments","owner":"remote","objects":7,"bytes":2199023255552}]',2,1099511627776,1,5);
INSERT INTO bucket VALUES('2026-12-05',8,1796439600000000000,9,2199023255552,'[]',0,0,0,0);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('run',9);
CREATE INDEX evidence_key ON evidence (key);
CREATE TRIGGER evidence_kept BEFORE DELETE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence is append-only'); END;
CREATE TRIGGER evidence_fixed BEFORE UPDATE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence is append-only'); END;
CREATE INDEX usage_day ON usage (day);
CREATE UNIQUE INDEX removal_name ON removal (coalesce(normal, key), run, key);
CREATE INDEX removal_open ON removal (state) WHERE state = 'intent';
CREATE INDEX removal_run ON removal (run);
CREATE INDEX removal_intended ON removal (intended_ns);
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
CREATE UNIQUE INDEX clearing_row ON clearing (class, row_id, run);
CREATE INDEX clearing_open ON clearing (state) WHERE state = 'intent' OR state = 'cleared';
CREATE INDEX clearing_run ON clearing (run);
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
CREATE INDEX clearing_finished ON clearing (max(ended_ns, restored_ns)) WHERE state IN ('skipped', 'done', 'restored');
COMMIT;

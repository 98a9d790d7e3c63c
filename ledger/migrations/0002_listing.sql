-- What the bucket held when this ledger joined it. Empty but for that time.
CREATE TABLE listed (
	key  BLOB NOT NULL PRIMARY KEY,
	size INTEGER NOT NULL,
	etag TEXT NOT NULL
) STRICT, WITHOUT ROWID;

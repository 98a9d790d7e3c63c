package ledger

import (
	"context"

	"example.org/mediamove/media"
)

// A Summary is what status shows.
type Summary struct {
	Classes  []ClassTotal // in the order of [media.TopFolders], those with objects
	Findings []CauseTotal // by kind and cause
}

// A ClassTotal adds up the objects of one class, local or cached.
type ClassTotal struct {
	Class   media.Class
	Cached  bool  // other servers' files
	Files   int64 // all of them; the next two are parts of it
	Adopted int64
	Untyped int64
	Bytes   int64
}

// A CauseTotal adds up the findings of one kind and cause.
type CauseTotal struct {
	Kind    Kind
	Cause   string
	Files   int64
	Bytes   int64
	Example media.Key // the first of them
}

// Summary adds up the ledger. It reads every row, in SQL: about a second per
// ten million.
func (l *Ledger) Summary(ctx context.Context) (Summary, error) {
	var sum Summary
	for _, cached := range []bool{false, true} {
		for _, c := range classes() {
			t, err := l.classTotal(ctx, c, cached)
			if err != nil {
				return Summary{}, err
			}
			if t.Files > 0 {
				sum.Classes = append(sum.Classes, t)
			}
		}
	}
	const query = `SELECT kind, cause, count(*), sum(size), min(key) FROM finding GROUP BY kind, cause ORDER BY kind, cause`
	var err error
	sum.Findings, err = collect(ctx, l.read, query, scanCause, nil)
	return sum, failed("read ledger", err)
}

// classes lists the classes. Those of moved files are all below a known one.
func classes() []media.Class {
	var all []media.Class
	for _, top := range media.TopFolders() {
		if c := media.Key(top + "/x").Class(); c != media.Outside {
			all = append(all, c)
		}
	}
	return all
}

// classTotal reads the range of keys that stand below a class folder: all
// that begin with its name and "/", and "0" is the byte after "/".
func (l *Ledger) classTotal(ctx context.Context, c media.Class, cached bool) (ClassTotal, error) {
	prefix := string(c)
	if cached {
		prefix = "cache/" + prefix
	}
	t := ClassTotal{Class: c, Cached: cached}
	err := l.read.QueryRowContext(ctx,
		`SELECT count(*), coalesce(sum(size), 0), coalesce(sum(origin = ?), 0), coalesce(sum(untyped), 0)
		FROM object WHERE key >= ? AND key < ?`,
		int64(Adopted), []byte(prefix+"/"), []byte(prefix+"0"),
	).Scan(&t.Files, &t.Bytes, &t.Adopted, &t.Untyped)
	return t, failed("read ledger", err)
}

func scanCause(r row) (CauseTotal, error) {
	var c CauseTotal
	var example []byte
	err := r.Scan(&c.Kind, &c.Cause, &c.Files, &c.Bytes, &example)
	c.Example = media.Key(example)
	return c, err
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/cleanup/trash"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/fixtures/pgtest"
	"example.org/mediamove/media"
)

// posts lets Mastodon receive n pictures from elsewhere, one every step until the bucket's
// clock less an hour: rows, and two objects each.
func (l *living) posts(db pgtest.Instance, n int, step time.Duration) (keys []string) {
	l.t.Helper()
	var rows []string
	last := l.now().Add(-61 * time.Minute).Truncate(time.Millisecond)
	for i := range n {
		at := last.Add(-step * time.Duration(i))
		id := at.UnixMilli()<<16 | int64(len(l.objects)&0x7fff) // no two databases make the same
		name := fmt.Sprintf("%016x.jpeg", id)
		stamp := at.UTC().Format(time.DateTime)
		rows = append(rows, fmt.Sprintf("(%d, 'https://far.example/%d', 0, 2, '%s', 'image/jpeg', 90, '%s', 1, '%s', '%s')", id, id, name, stamp, stamp, stamp))
		for _, style := range []string{"original", "small"} {
			key := media.Path{Cached: true, Class: media.MediaAttachments, Attachment: "files", ID: id, Style: style, Name: name}.Key()
			o := instance.Object{Key: key, Size: 90, Modified: at, ContentType: "image/jpeg"}
			instance.Fill(l.bucket, "", slices.Values([]instance.Object{o}))
			keys = append(keys, string(key))
			if db.Name == l.db.Name && db.Port == l.db.Port {
				l.objects[key] = o
			}
		}
	}
	db.Exec(l.t, `INSERT INTO media_attachments (id, remote_url, type, processing, file_file_name, file_content_type, file_file_size,
		file_updated_at, file_storage_schema_version, created_at, updated_at) VALUES `+strings.Join(rows, ", "))
	return keys
}

// status posts one in db, so that its newest row is of now.
func (l *living) status(db pgtest.Instance) {
	l.t.Helper()
	db.Exec(l.t, fmt.Sprintf("INSERT INTO statuses (id, account_id, created_at, updated_at) SELECT %d, COALESCE(min(id), 1), now(), now() FROM accounts", l.now().UnixMilli()<<16|1))
}

// bound makes an instance that was bound a night ago and has candidates now: a --apply
// would remove them. Its Mastodon has written a lot in the last month.
func newBound(t *testing.T, server *pgtest.Cluster, seed uint64, o fixtures.Options) *living {
	t.Helper()
	l := newLivingOn(t, server, o, instance.Small(seed, "4.6"), 60)
	l.posts(l.db, 150, 5*time.Hour)
	if b := l.bind(); !b.Bound {
		t.Fatalf("%+v", b)
	}
	l.night()
	l.posts(l.db, 10, time.Hour)
	return l
}

// removable is every key that a healthy --apply may remove.
func (l *living) removable() (keys []string) {
	for k, o := range l.orphans {
		if o.Kind == instance.KindOrphan {
			keys = append(keys, string(k))
		}
	}
	slices.Sort(keys)
	return keys
}

// admin is the server's postgres database.
func admin(in pgtest.Instance) pgtest.Instance {
	in.DSN = strings.Replace(in.DSN, "dbname="+in.Name, "dbname=postgres", 1)
	in.Admin = strings.Replace(in.Admin, "dbname="+in.Name, "dbname=postgres", 1)
	return in
}

// copyOf makes a copy of the instance's database as it is now, under another name.
func (l *living) copyOf(name string) pgtest.Instance {
	l.t.Helper()
	name = l.db.Name + "_" + name
	admin(l.db).Exec(l.t, "CREATE DATABASE "+name+" TEMPLATE "+l.db.Name)
	return called(l.db, name)
}

// called is the database of another name on the same server.
func called(in pgtest.Instance, name string) pgtest.Instance {
	old := in.Name
	in = in.With(map[string]string{"DB_NAME": name})
	in.Name, in.DSN, in.Admin = name, strings.Replace(in.DSN, "dbname="+old, "dbname="+name, 1), strings.Replace(in.Admin, "dbname="+old, "dbname="+name, 1)
	return in
}

// instead runs f while other has the name of the instance's own database, and so its
// identity: what a restored dump has.
func (l *living) instead(other pgtest.Instance, f func()) {
	l.t.Helper()
	rename := func(from, to string) {
		admin(l.db).Exec(l.t, "ALTER DATABASE "+from+" RENAME TO "+to)
	}
	rename(l.db.Name, l.db.Name+"_aside")
	rename(other.Name, l.db.Name)
	f()
	rename(l.db.Name, other.Name)
	rename(l.db.Name+"_aside", l.db.Name)
}

// with runs f with another state folder, machine and settings, and puts them back.
func (l *living) with(change func(), f func()) {
	env, state, machine, files := slices.Clone(l.env), l.state, l.machine, l.machineFiles
	change()
	f()
	l.env, l.state, l.machine, l.machineFiles = env, state, machine, files
}

// but is the environment with other lines.
func (l *living) but(lines ...string) []string {
	env := slices.Clone(l.env)
	for _, line := range lines {
		name, _, _ := strings.Cut(line, "=")
		env = slices.DeleteFunc(env, func(old string) bool { return strings.HasPrefix(old, name+"=") })
	}
	return append(env, lines...)
}

// copyState copies the ledger, and all beside it, as a backup or a clone of a machine does.
func (l *living) copyState() string {
	l.t.Helper()
	to := filepath.Join(l.t.TempDir(), "state")
	if err := os.CopyFS(to, os.DirFS(l.state)); err != nil {
		l.t.Fatal(err)
	}
	if err := os.Chmod(to, 0o700); err != nil {
		l.t.Fatal(err)
	}
	return to
}

// unchanged runs f and expects that the bucket has afterwards what it had.
func (l *living) unchanged(what string, f func()) {
	l.t.Helper()
	before := l.stands()
	f()
	if gone := missing(before, l.stands()); len(gone) > 0 {
		l.t.Fatalf("%s: %d objects were removed, such as %q", what, len(gone), gone[0])
	}
}

// missing is what before had and after has not, or has otherwise.
func missing(before, after map[string]fixtures.Object) (keys []string) {
	for _, k := range slices.Sorted(maps.Keys(before)) {
		if o, ok := after[k]; !ok || o.ETag != before[k].ETag {
			keys = append(keys, k)
		}
	}
	return keys
}

// refusedBy expects that --apply removes nothing, exits with 4, and says why on stderr,
// with a hint.
func (l *living) refusedBy(what, reason string, args ...string) {
	l.t.Helper()
	if args == nil {
		args = []string{"orphans", "--apply"}
	}
	l.unchanged(what, func() {
		if r := l.clean(args...); r.code != exitRefused || !strings.Contains(r.stderr, reason) || !strings.Contains(r.stderr, "hint: ") {
			l.t.Errorf("%s: want a refusal that says %q, got %v", what, reason, r)
		}
	})
}

// well expects that every guard lets the right database pass, and that candidates is what
// may go.
func (l *living) well(after string, candidates int) {
	l.t.Helper()
	out := l.orphan(exitOK)
	for _, g := range out.Guards {
		if g.Refused {
			l.t.Errorf("after %s, guard %q: %s", after, g.Name, g.Reason)
		}
	}
	if out.Candidates.Objects != int64(candidates) {
		l.t.Errorf("after %s: %d candidates, want %d", after, out.Candidates.Objects, candidates)
	}
}

// removes applies, and expects that exactly these keys go.
func (l *living) removes(want []string, args ...string) orphansJSON {
	l.t.Helper()
	before := l.stands()
	out := l.orphan(exitOK, append([]string{"--apply"}, args...)...)
	if gone := missing(before, l.stands()); !slices.Equal(gone, want) || out.Removed.Objects != int64(len(want)) {
		l.t.Fatalf("%d objects are gone, want %d: %q\n%+v", len(gone), len(want), gone, out)
	}
	l.owned()
	return out
}

// holds reports whether any file below dir has the text in it.
func holds(t *testing.T, dir, text string) (name string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(text)) {
			name = path
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return name
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// oldKey is of a row that no generated instance has.
func oldKey(i int) media.Key {
	return media.Path{Cached: true, Class: media.MediaAttachments, Attachment: "files", ID: 900_000_001 + int64(i), Style: "original", Name: "gone.jpeg"}.Key()
}

// planted are the keys of the first n of plantGone.
func (l *living) planted(n int) (keys []string) {
	for i := range n {
		keys = append(keys, string(oldKey(i)))
	}
	return keys
}

const hour = time.Hour

func keysOf[V any](m map[media.Key]V) iter.Seq[media.Key] { return maps.Keys(m) }

// inTrash is the file with the copy of what a run removed.
func (l *living) inTrash(run, key string) string {
	l.t.Helper()
	n, err := strconv.ParseInt(run, 10, 64)
	if err != nil {
		l.t.Fatal(err)
	}
	return filepath.Join(l.state, "trash", filepath.FromSlash(trash.Name(n, media.Key(key))))
}

// damage flips a bit of the copy, and drop loses it.
func (l *living) damage(run, key string) {
	l.t.Helper()
	body, err := os.ReadFile(l.inTrash(run, key))
	if err != nil {
		l.t.Fatal(err)
	}
	body[len(body)/2] ^= 1
	if err := os.WriteFile(l.inTrash(run, key), body, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *living) drop(run, key string) {
	l.t.Helper()
	if err := os.Remove(l.inTrash(run, key)); err != nil {
		l.t.Fatal(err)
	}
}

func keyOf(o fixtures.Object) media.Key { return media.Key(o.Key) }

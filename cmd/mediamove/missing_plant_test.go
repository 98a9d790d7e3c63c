package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/media"
)

// A loss is what is to be reported of a key.
type loss struct {
	owner  string
	cause  cleanup.Cause
	run    int64
	source cleanup.Source
}

// A losing is an instance that loses objects in every way there is.
type losing struct {
	*cached
	local map[media.Class]map[int64]bool
	spare map[string][]media.Key // what is not lost yet, by owner, class, attachment and style
	want  map[media.Key]loss
	was   map[media.Key]fixtures.Object // what stood there before it was lost

	held []media.Key
}

// newLosing is before the switch, and nothing is lost yet.
func newLosing(t *testing.T, seed uint64, version string) *losing {
	t.Helper()
	spec := instance.Small(seed, version)
	spec.Attachments, spec.Accounts, spec.Emoji, spec.Cards, spec.Statuses = 900, 200, 80, 60, 400
	l := &losing{
		cached: &cached{newLiving(t, spec, 10)}, local: map[media.Class]map[int64]bool{}, spare: map[string][]media.Key{},
		want: map[media.Key]loss{}, was: map[media.Key]fixtures.Object{},
	}
	l.set("S3_ENABLED", "false")
	// People of here are asked in plain SQL: nothing of the product is in it.
	for class, query := range map[media.Class]string{
		media.MediaAttachments: "SELECT id, remote_url = '' FROM media_attachments WHERE processing IS NULL OR processing > 1",
		media.Accounts:         "SELECT id, domain IS NULL FROM accounts",
		media.CustomEmojis:     "SELECT id, domain IS NULL FROM custom_emojis",
		media.PreviewCards:     "SELECT id, false FROM preview_cards",
		media.SiteUploads:      "SELECT id, true FROM site_uploads",
	} {
		l.local[class] = map[int64]bool{}
		var id int64
		var local bool
		l.each(query, nil, []any{&id, &local}, func() { l.local[class][id] = local })
	}
	for _, k := range slices.Sorted(maps.Keys(l.objects)) {
		p, err := media.Parse(k)
		if err != nil || p.Class.Private() {
			continue
		}
		if local, ok := l.local[p.Class][p.ID]; ok { // else it is processed: nobody needs its files yet
			group := fmt.Sprintf("%s/%s/%s/%s", ownerWord(local), p.Class, p.Attachment, p.Style)
			l.spare[group] = append(l.spare[group], k)
		}
	}
	return l
}

// take draws up to n objects of every group that has as many left, so that rarer styles
// are lost in one way each.
func (l *losing) take(n int) (keys []media.Key) {
	l.t.Helper()
	for _, group := range slices.Sorted(maps.Keys(l.spare)) {
		m := min(n, len(l.spare[group]))
		keys = append(keys, l.spare[group][:m]...)
		l.spare[group] = l.spare[group][m:]
	}
	return keys
}

// reserve keeps all that these rows have out of the draw, and returns it.
func (l *losing) reserve(of func(p media.Path) bool) (keys []media.Key) {
	for group, spare := range l.spare {
		l.spare[group] = slices.DeleteFunc(spare, func(k media.Key) bool {
			p, _ := media.Parse(k)
			if of(p) {
				keys = append(keys, k)
			}
			return of(p)
		})
	}
	slices.Sort(keys)
	return keys
}

// rowsWith are the first n rows of a class that have something to lose, local or not.
func (l *losing) rowsWith(n int, class media.Class, local bool) (ids []int64) {
	l.t.Helper()
	for group, spare := range l.spare {
		for _, k := range spare {
			if p, _ := media.Parse(k); p.Class == class && strings.HasPrefix(group, ownerWord(local)) {
				ids = append(ids, p.ID)
			}
		}
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) < n {
		l.t.Fatalf("%d rows of %s, want %d", len(ids), class, n)
	}
	return ids[:n]
}

// expect notes what is to be reported.
func (l *losing) expect(cause cleanup.Cause, run int64, source cleanup.Source, keys ...media.Key) {
	for _, k := range keys {
		p, _ := media.Parse(k)
		l.want[k] = loss{ownerWord(l.local[p.Class][p.ID]), cause, run, source}
	}
}

// loses deletes objects behind everybody's back.
func (l *losing) loses(keys ...media.Key) {
	for _, k := range keys {
		if o, ok := l.bucket.Object(string(k)); ok {
			l.was[k] = o
		}
	}
	l.lose(keys...)
}

// lays puts files on disk as they were years ago.
func (l *losing) lays(mode os.FileMode, keys ...media.Key) {
	l.t.Helper()
	l.onDisk(l.root, mode, keys...)
	for _, k := range keys {
		at := time.Now().AddDate(-1, 0, 0)
		if err := os.Chtimes(l.file(k), at, at); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *losing) file(k media.Key) string {
	return filepath.Join(l.root, filepath.FromSlash(string(k)))
}

func (l *losing) unlinks(keys ...media.Key) {
	l.t.Helper()
	for _, k := range keys {
		if err := os.Remove(l.file(k)); err != nil {
			l.t.Fatal(err)
		}
	}
}

// number is that of the last run of a command.
func (l *losing) number(command string) (n int64) {
	l.t.Helper()
	if _, err := fmt.Sscan(l.lastRun(command), &n); err != nil {
		l.t.Fatal(err)
	}
	return n
}

// idList is for SQL.
func idList(ids []int64) string {
	var s []string
	for _, id := range ids {
		s = append(s, itoa(id))
	}
	return strings.Join(s, ", ")
}

// aside takes rows out of their tables, as if they had never been; back puts them back, as
// an admin does with a dump.
func (l *losing) aside(class media.Class, ids []int64) (keys []media.Key) {
	l.db.Exec(l.t, fmt.Sprintf("CREATE SCHEMA IF NOT EXISTS aside; CREATE TABLE IF NOT EXISTS aside.%s AS SELECT * FROM %[1]s WHERE false; INSERT INTO aside.%[1]s SELECT * FROM %[1]s WHERE id IN (%s); DELETE FROM %[1]s WHERE id IN (%[2]s)", class, idList(ids)))
	return l.reserve(func(p media.Path) bool { return p.Class == class && slices.Contains(ids, p.ID) })
}

func (l *losing) back(class media.Class) {
	l.db.Exec(l.t, fmt.Sprintf("INSERT INTO %s SELECT * FROM aside.%[1]s; DROP TABLE aside.%[1]s", class))
}

// beforeTheSwitch loses what was moved and went since, with the file and without.
func (l *losing) beforeTheSwitch() {
	l.t.Helper()
	gone, deleted := l.take(2), l.take(1)
	l.held = l.take(1)
	l.lose(slices.Concat(gone, deleted, l.held)...)
	l.lays(0o644, slices.Concat(gone, deleted)...)
	l.lays(0o600, l.held...)
	if r := l.clean("sync", l.root); r.code != exitOK {
		l.t.Fatal(r)
	}
	// The last that saw them all.
	if r := l.clean("verify", l.root); r.code != exitLeft { // Mastodon's own are extra
		l.t.Fatal(r)
	}
	run := l.number("verify")
	l.expect(cleanup.CauseGone, run, cleanup.OnDisk, gone...)
	l.expect(cleanup.CauseGone, run, cleanup.Nowhere, deleted...)
	for _, k := range slices.Concat(gone, deleted) {
		if _, ok := l.bucket.Object(string(k)); !ok {
			l.t.Fatalf("%s was not moved", k)
		}
	}
	l.loses(slices.Concat(gone, deleted)...)
	l.unlinks(deleted...)
}

// atTheSwitch lets Mastodon write to the bucket. The last sync holds back what is hidden,
// leaves old files that it has not seen before, and fails with new ones.
func (l *losing) atTheSwitch() {
	l.t.Helper()
	l.set("S3_ENABLED", "true")
	left, failed := l.take(1), l.take(1)
	l.lose(slices.Concat(left, failed)...)
	l.lays(0o644, left...)
	l.onDisk(l.root, 0o644, failed...)
	l.bucket.SetFault(func(r fixtures.Request) fixtures.Fault {
		if r.Op == costs.PutObject && !media.Key(r.Key).Reserved() {
			return fixtures.Fault{Status: 400, Code: "InvalidArgument"}
		}
		return fixtures.Fault{}
	})
	if r := l.clean("sync", l.root); r.code != exitLeft {
		l.t.Fatal(r)
	}
	l.bucket.SetFault(nil)
	run := l.number("sync")
	l.expect(cleanup.CauseHeld, run, cleanup.OnDisk, l.held...)
	l.expect(cleanup.CauseLeft, run, cleanup.OnDisk, left...)
	l.expect(cleanup.CauseFailed, run, cleanup.OnDisk, failed...)
}

// byOrphans: rows that were not there when a cleanup ran, and are there again.
func (l *losing) byOrphans() {
	l.t.Helper()
	var keys []media.Key
	for _, part := range []struct {
		class media.Class
		n     int
		local bool
	}{
		{media.MediaAttachments, 2, true},
		{media.MediaAttachments, 4, false},
		{media.CustomEmojis, 1, true},
		{media.CustomEmojis, 2, false},
		{media.PreviewCards, 3, false},
	} {
		keys = append(keys, l.aside(part.class, l.rowsWith(part.n, part.class, part.local))...)
	}
	l.bind()
	l.night()
	l.orphan(exitOK)
	l.night()
	before := l.stands()
	out := l.orphan(exitOK, "--apply", "--max-objects", "60", "--max-share", "100")
	for _, class := range []media.Class{media.MediaAttachments, media.CustomEmojis, media.PreviewCards} {
		l.back(class)
	}
	var there []media.Key
	for _, k := range keys {
		if _, ok := l.want[k]; ok {
			continue
		}
		if _, ok := l.bucket.Object(string(k)); ok {
			l.t.Fatalf("%s was not removed", k)
		}
		l.was[k] = before[media.Normal(string(k))]
		there = append(there, k)
	}
	if len(there) < 12 {
		l.t.Fatalf("only %d objects were removed", len(there))
	}
	lost, keep := there[:2], there[2:]
	for _, k := range lost {
		l.drop(itoa(out.Run), media.Normal(string(k)))
	}
	l.expect(cleanup.CauseRemoved, out.Run, cleanup.InTrash, keep...)
	l.expect(cleanup.CauseRemoved, out.Run, cleanup.Unseen, lost...)
}

// byPrune: rows whose columns were put back from a dump.
func (l *losing) byPrune() {
	l.t.Helper()
	l.db.Exec(l.t, `CREATE TABLE aside.dump AS SELECT * FROM media_attachments WHERE file_file_name IS NOT NULL`)
	var columns []string
	var column string
	l.each("SELECT column_name::text FROM information_schema.columns WHERE table_name = 'media_attachments' AND (column_name LIKE 'file\\_%' OR column_name LIKE 'thumbnail\\_%')",
		nil, []any{&column}, func() { columns = append(columns, fmt.Sprintf("%s = d.%[1]s", column)) })
	full := l.full()
	before := l.stands()
	size := sizeFlag(full.Bytes - full.Orphans.Bytes - 3000)
	out := l.prune(exitOK, "--apply", "--budget", size, "--target", size)
	l.db.Exec(l.t, "UPDATE media_attachments m SET "+strings.Join(columns, ", ")+" FROM aside.dump d WHERE d.id = m.id AND m.file_file_name IS NULL; DROP TABLE aside.dump")
	after := l.stands()
	n := 0
	for _, k := range slices.Sorted(maps.Keys(l.objects)) {
		name := media.Normal(string(k))
		if _, ok := after[name]; !ok && before[name].Key != "" {
			l.was[k] = before[name]
			l.expect(cleanup.CauseRemoved, out.Run, cleanup.Nowhere, k)
			l.reserve(func(p media.Path) bool { return p.Key() == k })
			n++
		}
	}
	if n < 3 || int64(n) != out.Removed.Objects {
		l.t.Fatalf("%d objects were pruned: %+v", n, out)
	}
}

// byWithdrawing: accounts that were suspended for a while.
func (l *losing) byWithdrawing() {
	l.t.Helper()
	accounts := append(l.rowsWith(2, media.Accounts, true), l.rowsWith(2, media.Accounts, false)...)
	l.db.Exec(l.t, fmt.Sprintf("UPDATE accounts SET suspended_at = now() WHERE id IN (%s)", idList(accounts)))
	before := l.stands()
	out := l.missing(exitLeft, "--withdraw")
	l.db.Exec(l.t, "UPDATE accounts SET suspended_at = NULL")
	l.withdrawn(before, out)
}

// withdrawn notes what a run has taken out of the bucket.
func (l *losing) withdrawn(before map[string]fixtures.Object, out missingJSON) {
	l.t.Helper()
	after := l.stands()
	n := int64(0)
	for _, k := range slices.Sorted(maps.Keys(l.objects)) {
		name := media.Normal(string(k))
		if _, ok := after[name]; ok || before[name].Key == "" {
			continue
		}
		n++
		p, _ := media.Parse(k)
		l.was[k] = before[name]
		if _, ok := l.local[p.Class][p.ID]; ok {
			l.expect(cleanup.CauseWithdrawn, out.Run, cleanup.InTrash, k)
			l.reserve(func(other media.Path) bool { return other.Key() == k })
		}
	}
	if n == 0 || n != out.Withdrawn.Objects {
		l.t.Fatalf("%d objects were withdrawn: %+v", n, out.Withdrawn)
	}
}

// byNobody: what Mastodon has written itself, what is on disk only, and what is nowhere.
func (l *losing) byNobody() {
	l.t.Helper()
	var posted []media.Key
	for _, k := range l.posts(l.db, 8, time.Hour) {
		p, _ := media.Parse(media.Key(k))
		l.local[p.Class][p.ID] = false
		posted = append(posted, media.Key(k))
	}
	faces := l.rowsWith(3, media.Accounts, false)
	stamp := l.now().Add(-time.Hour).UTC().Format(time.DateTime)
	l.db.Exec(l.t, fmt.Sprintf("UPDATE accounts SET avatar_updated_at = '%s', header_updated_at = '%[1]s' WHERE id IN (%s)", stamp, idList(faces)))
	posted = append(posted[:5], l.reserve(func(p media.Path) bool { return p.Class == media.Accounts && slices.Contains(faces, p.ID) })...)
	l.expect(cleanup.CauseMastodon, 0, cleanup.Nowhere, posted...)
	never, before := l.take(1), l.take(2)
	l.lays(0o644, never...)
	l.expect(cleanup.CauseNever, 0, cleanup.OnDisk, never...)
	l.expect(cleanup.CauseBefore, 0, cleanup.Nowhere, before...)
	l.loses(slices.Concat(posted, never, before)...)
}

// asItShouldBe: what is not there, and nobody misses.
func (l *losing) asItShouldBe() {
	l.t.Helper()
	busy := slices.DeleteFunc(slices.Sorted(maps.Keys(l.objects)), func(k media.Key) bool {
		p, _ := media.Parse(k)
		_, known := l.local[p.Class][p.ID]
		return known || p.Class != media.MediaAttachments
	})
	l.lose(busy...)
	hidden := l.rowsWith(1, media.Accounts, true)[0]
	l.lose(l.reserve(func(p media.Path) bool { return p.Class == media.Accounts && p.ID == hidden })...)
	l.db.Exec(l.t, fmt.Sprintf("UPDATE accounts SET suspended_at = now() WHERE id = %d; UPDATE media_attachments SET account_id = NULL WHERE account_id = %[1]d", hidden))
	deleted := l.rowsWith(2, media.MediaAttachments, false)
	l.lose(l.aside(media.MediaAttachments, deleted)...)
	maps.DeleteFunc(l.want, func(k media.Key, _ loss) bool {
		p, _ := media.Parse(k)
		return p.Class == media.Accounts && p.ID == hidden || p.Class == media.MediaAttachments && slices.Contains(deleted, p.ID)
	})
	if len(busy) == 0 {
		l.t.Fatal("nothing is being processed")
	}
}

// listed is what --list says, by key.
func (l *losing) listed(args ...string) (map[media.Key]loss, []string) {
	l.t.Helper()
	r := l.clean(append([]string{"missing", "--list", "--json"}, args...)...)
	var out struct{ Objects []lossJSON }
	if err := json.Unmarshal([]byte(r.stdout), &out); err != nil || r.code != exitLeft {
		l.t.Fatal(err, r)
	}
	got, exposed := map[media.Key]loss{}, []string(nil)
	for _, o := range out.Objects {
		if o.Kind == "exposed" {
			exposed = append(exposed, o.Key)
			continue
		}
		if _, twice := got[media.Key(o.Key)]; twice {
			l.t.Errorf("%s is listed twice", o.Key)
		}
		got[media.Key(o.Key)] = loss{o.Owner, cleanup.Cause(o.Why), o.Run, o.Source}
	}
	return got, exposed
}

// reports expects exactly what was lost.
func (l *losing) reports(args ...string) {
	l.t.Helper()
	got, exposed := l.listed(args...)
	errs := []error{}
	for k, w := range l.want {
		if got[k] != w {
			errs = append(errs, fmt.Errorf("%s: got %+v, want %+v", k, got[k], w))
		}
	}
	for k, g := range got {
		if _, ok := l.want[k]; !ok {
			errs = append(errs, fmt.Errorf("%s: got %+v, and it is not lost", k, g))
		}
	}
	for _, k := range exposed {
		errs = append(errs, fmt.Errorf("%s: exposed", k))
	}
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	if len(errs) > 0 {
		l.t.Fatalf("%d of %d: %v", len(errs), len(l.want), errors.Join(errs[:min(len(errs), 12)]...))
	}
}

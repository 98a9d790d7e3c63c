package cleanup_test

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A town is an instance whose rows are looked at one by one: its database and its bucket,
// in memory. Anything can be made to fail, and to happen in between.
type town struct {
	mu      sync.Mutex
	rows    map[media.Class]map[int64]mastodon.Standing
	objects map[string]r2.Object // by normal name
	listed  []r2.Object          // nil: all of them
	fails   map[string]int       // the nth call of a method fails; 0: none
	calls   map[string]int
	during  func() // happens when the bucket is first asked for an object, or a row again
	once    sync.Once
}

func newTown(rows ...mastodon.Standing) *town {
	w := &town{rows: map[media.Class]map[int64]mastodon.Standing{}, objects: map[string]r2.Object{}, fails: map[string]int{}, calls: map[string]int{}}
	for _, c := range w.Classes() {
		w.rows[c] = map[int64]mastodon.Standing{}
	}
	for _, r := range rows {
		w.rows[r.Row.Class][r.Row.ID] = r
	}
	return w
}

func (w *town) Classes() []media.Class {
	return []media.Class{
		media.Accounts, media.CustomEmojis, media.MediaAttachments, media.PreviewCardProviders, media.PreviewCards, media.SiteUploads,
	}
}

func (w *town) call(ctx context.Context, method string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.during != nil && (method == "Absent" || method == "Standing") {
		w.once.Do(w.during)
	}
	w.calls[method]++
	if w.calls[method] == w.fails[method] {
		return errScripted
	}
	return context.Cause(ctx)
}

func (w *town) each(ctx context.Context, method string, c media.Class) iter.Seq2[mastodon.Standing, error] {
	return func(yield func(mastodon.Standing, error) bool) {
		for _, id := range slices.Sorted(maps.Keys(w.rows[c])) {
			if err := w.call(ctx, method); err != nil {
				yield(mastodon.Standing{}, err)
				return
			}
			if !yield(w.rows[c][id], nil) {
				return
			}
		}
	}
}

func (w *town) All(ctx context.Context, c media.Class) iter.Seq2[media.Row, error] {
	return func(yield func(media.Row, error) bool) {
		for s, err := range w.each(ctx, "All", c) {
			if !yield(s.Row, err) {
				return
			}
		}
	}
}

func (w *town) Concealed(ctx context.Context, c media.Class) iter.Seq2[mastodon.Standing, error] {
	return func(yield func(mastodon.Standing, error) bool) {
		for s, err := range w.each(ctx, "Concealed", c) {
			if err == nil && s.Hidden == mastodon.Shown {
				continue
			}
			for range 2 { // a row may come twice
				if !yield(s, err) {
					return
				}
			}
		}
	}
}

// Standing is as strict as the real one: a class without a table is an error.
func (w *town) Standing(ctx context.Context, ids map[media.Class][]int64) (map[media.Class]map[int64]mastodon.Standing, error) {
	if err := w.call(ctx, "Standing"); err != nil {
		return nil, err
	}
	out := map[media.Class]map[int64]mastodon.Standing{}
	for c, list := range ids {
		table, ok := w.rows[c]
		if !ok {
			return nil, errNoTable
		}
		if out[c] = map[int64]mastodon.Standing{}; !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
			return nil, fmt.Errorf("ids %v: %w", list, errNoTable)
		}
		for _, id := range list {
			if s, ok := table[id]; ok {
				out[c][id] = s
			}
		}
	}
	return out, nil
}

func (w *town) Absent(ctx context.Context, k media.Key) (bool, error) {
	if err := w.call(ctx, "Absent"); err != nil {
		return false, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.objects[media.Normal(string(k))]
	return !ok, nil
}

// store puts objects into the bucket, whose names are normal.
func (w *town) store(keys ...media.Key) {
	for _, k := range keys {
		n := media.Normal(string(k))
		w.objects[n] = r2.Object{Key: media.Key(n), Size: 7, ETag: "e", LastModified: noon}
	}
}

// full puts everything there that a row has.
func (w *town) full() *town {
	for _, table := range w.rows {
		for _, s := range table {
			w.store(slices.Collect(s.Row.Required())...)
		}
	}
	return w
}

func (w *town) lose(keys ...media.Key) {
	for _, k := range keys {
		delete(w.objects, media.Normal(string(k)))
	}
}

// listing is what a listing shows of the bucket.
func (w *town) listing() []r2.Object {
	if w.listed != nil {
		return w.listed
	}
	return slices.Collect(maps.Values(w.objects))
}

// memory is a ledger that knows nothing, a disk without files.
type memory struct {
	entries  map[media.Key]ledger.Standing
	proofs   map[media.Key][]ledger.Evidence
	findings map[media.Key]ledger.Finding
	removals []ledger.Removal
	disk     map[media.Key]error // nil: it is there
	fails    string
}

func newMemory() *memory {
	return &memory{map[media.Key]ledger.Standing{}, map[media.Key][]ledger.Evidence{}, map[media.Key]ledger.Finding{}, nil, map[media.Key]error{}, ""}
}

func (m *memory) fail(method string) error {
	if m.fails == method {
		return errScripted
	}
	return nil
}

func (m *memory) Standing(_ context.Context, k media.Key) (ledger.Standing, error) {
	s, ok := m.entries[k]
	if err := m.fail("Standing"); err != nil || ok {
		return s, err
	}
	return s, ledger.ErrUnknown
}

func (m *memory) Evidence(_ context.Context, k media.Key) ([]ledger.Evidence, error) {
	return m.proofs[k], m.fail("Evidence")
}

func (m *memory) Finding(_ context.Context, k media.Key) (ledger.Finding, error) {
	f, ok := m.findings[k]
	if err := m.fail("Finding"); err != nil || ok {
		return f, err
	}
	return f, ledger.ErrUnknown
}

func (m *memory) Removals(_ context.Context, q ledger.RemovalQuery) iter.Seq2[ledger.Removal, error] {
	return func(yield func(ledger.Removal, error) bool) {
		if err := m.fail("Removals"); err != nil {
			yield(ledger.Removal{}, err)
			return
		}
		for _, r := range m.removals {
			if media.Normal(string(r.Key)) == media.Normal(string(q.Key)) && !yield(r, nil) {
				return
			}
		}
	}
}

func (m *memory) Stat(k media.Key) (media.File, error) {
	err, ok := m.disk[k]
	if !ok {
		err = fs.ErrNotExist
	}
	return media.File{Key: k}, err
}

// tracer is one that has all of it.
func (m *memory) tracer() *cleanup.Tracer { return &cleanup.Tracer{Lore: m, Journal: m} }

// missing is a look at the town, which is as old as the rig says.
func (w *town) missing(t testing.TB) *cleanup.Missing {
	t.Helper()
	m := &cleanup.Missing{
		Catalog: w, Rows: w, Hidden: w, Bucket: w, Tracer: newMemory().tracer(), Sides: newScratch(t), Losses: newScratch(t), MinAge: 72 * time.Hour, Now: noonNow,
	}
	return m
}

func newScratch(t testing.TB) *ledger.Scratch {
	t.Helper()
	s, err := ledger.NewScratch(t.Context(), t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// find looks, and returns what it finds.
func (w *town) find(ctx context.Context, m *cleanup.Missing) (r *cleanup.MissingReport, losses []cleanup.Loss, shown []cleanup.Candidate, err error) {
	for _, o := range w.listing() {
		if err := m.Each(ctx, o); err != nil {
			return nil, nil, nil, err
		}
	}
	absent, err := m.Gather(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	if r, err = m.Find(ctx); err != nil {
		return nil, nil, nil, err
	}
	if r.Absent != absent {
		return nil, nil, nil, fmt.Errorf("%d were to be asked for, %d were", absent, r.Absent)
	}
	if losses, err = all(m.Found(ctx)); err != nil {
		return nil, nil, nil, err
	}
	shown, err = all(m.Shown(ctx))
	return r, losses, shown, err
}

// lost looks, and returns which keys are lost.
func (w *town) lost(t testing.TB) (*cleanup.MissingReport, []media.Key) {
	t.Helper()
	r, losses, _, err := w.find(t.Context(), w.missing(t))
	must(t, err)
	var keys []media.Key
	for _, l := range losses {
		keys = append(keys, l.Key)
	}
	return r, keys
}

var oldDay = noon.AddDate(0, -2, 0)

// a row of the class, with files by attachment. It is old, and another server's unless it
// can't be.
func aRow(c media.Class, id int64, files ...media.Filed) mastodon.Standing {
	for i := range files {
		if files[i].Updated.IsZero() {
			files[i].Updated = oldDay
		}
	}
	return mastodon.Standing{Row: media.Row{Class: c, ID: id, Remote: c != media.SiteUploads, Files: files, Changed: oldDay}}
}

// pictured is an attachment with a file, and a thumbnail of its own.
func pictured(id int64, name string) mastodon.Standing {
	return aRow(media.MediaAttachments, id,
		media.Filed{Attachment: "files", Name: name, ContentType: "image/jpeg", Schema: 1, Size: 1000 + id},
		media.Filed{Attachment: "thumbnails", Name: "t" + name, ContentType: "image/jpeg", Schema: 1})
}

func keysOfRow(s mastodon.Standing) []media.Key { return slices.Collect(s.Row.Required()) }

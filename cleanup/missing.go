package cleanup

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// askedAtOnce is how many absent objects are asked for together, and their rows after
// that; asking is how many at the same time.
const (
	askedAtOnce = 500
	asking      = 32
)

// A Standings reads rows as they are now, with what hides them.
type Standings interface {
	Standing(ctx context.Context, ids map[media.Class][]int64) (map[media.Class]map[int64]mastodon.Standing, error)
}

// An Asker says of one object whether S3 answers that it is not there (one Class B).
type Asker interface {
	Absent(ctx context.Context, key media.Key) (bool, error)
}

// A Loss is an object that a row needs, and that the bucket does not have.
type Loss struct {
	Key   media.Key   `json:"key"`
	Class media.Class `json:"class"`
	Row   int64       `json:"row"`
	Local bool        `json:"local"` // of the instance itself or of its users: nobody else has it
	Size  int64       `json:"size"`  // bytes, as the row says of an original; 0 for other styles
	Trace
}

// Nullable reports whether Mastodon fetches the file again once its row names none: the
// original of another server's attachment, which nobody here has.
func (l *Loss) Nullable() bool {
	p, err := media.Parse(l.Key)
	return err == nil && !l.Local && l.Source == Nowhere && p.Class == media.MediaAttachments && p.Attachment == "files" && p.Style == "original"
}

// A Missing looks for objects that rows need and that are not there: the listing first,
// then the rows, then each absent object by name, and its row once more. Memory does not
// grow with any of them. It may be used once.
type Missing struct {
	Catalog Catalog
	Rows    Standings
	Hidden  Hiders
	Bucket  Asker
	Tracer  *Tracer
	Sides   Scratch // to hold rows and listing against each other
	Losses  Scratch // what was found, in order
	// Exposed yields what was moved and is hidden on disk since; nil after the switch, when
	// the database decides what is hidden.
	Exposed func(ctx context.Context) iter.Seq2[ledger.Finding, error]
	Disk    Disk // with Exposed: what is hidden there needs no object; nil: no media root
	MinAge  time.Duration
	Now     func() time.Time // the server's clock

	report MissingReport
	cut    time.Time // what is younger is left out
}

// A MissingGroup is what losses are counted by.
type MissingGroup struct {
	Local  bool
	Class  media.Class
	Cause  Cause
	Source Source
}

// A MissingReport is what a look found.
type MissingReport struct {
	Rows, Required int64 // rows with files, and what they need; younger ones left out
	RemoteRows     int64 // other servers' attachments among them
	Young, Busy    int64 // rows that were left out
	Absent         int64 // required objects that the listing lacks
	Unlisted       int64 // of these there all the same: the listing is at fault
	Meanwhile      int64 // of these no row needs them any more: deleted during the run
	Hidden         int64 // beside them: of rows that Mastodon hides, so as it should be
	Nullable       int64 // losses that Mastodon would fetch again: originals of other servers
	Groups         map[MissingGroup]int64
	Exposed        map[ExposedGroup]Sum // objects in the bucket that should be hidden
}

// Lost counts the losses, those of the instance itself or those of other servers.
func (r *MissingReport) Lost(local bool) (n int64) {
	for g, count := range r.Groups {
		if g.Local == local {
			n += count
		}
	}
	return n
}

// From counts the losses of which a copy is there.
func (r *MissingReport) From(s Source) (n int64) {
	for g, count := range r.Groups {
		if g.Source == s {
			n += count
		}
	}
	return n
}

// Shown counts the objects that are in the bucket and should be hidden.
func (r *MissingReport) Shown() (sum Sum) {
	for _, s := range r.Exposed {
		sum = Sum{sum.Objects + s.Objects, sum.Bytes + s.Bytes}
	}
	return sum
}

// Each notes an object of the listing; it is meant for [Survey.Each].
func (m *Missing) Each(ctx context.Context, o r2.Object) error {
	if o.Key.Reserved() || o.Key.Private() {
		return nil
	}
	return m.Sides.Add(ctx, ledger.Loose{Side: ledger.InBucket, Key: o.Key, Object: ledger.ListedObject{
		Key: o.Key, Size: o.Size, ETag: o.ETag, LastModified: o.LastModified,
	}})
}

// Gather reads all rows, after the listing has come to its end, and returns how many
// objects have to be asked for by name (one Class B each).
func (m *Missing) Gather(ctx context.Context) (absent int64, err error) {
	m.report.Groups, m.report.Exposed = map[MissingGroup]int64{}, map[ExposedGroup]Sum{}
	m.cut = m.Now().Add(-m.MinAge)
	for _, class := range m.Catalog.Classes() {
		for row, err := range m.Catalog.All(ctx, class) {
			if err != nil {
				return 0, fmt.Errorf("%w of %s: %w", ErrRows, class, err)
			}
			if err := m.want(ctx, &row); err != nil {
				return 0, err
			}
		}
	}
	if err := m.conceal(ctx); err != nil {
		return 0, err
	}
	for at, err := range m.meet(ctx) {
		switch {
		case err != nil:
			return 0, err
		case at.object != nil && at.hidden != "":
			g := ExposedGroup{at.key.Class(), at.hidden}
			m.report.Exposed[g] = plus(m.report.Exposed[g], at.object.Size)
		case at.want != nil && at.object == nil && at.concealed:
			m.report.Hidden++
		case at.want != nil && at.object == nil:
			m.report.Absent++
		}
	}
	return m.report.Absent, nil
}

// A want is what is known of a required object before it is looked for.
type want struct {
	class media.Class
	row   int64
	local bool
	size  int64
}

// bytes is w as a scratch file keeps it: there are as many as objects.
func (w *want) bytes() []byte {
	b := binary.AppendVarint(make([]byte, 0, 48), w.row)
	b = binary.AppendVarint(b, w.size)
	local := byte(0)
	if w.local {
		local = 1
	}
	return append(append(b, local), w.class...)
}

func readWant(b []byte) (want, error) {
	row, n := binary.Varint(b)
	size, k := binary.Varint(b[max(n, 0):])
	if n <= 0 || k <= 0 || n+k >= len(b) {
		return want{}, errors.New("read what a row needs: nonsense")
	}
	return want{media.Class(b[n+k+1:]), row, b[n+k] == 1, size}, nil
}

// want notes what a row needs, if the row is old enough.
func (m *Missing) want(ctx context.Context, row *media.Row) error {
	m.report.Rows++
	remote := row.Remote && row.Class == media.MediaAttachments
	if remote {
		m.report.RemoteRows++
	}
	if row.Busy {
		m.report.Busy++
		return nil
	}
	old := m.old(row)
	if len(old.Files) < len(row.Files) {
		m.report.Young++
	}
	for k := range old.Required() {
		m.report.Required++
		w := want{row.Class, row.ID, !row.Remote, 0}
		if p, err := media.Parse(k); err == nil && p.Style == "original" {
			i := slices.IndexFunc(old.Files, func(f media.Filed) bool { return f.Attachment == p.Attachment })
			w.size = old.Files[i].Size
		}
		if err := m.Sides.Add(ctx, ledger.Loose{Side: ledger.OnDisk, Key: k, File: media.File{Key: k}, Data: w.bytes()}); err != nil {
			return err
		}
	}
	return nil
}

// old is the row with those files only that are older than the age guard: what is young
// may still be on its way into the bucket.
func (m *Missing) old(row *media.Row) *media.Row {
	r := *row
	if r.Changed.After(m.cut) {
		r.Files = nil
		return &r
	}
	if slices.ContainsFunc(r.Files, func(f media.Filed) bool { return f.Updated.After(m.cut) }) {
		r.Files = slices.DeleteFunc(slices.Clone(r.Files), func(f media.Filed) bool { return f.Updated.After(m.cut) })
	}
	return &r
}

// Find asks the bucket for every absent object by name, and the rows of those that are
// not there once more.
func (m *Missing) Find(ctx context.Context) (*MissingReport, error) {
	var batch []absent
	flush := func() error {
		defer func() { batch = batch[:0] }()
		return m.ask(ctx, batch)
	}
	for at, err := range m.meet(ctx) {
		if err != nil {
			return nil, err
		}
		if at.want == nil || at.object != nil || at.concealed {
			continue
		}
		if batch = append(batch, absent{key: at.key, want: *at.want}); len(batch) == askedAtOnce {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	if err := flush(); err != nil {
		return nil, err
	}
	return &m.report, nil
}

// An absent object is one that the listing lacks.
type absent struct {
	key media.Key
	want
	gone bool // the bucket has said 404
}

func (m *Missing) ask(ctx context.Context, batch []absent) error {
	if len(batch) == 0 {
		return nil
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(asking)
	var mu sync.Mutex
	ids := map[media.Class][]int64{}
	for i := range batch {
		group.Go(func() error {
			a := &batch[i]
			gone, err := absentNow(inner, m.Bucket, a.key)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if a.gone = gone; gone {
				ids[a.class] = append(ids[a.class], a.row)
			} else {
				m.report.Unlisted++
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	rows, err := m.standing(ctx, ids)
	if err != nil {
		return err
	}
	for i := range batch {
		if !batch[i].gone {
			continue
		}
		if err := m.settle(ctx, &batch[i], rows); err != nil {
			return err
		}
	}
	return nil
}

// absentNow reports whether the bucket says that k is not there.
func absentNow(ctx context.Context, b Asker, k media.Key) (bool, error) {
	if !nameable(k) {
		return true, nil // so the bucket can't have it
	}
	gone, err := b.Absent(ctx, k)
	if err != nil {
		return false, fmt.Errorf("ask for what a row needs: %w", err)
	}
	return gone, nil
}

// nameable reports whether a request can ask for k.
func nameable(k media.Key) bool { return media.CheckKey(string(k)) == nil }

func (m *Missing) standing(ctx context.Context, ids map[media.Class][]int64) (map[media.Class]map[int64]mastodon.Standing, error) {
	for class := range ids { // a row may have lost several
		slices.Sort(ids[class])
		ids[class] = slices.Compact(ids[class])
	}
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := m.Rows.Standing(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("%w once more: %w", ErrRows, err)
	}
	return rows, nil
}

// settle counts an object that is not there.
func (m *Missing) settle(ctx context.Context, a *absent, rows map[media.Class]map[int64]mastodon.Standing) error {
	now, ok := rows[a.class][a.row]
	switch {
	case !ok || !m.old(&now.Row).Requires(a.key):
		m.report.Meanwhile++
		return nil
	case now.Hidden != mastodon.Shown || hiddenOnDisk(m.Disk, a.key):
		m.report.Hidden++
		return nil
	}
	l := Loss{Key: a.key, Class: a.class, Row: a.row, Local: a.local, Size: a.size}
	var err error
	if l.Trace, err = m.Tracer.Trace(ctx, a.key, &now.Row); err != nil {
		return err
	}
	// Before the switch the disk is heard too: until it shows a file again, its absence is
	// as it should be.
	if m.Exposed != nil && l.Cause == CauseWithdrawn && m.Tracer.hides(a.key, l.Detail) {
		m.report.Hidden++
		return nil
	}
	m.report.Groups[MissingGroup{l.Local, l.Class, l.Cause, l.Source}]++
	if l.Nullable() {
		m.report.Nullable++
	}
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return m.Losses.Add(ctx, ledger.Loose{Side: ledger.OnDisk, Key: lossOrder(&l), File: media.File{Key: l.Key}, Data: data})
}

// lossOrder puts what nobody else has first.
func lossOrder(l *Loss) media.Key {
	if l.Local {
		return "0 " + l.Key
	}
	return "1 " + l.Key
}

// Found yields the losses, those of the instance itself first, then by key.
func (m *Missing) Found(ctx context.Context) iter.Seq2[Loss, error] {
	return func(yield func(Loss, error) bool) {
		for rec, err := range m.Losses.Sorted(ctx) {
			var l Loss
			if err == nil {
				err = json.Unmarshal(rec.Data, &l)
				l.Key = rec.Key[len("0 "):] // of any bytes, which JSON can't hold
			}
			if err != nil {
				err = fmt.Errorf("read what was found missing: %w", err)
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

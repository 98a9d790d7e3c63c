package cleanup

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
)

// WithdrawPolicy names in the journal what was taken out of the bucket because it should
// not be public.
const WithdrawPolicy = "withdraw"

// WithdrawKeep is how long the trash of withdrawn objects keeps a copy. Mastodon itself
// keeps a suspended local account's data for 30 days; afterwards no row needs it.
const WithdrawKeep = 90 * 24 * time.Hour

// HiddenOnDisk is why an object should be hidden if only the file's mode says so.
const HiddenOnDisk = "hidden on disk since it was moved"

// A Hiders names rows whose files Mastodon hides.
type Hiders interface {
	Concealed(ctx context.Context, c media.Class) iter.Seq2[mastodon.Standing, error]
}

// An ExposedGroup is what exposed objects are counted by.
type ExposedGroup struct {
	Class media.Class
	Why   string
}

// The marks of what hides: a whole row by its folders, or one key by its file.
const (
	byRow  = 'r'
	byFile = 'f'
)

// hideable are the classes whose rows Mastodon hides.
func hideable() []media.Class { return []media.Class{media.MediaAttachments, media.Accounts} }

// conceal notes which folders hold objects that should be hidden, beside what syncs have
// found hidden on disk after it was moved.
func (m *Missing) conceal(ctx context.Context) error {
	for _, class := range hideable() {
		for s, err := range m.Hidden.Concealed(ctx, class) {
			if err != nil {
				return fmt.Errorf("%w that are hidden: %w", ErrRows, err)
			}
			for _, folder := range foldersOf(&s.Row) {
				if err := m.hide(ctx, folder, byRow, string(s.Hidden)); err != nil {
					return err
				}
			}
		}
	}
	if m.Exposed == nil {
		return nil
	}
	for f, err := range m.Exposed(ctx) {
		if err != nil {
			return fmt.Errorf("read what is hidden on disk: %w", err)
		}
		if err := m.hide(ctx, f.Key, byFile, HiddenOnDisk); err != nil {
			return err
		}
	}
	return nil
}

func (m *Missing) hide(ctx context.Context, k media.Key, by byte, why string) error {
	return m.Sides.Add(ctx, ledger.Loose{Side: ledger.Recorded, Key: k, File: media.File{Key: k}, Data: append([]byte{by}, why...)})
}

// foldersOf are all folders in which objects of r may stand, with a slash at the end.
func foldersOf(r *media.Row) (folders []media.Key) {
	for _, f := range r.Files {
		for _, cached := range []bool{false, true} {
			k := media.Path{Cached: cached, Class: r.Class, Attachment: f.Attachment, ID: r.ID, Style: "s", Name: "n"}.Key()
			folders = append(folders, k[:len(k)-len("s/n")])
		}
	}
	return folders
}

// A meeting is what rows and the bucket say of one name.
type meeting struct {
	key    media.Key
	want   *want
	object *ledger.ListedObject
	hidden string // why it should be; ""

	concealed bool // its row is hidden in the database
}

// meet goes through everything that was noted, a name at a time.
func (m *Missing) meet(ctx context.Context) iter.Seq2[meeting, error] {
	return func(yield func(meeting, error) bool) {
		var at meeting
		var name, folder, why string
		for l, err := range m.Sides.Sorted(ctx) {
			if err != nil {
				yield(meeting{}, fmt.Errorf("compare rows and bucket: %w", err))
				return
			}
			if n := media.Normal(string(l.Key)); n != name {
				if name != "" && !yield(at, nil) {
					return
				}
				if folder == "" || !strings.HasPrefix(n, folder) {
					folder, why = "", ""
				}
				name, at = n, meeting{key: l.Key, hidden: why, concealed: why != ""}
			}
			if l.Side == ledger.Recorded && l.Data[0] == byRow {
				folder, why = name, string(l.Data[1:])
				continue
			}
			if err := at.add(&l); err != nil {
				yield(meeting{}, err)
				return
			}
		}
		if name != "" {
			yield(at, nil)
		}
	}
}

// add puts one side to the others. The object's own spelling is the one to delete by, the
// row's the one to ask for.
func (at *meeting) add(l *ledger.Loose) error {
	switch l.Side {
	case ledger.InBucket:
		o := l.Object
		o.Key = l.Key
		at.object = &o
	case ledger.Recorded:
		if at.hidden == "" {
			at.hidden = string(l.Data[1:])
		}
	default:
		w, err := readWant(l.Data)
		at.key, at.want = l.Key, &w
		return err
	}
	return nil
}

// Shown yields the objects that are in the bucket and should be hidden, in the order of
// their keys.
func (m *Missing) Shown(ctx context.Context) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		for at, err := range m.meet(ctx) {
			if err == nil && (at.object == nil || at.hidden == "") {
				continue
			}
			c := Candidate{Reason: at.hidden}
			if err == nil {
				c = candidateOf(at.object, at.hidden)
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

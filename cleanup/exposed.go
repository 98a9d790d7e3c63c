package cleanup

import (
	"context"
	"fmt"
	"iter"
	"slices"
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

// The marks of what hides: a row's file by the folders that it may stand in, or one key
// by its file.
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
			if err := m.hideRow(ctx, &s); err != nil {
				return err
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

// hideRow notes all folders in which objects of s may stand, with a slash at the end.
func (m *Missing) hideRow(ctx context.Context, s *mastodon.Standing) error {
	for _, f := range s.Row.Files {
		for _, cached := range []bool{false, true} {
			if f.Name == "" {
				continue
			}
			k := media.Path{Cached: cached, Class: s.Row.Class, Attachment: f.Attachment, ID: s.Row.ID, Style: "s", Name: "n"}.Key()
			if err := m.hide(ctx, k[:len(k)-len("s/n")], byRow, string(s.Hidden)+"\x00"+f.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Missing) hide(ctx context.Context, k media.Key, by byte, why string) error {
	return m.Sides.Add(ctx, ledger.Loose{Side: ledger.Recorded, Key: k, File: media.File{Key: k}, Data: append([]byte{by}, why...)})
}

// A hiddenFile is a file of a hidden row, whose folder a comparison is in.
type hiddenFile struct {
	folder string
	row    media.Row // with this file alone
	why    string
}

// hiddenFiles are several: the folder of a short id begins those of longer ones.
type hiddenFiles []hiddenFile

func (h *hiddenFiles) enter(folder, mark string) {
	why, file, _ := strings.Cut(mark, "\x00")
	p, err := media.Parse(media.Key(folder + "s/n"))
	if err != nil {
		return // it was made of a path
	}
	row := media.Row{Class: p.Class, ID: p.ID, Files: []media.Filed{{Attachment: p.Attachment, Name: file}}}
	*h = append(*h, hiddenFile{folder, row, why})
}

// leave forgets the folders that name is not below.
func (h *hiddenFiles) leave(name string) {
	*h = slices.DeleteFunc(*h, func(f hiddenFile) bool { return !strings.HasPrefix(name, f.folder) })
}

// why is the reason to hide the object called name, or "": what else stands in the folder
// is not the row's.
func (h hiddenFiles) why(name string) string {
	if len(h) == 0 {
		return ""
	}
	p, err := media.Parse(media.Key(name))
	if err != nil {
		return ""
	}
	for i := range h {
		if h[i].row.MayOwn(p) {
			return h[i].why
		}
	}
	return ""
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
		var name string
		var over hiddenFiles
		for l, err := range m.Sides.Sorted(ctx) {
			if err != nil {
				yield(meeting{}, fmt.Errorf("compare rows and bucket: %w", err))
				return
			}
			if n := media.Normal(string(l.Key)); n != name {
				if name != "" && !yield(at, nil) {
					return
				}
				over.leave(n)
				why := over.why(n)
				name, at = n, meeting{key: l.Key, hidden: why, concealed: why != ""}
			}
			if l.Side == ledger.Recorded && l.Data[0] == byRow {
				over.enter(name, string(l.Data[1:]))
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

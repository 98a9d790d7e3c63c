package uploader

import (
	"context"
	"errors"
	"iter"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
	"example.org/mediamove/scanner"
)

// A Plan is what a sync would do, decided by the same code without a bucket.
type Plan struct {
	Counts                               // as a sync would count, with what is new and would be sent as Pending
	Classes map[media.Class]*ClassTotals // files to send, by class
	Sync    costs.Usage                  // requests of the sync itself; see [MakePlan] for how exact
	Bytes   int64                        // to send
	Grown   int64                        // by how many bytes more the bucket would hold

	Private, Hidden Totals // of HeldBack: backups and imports; not public by mode, the exposed ones too

	Old     []OldCache // of what would be sent: by age, the mildest first
	Refused error      // [ErrHiddenTree] if a sync would stop before its first PUT
}

// Totals count files.
type Totals struct{ Files, Bytes int64 }

func (t *Totals) add(f media.File) {
	t.Files++
	t.Bytes += f.Size
}

// ClassTotals are the files of one class.
type ClassTotals struct {
	Files, Bytes             int64 // to send
	CachedFiles, CachedBytes int64 // of these: remote media, below cache/
}

// PlanOptions say what a sync would go by. The zero value is a first sync's, but for
// the requests that come before the first file.
type PlanOptions struct {
	Policy  Policy
	Prefix  string             // as in [Options]
	Gone    map[media.Key]bool // as in [Options]
	Listing Listing            // as in [Options]
	Joining bool               // the ledger joins a bucket; without a Listing nobody knows yet what is there
	Before  costs.Usage        // requests before the first file: the owner mark and the like
	Disk    Disk               // to look into changed videos, which may be a rewrite; nil takes none for one
	Now     time.Time          // what ages are counted from
}

// MakePlan walks files and decides about each as a sync with these options would.
//
// Plan.Sync is exactly what the sync's meter counts if every file can be read and
// stays as it is, no request has to be repeated, and the bucket holds just what the
// ledger says. Else it is more or less: a file that was sent by a run that was killed
// before it wrote that down takes one PUT (refused) if it goes in one, and none in
// parts. While joining without a listing it is the most that can be.
//
// Files that the ledger knows in another state cost nothing unless they are
// Mastodon's own rewrite: only those that could be one are read, and counted as
// Replaced. The others count as Changed, although a sync may find the same bytes.
func MakePlan(ctx context.Context, files iter.Seq2[ledger.Candidate, error], o PlanOptions) (Plan, error) {
	p := planner{PlanOptions: o, Plan: Plan{Classes: make(map[media.Class]*ClassTotals), Sync: o.Before, Old: oldCaches()}}
	var look sample
	for c, err := range files {
		if err != nil {
			if err := p.problem(err); err != nil {
				return p.Plan, err
			}
			continue
		}
		p.Seen++
		look.add(c.File)
		if err := p.decided(ctx, c); err != nil {
			return p.Plan, err
		}
	}
	if p.Refused = look.verdict(); p.Refused != nil {
		p.Sync = o.Before
	}
	return p.Plan, context.Cause(ctx)
}

// A planner makes one plan.
type planner struct {
	PlanOptions
	Plan
}

// decided is what [Uploader.decided] and the worker behind it would do.
func (p *planner) decided(ctx context.Context, c ledger.Candidate) error {
	switch v := p.Policy.decide(c, p.Joining); v {
	case present:
		p.Present++
	case hold, expose:
		return p.held(ctx, c.File, v == expose)
	case leave:
		p.Left++
		if c.State == ledger.Removed {
			p.Removed++
		}
	case recheck:
		return p.recheck(c)
	default:
		return p.send(ctx, c.File, v == adopt)
	}
	return nil
}

func (p *planner) held(ctx context.Context, f media.File, exposed bool) error {
	p.HeldBack++
	if f.Key.Private() {
		p.Private.add(f)
	} else {
		p.Hidden.add(f)
	}
	if !exposed && p.Listing != nil {
		var err error
		if _, exposed, err = p.Listing.Listed(ctx, f.Key); err != nil {
			return err
		}
	}
	if exposed {
		p.Exposed++
	}
	return nil
}

// send takes what the ledger doesn't know. Whatever a listing shows is adopted or a
// conflict, and costs no Class A either way.
func (p *planner) send(ctx context.Context, f media.File, adoptOnly bool) error {
	switch {
	case p.Gone[f.Key]:
		p.Conflict++
		return nil
	case !p.nameable(f.Key):
		p.Failed++
		return nil
	case p.Listing != nil:
		_, there, err := p.Listing.Listed(ctx, f.Key)
		if err != nil {
			return err
		}
		if there {
			p.Adopted++
			return nil
		}
	}
	if adoptOnly {
		p.Left++
		return nil
	}
	p.Pending++
	p.Grown += f.Size
	p.add(f)
	for i := range p.Old {
		p.Old[i].add(f, p.Now)
	}
	return nil
}

// nameable reports whether k can be a key in this bucket.
func (p *planner) nameable(k media.Key) bool { return media.CheckKey(p.Prefix+string(k)) == nil }

func (p *planner) add(f media.File) {
	t := p.Classes[f.Key.Class()]
	if t == nil {
		t = new(ClassTotals)
		p.Classes[f.Key.Class()] = t
	}
	p.Bytes += f.Size
	t.Files++
	t.Bytes += f.Size
	if f.Key.Cached() {
		t.CachedFiles++
		t.CachedBytes += f.Size
	}
	p.Sync = p.Sync.Add(requests(f.Size))
}

// requests are those that send one file.
func requests(size int64) (u costs.Usage) {
	if size <= r2.SinglePutMax {
		u[costs.PutObject] = 1
		return u
	}
	part := r2.PartSize(size)
	u[costs.HeadObject] = 1 // is it there? before the first part
	u[costs.CreateMultipartUpload] = 1
	u[costs.UploadPart] = (size + part - 1) / part
	u[costs.CompleteMultipartUpload] = 1
	return u
}

func (p *planner) problem(err error) error {
	e, ok := errors.AsType[*scanner.Problem](err)
	if !ok {
		return err
	}
	switch e.Kind {
	case scanner.Mount:
	case scanner.BadName, scanner.Twin:
		p.Seen++
		p.Failed++
	case scanner.Outside:
		p.Outside++
	case scanner.Link:
		p.Links++
	case scanner.Special:
		p.Special++
	default:
		p.Unreadable++
	}
	return nil
}

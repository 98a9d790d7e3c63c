package uploader

import (
	"context"
	"errors"
	"iter"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
	"example.org/mediamove/scanner"
)

// A Plan is what a sync would do, decided by the same code without a bucket.
type Plan struct {
	Counts                               // as a sync would count, with ToSend as Pending
	Classes map[media.Class]*ClassTotals // files to send, by class
	Sync    costs.Usage                  // requests of the sync itself
	Bytes   int64                        // to send
	Refused error                        // [ErrHiddenTree] if a sync would stop before its first PUT
}

// ClassTotals are the files of one class.
type ClassTotals struct {
	Files, Bytes             int64 // to send
	CachedFiles, CachedBytes int64 // of these: remote media, below cache/
}

// MakePlan walks files and decides about each as a sync with this policy would.
// Files that the ledger knows in another state are not read: they count as
// changed, which costs nothing either way. first says that this ledger has not
// written to the bucket yet: the owner mark, its probe and a look into the bucket
// come on top.
func MakePlan(ctx context.Context, files iter.Seq2[ledger.Candidate, error], policy Policy, first bool) (Plan, error) {
	p := Plan{Classes: make(map[media.Class]*ClassTotals)}
	p.Sync[costs.GetObject]++ // the owner mark
	if first {
		p.Sync[costs.ListObjects]++
		p.Sync[costs.PutObject] += 2 // the mark, and the probe that must be refused
	}
	var look sample
	for c, err := range files {
		if err != nil {
			if err := p.problem(err); err != nil {
				return p, err
			}
			continue
		}
		p.Seen++
		look.add(c.File)
		switch policy.decide(c, false) {
		case present:
			p.Present++
		case hold:
			p.HeldBack++
		case expose:
			p.HeldBack++
			p.Exposed++
		case leave:
			p.Left++
		case recheck:
			p.Changed++
		default:
			p.add(c.File)
		}
	}
	p.Refused = look.verdict()
	return p, context.Cause(ctx)
}

func (p *Plan) add(f media.File) {
	t := p.Classes[f.Key.Class()]
	if t == nil {
		t = new(ClassTotals)
		p.Classes[f.Key.Class()] = t
	}
	p.Pending++
	p.Bytes += f.Size
	t.Files++
	t.Bytes += f.Size
	if f.Key.Cached() {
		t.CachedFiles++
		t.CachedBytes += f.Size
	}
	if f.Size <= r2.SinglePutMax {
		p.Sync[costs.PutObject]++
		return
	}
	part := r2.PartSize(f.Size)
	p.Sync[costs.HeadObject]++ // is it there? before the first part
	p.Sync[costs.CreateMultipartUpload]++
	p.Sync[costs.UploadPart] += (f.Size + part - 1) / part
	p.Sync[costs.CompleteMultipartUpload]++
}

func (p *Plan) problem(err error) error {
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

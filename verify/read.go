package verify

import (
	"context"
	"errors"
	"iter"

	"golang.org/x/sync/errgroup"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A Memory says what earlier runs read back, so that an interrupted one goes on.
type Memory interface {
	ReadSince(ctx context.Context, k media.Key, run int64) (bool, error)
}

// A Part of the objects is read in one run: all of those whose lot falls on Slot of
// Of. With Of = 1 it is everything.
type Part struct {
	Of, Slot int
	// Since is the run that began this part: what was read since then, by runs that
	// were interrupted, is not read again.
	Since int64
}

// has reports whether k is of the part.
func (p Part) has(k media.Key) bool { return lot(0, k)%uint64(p.Of) == uint64(p.Slot) }

// ReadPart reads back every object of a part, local users' media first, and compares
// byte count, MD5 and SHA-256 with the records. Only what the listing showed as the
// same is read: the rest is in doubt already.
func (v *Verifier) ReadPart(ctx context.Context, p Part, m Memory) error {
	asked := "all"
	if p.Of > 1 {
		asked = "rotation"
	}
	v.beginReading(Reading{Asked: asked, Slot: p.Slot + 1, Of: p.Of}, v.strata.total()/int64(max(1, p.Of)))
	v.read = p.has
	return v.readAll(ctx, func(yield func(ledger.Entry, error) bool) {
		for e, err := range v.inOrder(ctx) {
			if err == nil && !p.has(e.File.Key) {
				continue
			}
			done := false
			if err == nil {
				done, err = v.resumed(ctx, &e, p, m)
			}
			if done {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	})
}

// ReadSample reads back about n objects, spread over classes and sizes.
func (v *Verifier) ReadSample(ctx context.Context, n int64, seed uint64) error {
	chosen, s, err := v.choose(ctx, n, seed)
	if err != nil {
		return err
	}
	v.beginReading(Reading{Asked: "sample", Sample: s}, int64(len(chosen)))
	drawn := make(map[media.Key]bool, len(chosen))
	for _, e := range chosen {
		drawn[e.File.Key] = true
	}
	v.read = func(k media.Key) bool { return drawn[k] }
	return v.readAll(ctx, func(yield func(ledger.Entry, error) bool) {
		for _, e := range chosen {
			if !yield(e, nil) {
				return
			}
		}
	})
}

// choose draws about n of the objects that are the same.
func (v *Verifier) choose(ctx context.Context, n int64, seed uint64) ([]ledger.Entry, Sample, error) {
	c := newChooser(seed, v.strata.quotas(n))
	// What is in doubt would take the place of what the strata count.
	doubts := v.follow(ctx, ledger.Missing, ledger.Differs, ledger.Rewritten, ledger.Withdrawn, ledger.Deleted, ledger.HiddenOnDisk, ledger.ChangedOnDisk, ledger.Extra, ledger.Unread)
	defer doubts.stop()
	for e, err := range v.Records.Entries(ctx) {
		if err != nil {
			return nil, Sample{}, err
		}
		doubted, err := doubts.has(e.File.Key)
		if err != nil {
			return nil, Sample{}, err
		}
		if doubted {
			continue
		}
		c.offer(stratumOf(e.File.Key, e.File.Size), &e)
	}
	chosen := c.chosen()
	return chosen, Sample{Seed: seed, Population: v.strata.total(), Objects: int64(len(chosen)), Share: c.share(v.strata)}, nil
}

func (v *Verifier) beginReading(r Reading, expected int64) {
	v.enter(Fetching)
	v.stats.toRead.Store(expected)
	v.mu.Lock()
	v.report.Read = r
	v.mu.Unlock()
}

// resumed reports whether an interrupted run of the same part has read the object. What
// this run doubts is not counted, and is passed over when its turn comes.
func (v *Verifier) resumed(ctx context.Context, e *ledger.Entry, p Part, m Memory) (bool, error) {
	done, err := m.ReadSince(ctx, e.File.Key, p.Since)
	if err != nil || !done {
		return false, err
	}
	// What was found against it since, if only its headers, must be found again.
	d, err := v.Doubts.DoubtAbout(ctx, e.File.Key)
	if err == nil && d.Run >= p.Since {
		return false, nil
	}
	if err != nil && !errors.Is(err, ledger.ErrUnknown) {
		return false, err
	}
	v.stats.read.Add(1)
	v.mu.Lock()
	v.report.Read.Resumed++
	v.mu.Unlock()
	return true, nil
}

// inOrder yields all records, local users' media first.
func (v *Verifier) inOrder(ctx context.Context) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		for _, top := range media.TopFolders() {
			for e, err := range v.Records.EntriesBelow(ctx, top) {
				if !yield(e, err) {
					return
				}
			}
		}
	}
}

// readAll reads many at a time, and stops at what concerns the whole run.
func (v *Verifier) readAll(ctx context.Context, entries iter.Seq2[ledger.Entry, error]) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(v.Workers)
	for e, err := range entries {
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error { return v.readBack(gctx, &e) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// readBack compares one object's bytes with the record.
func (v *Verifier) readBack(ctx context.Context, e *ledger.Entry) error {
	doubted, err := v.inDoubt(ctx, e.File.Key)
	if err != nil || doubted {
		return err
	}
	got, err := v.fetch(ctx, e.File.Key)
	v.stats.read.Add(1)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, r2.ErrNotFound):
		return v.recountAbsent(ctx, e, rule(Missing, "listed, and gone when it was read back"))
	case r2.Stops(err):
		return err
	default:
		v.unknown(err.Error())
		return v.recount(ctx, e, because(Unread, "could not be read back", "%v", err), "")
	}
	v.mu.Lock()
	v.report.Read.Objects++
	v.report.Read.Bytes += got.size
	v.mu.Unlock()
	if r, ok := v.weigh(e, &got); !ok {
		return v.recount(ctx, e, r, got.head.ETag)
	}
	v.mu.Lock()
	v.report.Read.Equal++
	v.mu.Unlock()
	if err := v.proveRead(ctx, e, got); err != nil {
		return err
	}
	return v.headersOf(ctx, e.File.Key, got.head, got.first)
}

// weigh compares what was read with what is recorded.
func (v *Verifier) weigh(e *ledger.Entry, got *fetched) (ruling, bool) {
	switch {
	case got.size == e.File.Size && got.sha256 == e.SHA256 && (e.MD5 == [16]byte{} || got.md5 == e.MD5):
		return ruling{}, true
	case v.Policy.newer(&triple{entry: *e, object: got.head.Object}):
		return rule(Rewritten, "read back: newer than our PUT, with other bytes"), false
	case got.size != e.File.Size:
		return because(Differs, "read back: another number of bytes than was moved", "%d bytes came, %d were moved", got.size, e.File.Size), false
	case got.head.ETag == e.ETag:
		return rule(Differs, "read back: other bytes under the same ETag: they changed at rest"), false
	}
	return rule(Differs, "read back: other bytes than were moved"), false
}

// inDoubt reports whether this run has already found something against the object:
// then it was counted, and reading it adds nothing.
func (v *Verifier) inDoubt(ctx context.Context, k media.Key) (bool, error) {
	d, err := v.Doubts.DoubtAbout(ctx, k)
	if errors.Is(err, ledger.ErrUnknown) {
		return false, nil
	}
	return d.Run == v.Policy.Run && d.Verdict != ledger.BadHeaders && d.Verdict != ledger.BadPublic, err
}

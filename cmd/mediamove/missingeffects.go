package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/owner"
	"example.org/mediamove/uploader"
)

// withdrawnFolder is the trash of what was withdrawn, in the state folder.
const withdrawnFolder = "withdrawn"

// healed is what --heal did.
type healed struct {
	asked    bool
	files    uploader.Counts  // from disk
	bytes    int64            // that were sent
	outcomes map[string]int64 // from the trash
	examples []cleanup.Healed // the first of what could not be put back
}

// back is how many objects are there again.
func (h *healed) back() int64 {
	return h.files.Moved + h.files.Adopted + h.outcomes[cleanup.PutBack] + h.outcomes[cleanup.Already]
}

// heal puts back what rows need: from disk, under sync's rules, and then from the trash.
func (r *missingReport) heal(ctx context.Context) error {
	why := r.c.boundDatabase()
	if doubt := r.sweep.doubted(); why == nil && doubt != nil {
		why = doubt
	}
	if why != nil {
		return r.refuse(why)
	}
	if err := r.c.mayWrite(ctx, r.o.access); err != nil {
		return err
	}
	r.healed = healed{asked: true, outcomes: map[string]int64{}}
	witness := &cleanup.Witness{Rows: r.c.db, Classes: r.c.db.Classes(), Disk: r.look.Disk}
	if r.c.tree != nil && r.From(cleanup.OnDisk) > 0 {
		if err := r.fromDisk(ctx, witness); err != nil {
			return err
		}
	}
	back := &cleanup.Returning{Needed: witness.Needed, Bin: r.look.bins.returner(ctx, witness.Needed), Records: r.c.ledger, Run: r.c.run, Now: r.c.now}
	for done, err := range back.Take(ctx, r.look.Found(ctx)) {
		if err != nil {
			return err
		}
		switch done.Outcome {
		case cleanup.PutBack:
			r.healed.bytes += done.Loss.Size
			fallthrough
		case cleanup.Already:
			r.healed.outcomes[done.Outcome]++
		default:
			r.healed.miss(done)
		}
	}
	return nil
}

// mayWrite makes sure that the bucket is granted to this ledger; until here it was only read.
func (c *cleaning) mayWrite(ctx context.Context, a access) error {
	grant := c.ownerOptions(a)
	if grant.Switch == owner.Before {
		grant.Switch = owner.Unset // only sync takes a switch back
	}
	claim, err := owner.Check(ctx, c.bucket, c.ledger, grant)
	if err == nil && claim.Switched && !c.claim.Switched {
		return &owner.RefusedError{
			Reason: "Mastodon writes to this bucket already: --before-switch would spare this run the guards",
			Hint:   "leave --before-switch out",
		}
	}
	return err
}

// fromDisk sends the files of lost objects.
func (r *missingReport) fromDisk(ctx context.Context, witness *cleanup.Witness) error {
	policy := uploader.DefaultPolicy(r.c.run)
	policy.Switched = r.c.claim.Switched
	u := uploader.New(uploader.Options{
		Disk: r.c.tree, Bucket: r.c.bucket, Journal: &cleanup.Healing{Journal: r.c.ledger, Run: r.c.run, Now: r.c.now}, Parts: r.c.ledger, Retry: true,
		Named:  onlyNamed(witness),
		Policy: policy, Log: r.c.log, TempDir: r.c.dir, Workers: r.o.concurrency, Prefix: prefix(r.c.settings.KeyPrefix),
	})
	err := u.Run(ctx, r.onDisk(ctx))
	r.healed.files = u.Stats().Counts
	r.healed.bytes += r.healed.files.BytesMoved
	return errors.Join(err, r.c.ledger.Flush(context.WithoutCancel(ctx)))
}

// onlyNamed asks the rows right before a file is sent.
func onlyNamed(witness *cleanup.Witness) func(ctx context.Context, k media.Key) error {
	return func(ctx context.Context, k media.Key) error {
		err := witness.Needed(ctx, k)
		if errors.Is(err, cleanup.ErrUnnamed) {
			return fmt.Errorf("%w: %w", uploader.ErrUnnamed, err)
		}
		return err
	}
}

// onDisk yields the files of what is lost.
func (r *missingReport) onDisk(ctx context.Context) iter.Seq2[ledger.Candidate, error] {
	return func(yield func(ledger.Candidate, error) bool) {
		for l, err := range r.look.Found(ctx) {
			if err == nil && l.Source != cleanup.OnDisk {
				continue
			}
			c := ledger.Candidate{State: ledger.Lost}
			if err == nil {
				var short bool
				if c.File, short, err = r.fileOf(ctx, &l); short {
					r.healed.miss(cleanup.Healed{Loss: l, Outcome: cleanup.Short, Detail: fmt.Sprintf("%d bytes", c.File.Size)})
					continue
				}
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// fileOf finds the file of a loss. It is short if it is smaller than its row says, or
// empty; where the ledger has a record, that is what the file is held against.
func (r *missingReport) fileOf(ctx context.Context, l *cleanup.Loss) (f media.File, short bool, err error) {
	if f, err = r.c.tree.Stat(l.Key); err != nil {
		f = media.File{Key: l.Key, Size: max(1, l.Size), Mode: 0o644} // opening it says what is wrong
	}
	if f.Size >= max(1, l.Size) {
		return f, false, nil
	}
	_, err = r.c.ledger.Entry(ctx, l.Key)
	if errors.Is(err, ledger.ErrUnknown) {
		return f, true, nil
	}
	return f, false, err
}

// miss notes what could not be put back.
func (h *healed) miss(e cleanup.Healed) {
	h.outcomes[e.Outcome]++
	if len(h.examples) < maxUndone {
		h.examples = append(h.examples, e)
	}
}

// nulled is what --null-remote did.
type nulled struct {
	asked         bool
	may           int64 // rows whose original is lost
	rows, skipped int64
	losses        int64 // that these rows do not need any more
	dropped       int64 // of a plan, and not lost any more
}

// null clears the rows whose originals nobody has.
func (r *missingReport) null(ctx context.Context, plan *cleanup.PlanFile) (err error) {
	r.nulled.asked, r.nulled.may = true, r.Nullable
	why := r.sweep.refused()
	if r.o.save != "" {
		why = r.sweep.doubted()
	}
	if why == nil {
		why = cleanup.CheckLost(r.nulled.may, r.RemoteRows, r.o.share)
	}
	switch {
	case why != nil:
		return r.refuse(why)
	case r.o.save != "":
		return r.savePlan(ctx)
	}
	losses, id := r.look.Found(ctx), ""
	if plan != nil {
		if why := r.c.ledger.UsePlan(ctx, plan.ID, r.c.run); why != nil {
			return r.refuse(why)
		}
		id, losses = plan.ID, cleanup.StillLost(losses, plan.List(ctx), &r.nulled.dropped)
	}
	p := r.nuller(id)
	if _, err := p.Settle(ctx); err != nil {
		return err
	}
	err = p.Apply(ctx, cleanup.Lost(losses))
	r.nulled.rows, r.nulled.skipped = p.Cleared()
	if err != nil {
		return err
	}
	return r.forgotten(ctx)
}

// forgotten counts what rows have lost that are cleared now: a row has more than its original.
func (r *missingReport) forgotten(ctx context.Context) error {
	for l, err := range r.look.Found(ctx) {
		if err != nil {
			return err
		}
		if l.Local || l.Class != media.MediaAttachments || r.healed.asked && l.Source != cleanup.Nowhere {
			continue // or it was put back
		}
		switch open, err := r.c.ledger.OpenClearing(ctx, l.Class, l.Row); {
		case errors.Is(err, ledger.ErrUnknown):
		case err != nil:
			return err
		case open.Run == r.c.run:
			r.nulled.losses++
		}
	}
	return nil
}

func (r *missingReport) nuller(plan string) *cleanup.Pruner {
	cleaner := r.sweep.cleaner(r.o.access, cleanup.PrunePolicy)
	cleaner.Plan = plan
	return &cleanup.Pruner{
		Rows: r.c.db, Past: r.c.db, Journal: r.c.ledger, Opened: r.c.ledger, Cleaner: cleaner,
		Rule: mastodon.PruneRule{Before: r.c.now().Add(-r.o.minAge), Lost: true},
	}
}

// savePlan writes what would be cleared for a person to look at.
func (r *missingReport) savePlan(ctx context.Context) error {
	p := r.sweep.plan(ctx, cleanup.MissingPlanSchema, cleanup.Age(r.o.minAge))
	p.AllowShare = r.o.share
	bytes := int64(0)
	for l, err := range r.look.Found(ctx) {
		if err != nil {
			return err
		}
		if l.Nullable() {
			bytes += l.Size
		}
	}
	p.Candidates = cleanup.Sum{Objects: r.nulled.may, Bytes: bytes}
	p.Classes = map[media.Class]cleanup.Sum{media.MediaAttachments: p.Candidates}
	if err := cleanup.WritePlan(r.o.save, p, cleanup.Objects(cleanup.Lost(r.look.Found(ctx)))); err != nil {
		return planFileError(err)
	}
	r.saved = p
	return nil
}

// withdrawn is what --withdraw did.
type withdrawn struct {
	asked   bool
	partly  string // why the database was not asked
	removed cleanup.Sum
	kept    map[string]int64
}

// withdraw takes out of the bucket what should be hidden. Before the switch the disk says
// what is, and has it; the database is heard beside it if it is the bound one.
func (r *missingReport) withdraw(ctx context.Context) (err error) {
	r.hidden.asked = true
	w := &cleanup.Withdrawal{Rows: r.c.db}
	cleaner := r.sweep.cleaner(r.o.access, cleanup.WithdrawPolicy)
	if r.c.claim.Switched {
		if why := r.sweep.refused(); why != nil {
			return r.refuse(why)
		}
	} else {
		if r.c.tree == nil {
			return r.refuse(usagef("mediamove missing --withdraw ROOT", "before the switch the disk says what is hidden: name the media root"))
		}
		w.Disk = r.c.tree
		why := r.c.boundDatabase()
		if doubt := r.sweep.doubted(); why == nil && doubt != nil {
			why = doubt
		}
		if why != nil {
			w.Unasked, r.hidden.partly = true, oneLine(why.Error())
		}
		cleaner.Raise, cleaner.Bound = func(ctx context.Context) error { return r.c.mayWrite(ctx, r.o.access) }, nil
	}
	if dir, err := r.o.trash.folder(r.c); err != nil || dir == filepath.Join(r.c.dir, "trash") {
		return errors.Join(err, usagef("name another folder, or leave --trash out", "--trash %s: the copies of orphans are there, and go after 30 days", dir))
	}
	bin, err := r.o.trash.open(ctx, r.c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bin.Store.Close()) }()
	if _, _, err := bin.Store.Expire(ctx); err != nil {
		return err
	}
	cleaner.Bin, cleaner.Again = bin, w.Again
	err = cleaner.Apply(ctx, r.look.Shown(ctx))
	r.hidden.removed, r.hidden.kept = cleaner.Removed(), cleaner.Kept()
	return err
}

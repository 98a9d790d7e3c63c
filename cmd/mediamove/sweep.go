package main

import (
	"context"
	"errors"
	"os"
	"runtime/debug"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/owner"
)

// A sweep is one look at the bucket and the database, which every cleanup command
// begins with and the jobs of a night share.
type sweep struct {
	c       *cleaning
	survey  *cleanup.Survey
	cache   *cleanup.Cache // nil: nothing is to be pruned
	scratch *ledger.Scratch
	orphans *cleanup.Orphans
	found   *cleanup.Report
	bound   error // nil: mark, database, host and ledger belong together
	settled int   // intents of killed runs that were looked at
}

// newSweep prepares the look, with the limits of the orphans.
func (c *cleaning) newSweep(ctx context.Context, orphans *cleanup.Orphans) *sweep {
	s := &sweep{c: c, orphans: orphans, bound: owner.CheckBound(ctx, c.sight.Mark, c.ledger, c.tie.Database, c.tie.Host)}
	s.survey = &cleanup.Survey{
		Bucket: c.bucket, Instance: c.db, Marks: c.ledger, Classes: c.db.Classes(), Run: c.run, Now: c.now, Clearings: c.ledger,
	}
	orphans.Survey, orphans.Memory, orphans.History, orphans.Marks = s.survey, c.ledger, c.ledger, c.ledger
	orphans.Guards = cleanup.Guards()
	orphans.Undid = func(ctx context.Context, run int64) (bool, error) {
		by, err := c.ledger.Run(ctx, run)
		return by.Command == "undo", err
	}
	// The ledger is open for writing, so this process holds its lock.
	orphans.Facts = cleanup.Facts{Alone: true, Switched: c.claim.Switched, Bound: s.bound}
	return s
}

// newPruneSweep gathers the cache too, from the same listing.
func (c *cleaning) newPruneSweep(ctx context.Context, b *budgetFlags) (*sweep, error) {
	s := c.newSweep(ctx, &cleanup.Orphans{Limits: cleanup.Ceilings(), MinAge: cleanup.MinAge, Prunes: true})
	var err error
	if s.scratch, err = ledger.NewScratch(ctx, c.dir); err != nil {
		return nil, err
	}
	s.cache = &cleanup.Cache{Fates: c.db, Rule: b.rule(c.now()), Scratch: s.scratch}
	s.survey.Cache = s.cache
	return s, nil
}

func (s *sweep) close() error {
	if s.scratch == nil {
		return nil
	}
	return s.scratch.Close()
}

// settle looks at the intents that killed runs left without an outcome.
func (s *sweep) settle(ctx context.Context) (err error) {
	s.settled, err = cleanup.Settle(ctx, s.c.bucket, s.c.ledger, s.c.now)
	return err
}

// look scans. A guard "bound" that refuses says what to do about that very reason: who
// types bind for another database or on a copied machine undoes the guard.
func (s *sweep) look(ctx context.Context) (err error) {
	defer seldomCollected()()
	s.found, err = s.orphans.Look(ctx)
	e, ok := errors.AsType[*owner.RefusedError](s.bound)
	if !ok || s.found == nil {
		return err
	}
	for _, refusal := range s.found.Refusals {
		if refusal.Guard == "bound" {
			refusal.Hint = e.Hint
		}
	}
	return err
}

// seldomCollected lets garbage lie until it is four times what is in use, and returns
// what ends that. A look keeps little of each page that it reads, so that a quarter of its
// time went into collecting, over and over, a heap of a few megabytes.
func seldomCollected() (end func()) {
	before := debug.SetGCPercent(400)
	return func() { debug.SetGCPercent(before) }
}

// unread is the guard "whole" if why says that the rows could not be read: a run that was
// to have effects is refused by it as by any other. It is nil for every other reason.
func (s *sweep) unread(ctx context.Context, why error) error {
	if errors.Is(why, cleanup.ErrRows) && ctx.Err() == nil && s.found != nil {
		return s.refused()
	}
	return nil
}

// refused is the first guard that forbids every deletion, nil if none does.
func (s *sweep) refused() error {
	if len(s.found.Refusals) == 0 {
		return nil
	}
	return s.found.Refusals[0]
}

// doubted is the guard that contradicts the database, nil if none does. Then a plan would
// list what is not so.
func (s *sweep) doubted() error {
	for _, refusal := range s.found.Refusals {
		if refusal.Doubt {
			return refusal
		}
	}
	return nil
}

// cleaner removes things under the guards of this run.
func (s *sweep) cleaner(a access, policy string) *cleanup.Cleaner {
	c := s.c
	return &cleanup.Cleaner{
		Bucket: c.bucket, Rows: c.db, Journal: c.ledger, Run: c.run, Policy: policy, Now: c.now, Log: c.log,
		Control: s.found.Scan.Sample, Raise: func(ctx context.Context) error { return c.granted(ctx, a) }, Bound: c.stillBound,
	}
}

// plan is the head that every plan of this run has.
func (s *sweep) plan(ctx context.Context, schema string, minAge cleanup.Age) *cleanup.Plan {
	made := s.found.Scan.At.UTC()
	return &cleanup.Plan{
		Schema: schema, ID: cleanup.NewPlanID(), BucketID: s.c.claim.BucketID, LedgerID: s.c.ledgerID(ctx), Run: s.c.run,
		Made: made, Expires: made.Add(cleanup.PlanLife), MinAge: minAge, Reasons: map[string]cleanup.Sum{},
	}
}

// planFileError marks a plan's file that a person has to name otherwise.
func planFileError(err error) error {
	if errors.Is(err, os.ErrExist) || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return &usageError{err, "name a new file in a folder that can be written"}
	}
	return err
}

func (c *cleaning) ledgerID(ctx context.Context) string {
	id, err := c.ledger.Identity(ctx)
	if err != nil {
		return "" // which no plan has
	}
	return id.LedgerID
}

// granted counts this run in the mark before its first effect, once.
func (c *cleaning) granted(ctx context.Context, a access) error {
	if c.raised {
		return c.stillBound(ctx)
	}
	if err := owner.Raise(ctx, c.bucket, c.ledger, c.ownerOptions(a), c.tie); err != nil {
		return err
	}
	c.raised = true
	return nil
}

// stillBound reads the mark anew (one Class B): a copy of this machine may have woken up.
func (c *cleaning) stillBound(ctx context.Context) error {
	mark, err := owner.ReadMark(ctx, c.bucket, c.settings.Bucket)
	if err != nil {
		return err
	}
	return owner.CheckBound(ctx, mark, c.ledger, c.tie.Database, c.tie.Host)
}

// cleanFrame says where a cleanup stands.
func (c *cleaning) cleanFrame(s *cleanup.Survey) frame {
	f := frame{parts: []string{count(s.Listed()) + " objects judged"}}
	if c.bucket.Stats().Paused {
		f.parts = append(f.parts, "waiting for the bucket")
	}
	f.parts = append(f.parts, c.requestParts()...)
	f.parts = append(f.parts, "B "+count(c.meter.Usage().B()))
	return f
}

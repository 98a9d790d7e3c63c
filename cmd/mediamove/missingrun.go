package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/ledger"
	"example.org/mediamove/owner"
)

// A missingReport is the end of a run: the last screen and --json.
type missingReport struct {
	*cleanup.MissingReport
	c     *cleaning
	o     *missingOptions
	sweep *sweep
	look  *missingLook

	err     error
	refusal error
	saved   *cleanup.Plan
	healed  healed
	nulled  nulled
	hidden  withdrawn
	seconds float64
}

// A missingLook is a [cleanup.Missing] with what it takes, over one sweep's listing.
type missingLook struct {
	*cleanup.Missing
	bins  *bins
	sides *ledger.Scratch
	found *ledger.Scratch
}

// newMissingLook hooks into the sweep's listing.
func (c *cleaning) newMissingLook(ctx context.Context, s *sweep, minAge time.Duration) (l *missingLook, err error) {
	l = &missingLook{bins: &bins{c: c}}
	if l.sides, err = ledger.NewScratch(ctx, c.dir); err != nil {
		return nil, err
	}
	if l.found, err = ledger.NewScratch(ctx, c.dir); err != nil {
		return nil, errors.Join(err, l.sides.Close())
	}
	tracer := &cleanup.Tracer{Lore: c.ledger, Journal: c.ledger, Copies: l.bins.has(ctx), Now: c.now}
	if c.tree != nil {
		tracer.Disk = c.tree
	}
	if at := c.sight.Mark.SwitchedAt; at != nil {
		tracer.SwitchedAt = *at
	}
	l.Missing = &cleanup.Missing{
		Catalog: c.db, Rows: c.db, Hidden: c.db, Bucket: c.bucket, Tracer: tracer, Sides: l.sides, Losses: l.found, MinAge: minAge, Now: c.now,
	}
	if !c.claim.Switched {
		l.Exposed = func(ctx context.Context) iter.Seq2[ledger.Finding, error] {
			return c.ledger.Findings(ctx, ledger.Exposed)
		}
		l.Disk = tracer.Disk
	}
	s.survey.Each = l.Each
	return l, nil
}

// Gather is [cleanup.Missing.Gather].
func (l *missingLook) Gather(ctx context.Context) (int64, error) {
	defer seldomCollected()()
	return l.Missing.Gather(ctx)
}

func (l *missingLook) close() error {
	return errors.Join(l.sides.Close(), l.found.Close(), l.bins.close())
}

func (r *missingReport) run(ctx context.Context, w *world, plan *cleanup.PlanFile) error {
	r.sweep = r.c.newSweep(ctx, &cleanup.Orphans{Limits: cleanup.Ceilings(), MinAge: cleanup.MinAge})
	look, err := r.c.newMissingLook(ctx, r.sweep, r.o.minAge)
	if err != nil {
		r.err = err
		return r.conclude(ctx, w)
	}
	r.look, look.bins.dir = look, r.o.trash.dir
	side, stopSide := context.WithCancel(context.WithoutCancel(ctx))
	r.c.books.Go(func() { r.c.saveUsage(side) })
	r.err = r.steps(ctx, side, w, plan)
	stopSide()
	r.c.books.Wait()
	r.err = errors.Join(r.err, func() error {
		if !r.o.list || r.err != nil {
			return look.close()
		}
		return nil // the list is read when the run is in the books
	}())
	return r.conclude(ctx, w)
}

func (r *missingReport) steps(ctx, side context.Context, w *world, plan *cleanup.PlanFile) error {
	brief, stop := context.WithCancel(side)
	progress := w.startProgress(brief, r.c.session, func(time.Duration) frame { return r.c.cleanFrame(r.sweep.survey) })
	absent, err := r.gather(ctx, plan)
	stop()
	progress.wait()
	if err != nil || r.refusal != nil {
		return err
	}
	if absent > 0 {
		fmt.Fprintf(w.stderr, "the listing lacks %s that rows need: each is asked for by name, %s Class B\n", objectsOf(absent), count(absent))
	}
	brief, stop = context.WithCancel(side)
	progress = w.startProgress(brief, r.c.session, func(time.Duration) frame { return r.c.askFrame() })
	defer progress.wait()
	defer stop()
	if r.MissingReport, err = r.look.Find(ctx); err != nil {
		return err
	}
	return r.effects(ctx, plan)
}

// gather lists the bucket and reads the rows. A run that is to change something is refused
// if one of the two could not be read.
func (r *missingReport) gather(ctx context.Context, plan *cleanup.PlanFile) (int64, error) {
	if plan != nil {
		if why := cleanup.CheckPlan(&plan.Plan, r.c.claim.BucketID, r.c.ledgerID(ctx), r.c.now(), 0); why != nil {
			return 0, r.refuse(why)
		}
	}
	if err := r.sweep.settle(ctx); err != nil {
		return 0, err
	}
	if err := r.sweep.look(ctx); err != nil {
		if why := r.sweep.unread(ctx, err); why != nil && r.o.changes() {
			return 0, r.refuse(why)
		}
		return 0, err
	}
	return r.look.Gather(ctx)
}

// effects are what was asked for: first what puts back, then what lets Mastodon fetch
// again, then what hides. A guard that refuses one of them refuses those that follow.
func (r *missingReport) effects(ctx context.Context, plan *cleanup.PlanFile) error {
	for _, step := range []struct {
		asked bool
		do    func() error
	}{
		{r.o.heal, func() error { return r.heal(ctx) }},
		{r.o.null || r.o.save != "" || plan != nil, func() error { return r.null(ctx, plan) }},
		{r.o.withdraw, func() error { return r.withdraw(ctx) }},
	} {
		if !step.asked || r.refusal != nil {
			continue
		}
		if err := step.do(); err != nil {
			return err
		}
	}
	return nil
}

// refuse ends the run in order: nothing more is changed, and the screen says why.
func (r *missingReport) refuse(why error) error {
	r.refusal = why
	return nil
}

// bound refuses a database that the bucket is not bound to: its rows would publish what
// people have deleted, or hide what they show.
func (c *cleaning) boundDatabase() error {
	switch b := c.sight.Mark.Binding; {
	case b == nil:
		return &owner.RefusedError{Reason: "nobody has said yet which database this bucket belongs to", Hint: "mediamove bind"}
	case b.Database != c.tie.Database:
		return &owner.RefusedError{
			Reason: "this is not the database that the bucket is bound to",
			Hint:   "name the live one: DB_HOST and DB_NAME, or DATABASE_URL; after a major upgrade of PostgreSQL: mediamove bind",
		}
	}
	return nil
}

// askFrame says where a run stands that asks for objects one by one.
func (c *cleaning) askFrame() frame {
	f := frame{parts: []string{"asking for what is absent"}}
	if c.bucket.Stats().Paused {
		f.parts = append(f.parts, "waiting for the bucket")
	}
	f.parts = append(f.parts, c.requestParts()...)
	f.parts = append(f.parts, "B "+count(c.meter.Usage().B()))
	return f
}

// conclude writes down the end of the run, and tells it.
func (r *missingReport) conclude(ctx context.Context, w *world) error {
	r.err = ended(ctx, r.err)
	runErr := r.outcome()
	counts, err := json.Marshal(r.counts())
	end := ledger.RunEnd{ExitCode: exitCode(runErr), Complete: r.err == nil, Counts: counts, Bytes: r.healed.bytes}
	runErr = also(runErr, errors.Join(err, r.c.finish(ctx, end)))
	r.seconds = time.Since(r.c.began).Seconds()
	if r.o.list && r.err == nil && r.look != nil {
		return also(runErr, errors.Join(r.printList(ctx, w), r.look.close()))
	}
	return also(runErr, w.showMissing(ctx, r))
}

// outcome is what the exit status tells.
func (r *missingReport) outcome() error {
	switch {
	case r.err != nil:
		return r.err
	case r.refusal != nil:
		return r.refusal
	case r.left() > 0:
		return &somethingLeft{"something is missing"}
	case r.exposed() > 0:
		return &somethingLeft{"something should be hidden"}
	}
	return nil
}

// left is how many losses remain.
func (r *missingReport) left() int64 {
	if r.MissingReport == nil {
		return 0
	}
	return max(0, r.Lost(true)+r.Lost(false)-r.healed.back()-r.nulled.losses)
}

// exposed is how many objects that should be hidden remain.
func (r *missingReport) exposed() int64 {
	if r.MissingReport == nil {
		return 0
	}
	h := &r.hidden // of what stayed, that is well which went by itself, or is shown again
	return max(0, r.Shown().Objects-h.removed.Objects-h.kept[cleanup.KeptShown]-h.kept[cleanup.KeptGone])
}

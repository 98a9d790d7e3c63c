package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/owner"
	"example.org/mediamove/r2"
	"example.org/mediamove/uploader"
	"example.org/mediamove/verify"
)

// runVerifier is the run itself, with the verifier that begin makes once the bucket
// was looked at.
func (o *verifyOptions) runVerifier(ctx context.Context, w *world, x *session, begin func(context.Context, *verifyReport) (*verify.Verifier, error)) error {
	r := &verifyReport{x: x, o: o, run: x.run}
	defer func() { closeRows(r.db) }()
	v, err := begin(ctx, r)
	if err != nil {
		return errors.Join(err, x.finish(ctx, ledger.RunEnd{ExitCode: exitCode(ended(ctx, err))}))
	}
	// Booking and drawing go on after a signal, until the run has really ended.
	side, stopSide := context.WithCancel(context.WithoutCancel(ctx))
	x.books.Go(func() { x.saveUsage(side) })
	progress := w.startProgress(side, x, func(time.Duration) frame { return x.verifyFrame(v.Stats()) })
	r.err = o.steps(ctx, w, x, v, r)
	if r.tell {
		r.untold = owner.TellSwitch(ctx, x.bucket, x.ledger, x.ownerOptions(o.access))
	}
	stopSide()
	progress.wait()
	x.books.Wait()
	r.err = errors.Join(r.err, v.Close(), x.ledger.Flush(context.WithoutCancel(ctx)))
	r.Report = v.Report()
	return o.concludeVerify(ctx, w, x, r)
}

// verifier looks at the owner mark and makes the verifier that fits.
func (o *verifyOptions) verifier(ctx context.Context, x *session, r *verifyReport) (*verify.Verifier, error) {
	sight, err := owner.Look(ctx, x.bucket, x.ledger, x.ownerOptions(o.access))
	if err != nil {
		return nil, err
	}
	x.claim = sight.Claim
	r.tell = x.claim.Switched && sight.Mark.SwitchedAt == nil
	opt := verify.Options{
		Bucket: x.bucket, Records: x.ledger, Remarks: x.ledger, Notes: x.ledger, Doubts: x.ledger, Journal: x.ledger, Removals: x.ledger,
		Scratch: func(ctx context.Context) (verify.Scratch, error) { return ledger.NewScratch(ctx, x.dir) },
		Policy: verify.Policy{
			Run: x.run, Switched: x.claim.Switched, Shared: len(sight.Mark.Ledgers) > 1, ClockAhead: x.bucket.Stats().ClockOffset,
		},
		Log: x.log, Workers: o.concurrency,
	}
	if x.tree != nil {
		opt.Disk = x.tree
		if err := o.mounted(ctx, x); err != nil {
			return nil, err
		}
	}
	if err := r.openRows(ctx, sight.Mark); err != nil {
		return nil, err
	}
	opt.Rows = r.rows
	return verify.New(opt), nil
}

// mounted refuses a class folder that lost all its files. After the switch the disk may
// be freed.
func (o *verifyOptions) mounted(ctx context.Context, x *session) error {
	if x.claim.Switched {
		return nil
	}
	last, err := x.ledger.LastWalk(ctx)
	if err != nil {
		return err
	}
	return uploader.CheckEmptied(ctx, x.tree, last, allowed(o.allowEmpty))
}

// steps is everything that was asked for, the cheapest first.
func (o *verifyOptions) steps(ctx context.Context, w *world, x *session, v *verify.Verifier, r *verifyReport) error {
	// Before Compare, which makes a pass of its own the last one.
	last, err := x.ledger.LastPass(ctx)
	if err != nil && !errors.Is(err, ledger.ErrUnknown) {
		return err
	}
	if err := v.Compare(ctx); err != nil {
		return err
	}
	if r.others, err = x.othersThen(ctx, last.Run); err != nil {
		return err
	}
	if listed := v.Report().Listed; last.Listed > listed {
		r.shrunk = last.Listed - listed
	}
	if r.goesOn, err = o.readBack(ctx, x, v); err != nil {
		return err
	}
	if o.headers > 0 {
		if err := v.LookAtHeaders(ctx, o.headers, o.seed); err != nil {
			return err
		}
	}
	if o.public {
		if err := o.visit(ctx, w, x, v); err != nil {
			return err
		}
	}
	if err := v.CarryOver(ctx); err != nil {
		return err
	}
	if o.repair {
		if err := o.mend(ctx, x, v, r); err != nil {
			return err
		}
	}
	return o.certify(ctx, x, v, r)
}

// The names under which the ledger remembers how far reading has come.
const (
	readingAll = "read"
	rotating   = "rotate"
)

// readingAge is how long an interrupted part may wait to be gone on with: what was
// read longer ago says too little of today.
const readingAge = 7 * 24 * time.Hour

// readBack reads what was asked for. A part that was interrupted is gone on with;
// goesOn says that this one will be, by the same command.
func (o *verifyOptions) readBack(ctx context.Context, x *session, v *verify.Verifier) (goesOn bool, err error) {
	switch {
	case o.sample > 0:
		return false, v.ReadSample(ctx, o.sample, o.seed)
	case o.read:
		return o.readPart(ctx, x, v, readingAll, 1)
	case o.rotate > 0:
		return o.readPart(ctx, x, v, rotating, o.rotate)
	}
	return false, nil
}

// readPart reads the part whose turn it is, of so many, and passes the turn on. Another
// number of parts begins with the first one; a part that was begun too long ago is read
// from its start.
func (o *verifyOptions) readPart(ctx context.Context, x *session, v *verify.Verifier, name string, of int) (goesOn bool, err error) {
	at, err := x.ledger.Rotation(ctx, name)
	if err != nil {
		return false, err
	}
	if at.Of != of {
		at = ledger.Rotation{Of: of}
	}
	if age := time.Since(at.Began); age > readingAge || age < 0 || at.Run == 0 {
		at.Began, at.Run = time.Now(), x.run
		if err := x.ledger.SetRotation(ctx, name, at); err != nil {
			return false, err
		}
	}
	unread := v.Report().Counts[verify.Unread]
	if err := v.ReadPart(ctx, verify.Part{Of: of, Slot: at.Slot, Since: at.Run}, x.ledger); err != nil {
		return true, err
	}
	// What could not be read is all that is left to read; but one bad object must not
	// keep the other parts from their turns.
	if of == 1 && v.Report().Counts[verify.Unread] > unread {
		return true, nil
	}
	return false, x.ledger.SetRotation(ctx, name, ledger.Rotation{Of: of, Slot: (at.Slot + 1) % of})
}

// visit looks at the bucket from outside.
// The origin of the requests is the instance's own, as in the browser of somebody who
// reads there: only so do the answers show whether CORS is right.
func (o *verifyOptions) visit(ctx context.Context, w *world, x *session, v *verify.Verifier) error {
	c := r2.PublicConfig{
		Host: x.settings.AliasHost, Protocol: x.settings.Protocol, Prefix: x.settings.KeyPrefix,
		Meter: &x.meter, Transport: w.transport, Log: x.log,
	}
	if o.proxy != "" {
		c.Proxy, _ = url.Parse(o.proxy) // checked when the bucket was opened
	}
	front, err := r2.OpenPublic(c)
	if err != nil {
		return err
	}
	defer front.Close()
	return v.LookInPublic(ctx, verify.Tour{
		Front: front, Endpoint: x.bucket, Origin: "https://" + cmp.Or(x.settings.WebDomain, x.settings.LocalDomain), Objects: o.visits, Seed: o.seed,
	})
}

// concludeVerify writes down the end of the run, and tells it.
func (o *verifyOptions) concludeVerify(ctx context.Context, w *world, x *session, r *verifyReport) error {
	r.err = ended(ctx, r.err)
	runErr := r.outcome()
	counts, err := json.Marshal(r.counts())
	end := ledger.RunEnd{ExitCode: exitCode(runErr), Complete: r.Complete() && r.err == nil, Counts: counts}
	runErr = also(runErr, errors.Join(err, x.finish(ctx, end)))
	r.requests, r.seconds = x.meter.Usage(), time.Since(x.began).Seconds()
	return also(runErr, w.showVerify(ctx, x, r, o))
}

// errListingCut reports a limit that no run of this bucket can keep.
var errListingCut = errors.New("came before the end of the listing")

// outcome is what the exit status tells: never 0 if anything differs or could not
// be found out.
func (r *verifyReport) outcome() error {
	switch {
	case errors.Is(r.err, r2.ErrLimit) && !r.Listing:
		return fmt.Errorf("%s %w: %s", r.x.limit.flag, errListingCut, r.err.Error())
	case r.err != nil:
		return r.err
	case !r.Complete():
		return &notTold{"it could not be told"}
	case r.remaining() > 0, r.refusal != "":
		return &somethingLeft{"something differs"}
	}
	return nil
}

// verifyFrame says where a verify stands.
func (x *session) verifyFrame(s verify.Stats) frame {
	f := frame{done: s.Read, total: s.ToRead}
	switch s.Phase {
	case verify.Walking:
		f.parts = []string{count(s.Walked) + " files on disk"}
	case verify.Listing:
		f.parts = []string{count(s.Listed) + " objects listed"}
	case verify.Fetching:
		f.parts = []string{fmt.Sprintf("%s/%s read back", count(s.Read), count(s.ToRead)), size(s.ReadBytes)}
		f.bounded = true
	default:
		f.parts = []string{fmt.Sprintf("%s/%s looked at", count(s.Read), count(s.ToRead))}
		f.bounded = true
	}
	if s.Differences > 0 {
		f.parts = append(f.parts, "differences "+count(s.Differences))
	}
	if x.bucket.Stats().Paused {
		f.parts = append(f.parts, "waiting for the bucket")
	}
	f.parts = append(f.parts, x.requestParts()...)
	f.parts = append(f.parts, "B "+count(x.meter.Usage().B()))
	return f
}

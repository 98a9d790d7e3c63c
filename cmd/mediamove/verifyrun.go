package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/owner"
	"example.org/mediamove/r2"
	"example.org/mediamove/verify"
)

// runVerifier is the run itself, with the verifier that begin makes once the bucket
// was looked at.
func (o *verifyOptions) runVerifier(ctx context.Context, w *world, x *session, begin func(context.Context) (*verify.Verifier, error)) error {
	r := &verifyReport{x: x, o: o, run: x.run}
	v, err := begin(ctx)
	if err != nil {
		return errors.Join(err, x.finish(ctx, ledger.RunEnd{ExitCode: exitCode(ended(ctx, err))}))
	}
	side, stopSide := context.WithCancel(context.WithoutCancel(ctx))
	x.books.Go(func() { x.saveUsage(side) })
	progress := w.startProgress(side, x, func(time.Duration) frame { return x.verifyFrame(v.Stats()) })
	r.err = o.steps(ctx, w, x, v, r)
	stopSide()
	progress.wait()
	x.books.Wait()
	r.err = errors.Join(r.err, v.Close(), x.ledger.Flush(context.WithoutCancel(ctx)))
	r.Report = v.Report()
	return o.concludeVerify(ctx, w, x, r)
}

// verifier looks at the owner mark and makes the verifier that fits.
func (o *verifyOptions) verifier(ctx context.Context, x *session) (*verify.Verifier, error) {
	sight, err := owner.Look(ctx, x.bucket, x.ledger, x.ownerOptions(o.access))
	if err != nil {
		return nil, err
	}
	x.claim = sight.Claim
	opt := verify.Options{
		Bucket: x.bucket, Records: x.ledger, Remarks: x.ledger, Notes: x.ledger, Doubts: x.ledger,
		Scratch: func(ctx context.Context) (verify.Scratch, error) { return ledger.NewScratch(ctx, x.dir) },
		Policy: verify.Policy{
			Run: x.run, Switched: x.claim.Switched, Shared: len(sight.Mark.Ledgers) > 1, ClockAhead: x.bucket.Stats().ClockOffset,
		},
		Log: x.log, Workers: o.concurrency,
	}
	if x.tree != nil {
		opt.Disk = x.tree
	}
	return verify.New(opt), nil
}

// steps is everything that was asked for, the cheapest first.
func (o *verifyOptions) steps(ctx context.Context, w *world, x *session, v *verify.Verifier, r *verifyReport) error {
	last, err := x.ledger.LastPass(ctx)
	if err != nil && !errors.Is(err, ledger.ErrUnknown) {
		return err
	}
	if err := v.Compare(ctx); err != nil {
		return err
	}
	if listed := v.Report().Listed; last.Listed > listed {
		r.shrunk = last.Listed - listed
	}
	if err := v.Probe(ctx); err != nil {
		return err
	}
	if err := o.readBack(ctx, x, v); err != nil {
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

// readBack reads what was asked for. A part that was interrupted is gone on with.
func (o *verifyOptions) readBack(ctx context.Context, x *session, v *verify.Verifier) error {
	switch {
	case o.sample > 0:
		return v.ReadSample(ctx, o.sample, o.seed)
	case o.read:
		return o.readPart(ctx, x, v, readingAll, 1)
	case o.rotate > 0:
		return o.readPart(ctx, x, v, rotating, o.rotate)
	}
	return nil
}

func (o *verifyOptions) readPart(ctx context.Context, x *session, v *verify.Verifier, name string, of int) error {
	at, err := x.ledger.Rotation(ctx, name)
	if err != nil {
		return err
	}
	if at.Of != of {
		at = ledger.Rotation{Of: of}
	}
	if at.Began.IsZero() {
		at.Began = time.Now()
		if err := x.ledger.SetRotation(ctx, name, at); err != nil {
			return err
		}
	}
	if err := v.ReadPart(ctx, verify.Part{Of: of, Slot: at.Slot, Since: at.Began}, x.ledger); err != nil {
		return err
	}
	return x.ledger.SetRotation(ctx, name, ledger.Rotation{Of: of, Slot: (at.Slot + 1) % of})
}

// visit looks at the bucket from outside.
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
		Front: front, Endpoint: x.bucket, Origin: "https://" + x.settings.LocalDomain, Objects: o.visits, Seed: o.seed,
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

// outcome is what the exit status tells: never 0 if anything differs or could not
// be found out.
func (r *verifyReport) outcome() error {
	switch {
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

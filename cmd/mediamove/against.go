package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/owner"
	"example.org/mediamove/r2"
	"example.org/mediamove/verify"
)

// runAgainst compares the bucket with a certificate: no ledger, no disk, and
// nothing is kept.
func (o *verifyOptions) runAgainst(ctx context.Context, w *world, settings mastodon.Settings) (err error) {
	saved, err := verify.OpenCertificate(ctx, o.against)
	if err != nil {
		return certificateError(err)
	}
	defer func() { err = also(err, saved.Close()) }()
	// What is found on the way is kept in a ledger of its own, for as long as the run takes.
	dir, err := os.MkdirTemp("", "mediamove-against-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = also(err, os.RemoveAll(dir)) }()
	o.state = dir
	x, err := w.open(ctx, errand{"verify", "", o.common, settings, o.access})
	if err != nil {
		return err
	}
	defer func() { err = also(err, x.close()) }()
	return o.runVerifier(ctx, w, x, func(ctx context.Context, _ *verifyReport) (*verify.Verifier, error) {
		return o.certified(ctx, x, saved)
	})
}

// certificateError marks what a person must put right.
func certificateError(err error) error {
	if errors.Is(err, verify.ErrCertificate) || errors.Is(err, verify.ErrList) || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		hint := sentinelHint(err)
		if hint == "" {
			hint = "both files are needed: the certificate, and its list beside it"
		}
		return &usageError{err, hint}
	}
	return err
}

// certified makes the verifier that knows what was certified.
func (o *verifyOptions) certified(ctx context.Context, x *session, saved *verify.SavedCertificate) (*verify.Verifier, error) {
	mark, err := owner.ReadMark(ctx, x.bucket, x.settings.Bucket)
	switch {
	case errors.Is(err, r2.ErrNotFound):
		return nil, &owner.RefusedError{
			Reason: fmt.Sprintf("bucket %s has no owner mark: it is not the one that was certified, or was emptied", x.settings.Bucket),
			Hint:   "check S3_BUCKET, S3_ENDPOINT and S3_KEY_PREFIX",
		}
	case err != nil:
		return nil, err
	case mark.BucketID != saved.BucketID:
		return nil, &owner.RefusedError{
			Reason: fmt.Sprintf("the certificate is for bucket %s (id %.8s…), but bucket %s has id %.8s…", saved.Bucket, saved.BucketID, x.settings.Bucket, mark.BucketID),
			Hint:   "check S3_BUCKET, S3_ENDPOINT and S3_KEY_PREFIX, or name another certificate",
		}
	}
	// The switch may have come after the certificate, and the mark may not know of it yet.
	known := mark.SwitchedAt != nil || !saved.SwitchedAt.IsZero()
	x.claim.Switched = o.mode == owner.After || (o.mode == owner.Unset && known)
	return verify.New(verify.Options{
		Bucket: x.bucket, Records: saved.Records(), Remarks: x.ledger, Notes: x.ledger, Doubts: x.ledger, Journal: x.ledger,
		Scratch: func(ctx context.Context) (verify.Scratch, error) { return ledger.NewScratch(ctx, x.dir) },
		Policy: verify.Policy{
			Run: x.run, Switched: x.claim.Switched, Shared: len(mark.Ledgers) > 1, ClockAhead: x.bucket.Stats().ClockOffset,
		},
		Log: x.log, Workers: o.concurrency,
	}), nil
}

// certify writes the certificate that was asked for, or says why there is none.
func (o *verifyOptions) certify(ctx context.Context, x *session, v *verify.Verifier, r *verifyReport) error {
	if o.certificate == "" {
		return nil
	}
	id, err := x.ledger.Identity(ctx)
	if err != nil {
		return err
	}
	c := verify.Certificate{
		MadeAt: time.Now(), Version: version(), Domain: id.Domain, Bucket: id.Bucket, BucketID: id.BucketID,
		Endpoint: id.Endpoint, Prefix: id.Prefix, LedgerID: id.LedgerID,
	}
	if x.tree != nil {
		c.Root = x.tree.Root()
	}
	if x.claim.Switched {
		c.SwitchedAt = id.SwitchedAt
	}
	if r.refusal, err = x.halfMoved(ctx); err != nil || r.refusal != "" {
		return err
	}
	c, err = v.Certify(ctx, o.certificate, c)
	if e, ok := errors.AsType[*verify.UncertifiedError](err); ok {
		r.refusal = e.Error()
		return nil
	}
	if err != nil {
		return err
	}
	r.certificate = &certificateJSON{o.certificate, o.certificate + ".sha256", hex.EncodeToString(c.List.SHA256[:]), c.Objects, c.Bytes}
	return nil
}

// halfMoved says why the ledger alone does not know all that should be in the bucket.
// With the disk beside it the disk says it.
func (x *session) halfMoved(ctx context.Context) (string, error) {
	if x.tree != nil {
		return "", nil
	}
	last, err := x.ledger.Latest(ctx, "sync")
	switch {
	case errors.Is(err, ledger.ErrUnknown):
		return "no sync was recorded: name ROOT", nil
	case err != nil:
		return "", err
	case !last.Complete:
		return fmt.Sprintf("the last sync, run %d, was no whole walk: sync again, or name ROOT", last.ID), nil
	}
	return "", nil
}

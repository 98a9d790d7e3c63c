package verify

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// An UncertifiedError says why there is no certificate: it would have to be read
// with reservations, and nobody reads those.
type UncertifiedError struct{ Reasons []string }

func (e *UncertifiedError) Error() string { return strings.Join(e.Reasons, "; ") }

// Certify saves what this run has proven to path, and the list beside it. c says
// whose bucket it is; the counts are the run's. It is an [UncertifiedError] if
// anything differs, is absent or could not be told.
func (v *Verifier) Certify(ctx context.Context, path string, c Certificate) (Certificate, error) {
	r := v.Report()
	if why := r.reservations(); len(why) > 0 {
		return c, &UncertifiedError{why}
	}
	c.Run, c.ListedRun, c.ListedAt = v.Policy.Run, v.Policy.Run, r.Began
	same := r.Total()
	c.Objects, c.Bytes = same.Objects, same.Bytes
	c.Rewritten, c.Absent, c.Removed = r.Of(Rewritten), r.Of(Deleted), r.Of(Removed)
	c.ReadBack = r.Read.Equal + r.Read.Resumed
	if r.Read.Asked == "sample" {
		c.Seed = &r.Read.Sample.Seed
	}
	return SaveCertificate(ctx, path, c, func(l *ListWriter) error { return v.listAll(ctx, l) })
}

// reservations is what speaks against a certificate.
func (r *Report) reservations() []string {
	var why []string
	if !r.Complete() {
		why = append(why, "something could not be told")
	}
	if n := r.Differences(); n > 0 {
		// After the switch an absent object may have been deleted by its owner, but only
		// the database knows: any that it was not asked about refuses.
		why = append(why, fmt.Sprintf("%d differences", n))
	}
	if r.Recorded == 0 {
		why = append(why, "the ledger records no object")
	}
	if r.Unrecorded > 0 {
		why = append(why, fmt.Sprintf("%d objects are not in the ledger: sync adopts them", r.Unrecorded))
	}
	return why
}

// listAll names every recorded object, and what Mastodon has rewritten or deleted.
func (v *Verifier) listAll(ctx context.Context, l *ListWriter) error {
	if err := v.Journal.Flush(ctx); err != nil { // what was noted is read
		return err
	}
	withdrawn, deleted, rewritten := v.follow(ctx, ledger.Withdrawn), v.follow(ctx, ledger.Deleted), v.follow(ctx, ledger.Rewritten)
	defer withdrawn.stop()
	defer deleted.stop()
	defer rewritten.stop()
	exceptions := map[Exception]*follower{ExceptRewritten: rewritten, ExceptAbsent: deleted}
	for e, err := range v.Records.Entries(ctx) {
		if err != nil {
			return err
		}
		if gone, err := withdrawn.has(e.File.Key); err != nil {
			return err
		} else if gone {
			continue
		}
		one := Certified{Key: e.File.Key, Size: e.File.Size, ETag: e.ETag, SHA256: e.SHA256, Adopted: e.Origin == ledger.Adopted}
		for except, f := range exceptions {
			if has, err := f.has(e.File.Key); err != nil {
				return err
			} else if has {
				one = Certified{Key: e.File.Key, Except: except}
			}
		}
		if err := l.Add(one); err != nil {
			return err
		}
	}
	return nil
}

// A follower goes through this run's doubts beside the records, both in the order of
// the keys' bytes.
type follower struct {
	next func() (ledger.Doubt, error, bool)
	stop func()
	at   media.Key
	more bool
	err  error
}

func (v *Verifier) follow(ctx context.Context, verdicts ...ledger.Verdict) *follower {
	f := &follower{more: true}
	f.next, f.stop = iter.Pull2(v.Doubts.Doubts(ctx, v.Policy.Run, verdicts...))
	return f
}

// has reports whether k is doubted. Keys are asked for in their order.
func (f *follower) has(k media.Key) (bool, error) {
	for f.more && f.err == nil && f.at < k {
		var d ledger.Doubt
		d, f.err, f.more = f.next()
		f.at = d.Key
	}
	return f.more && f.at == k, f.err
}

// Records returns what was certified, in place of a ledger's.
func (s *SavedCertificate) Records() Records { return certifiedRecords{s} }

type certifiedRecords struct{ s *SavedCertificate }

// Entries implements [Records].
func (c certifiedRecords) Entries(ctx context.Context) iter.Seq2[ledger.Entry, error] {
	return c.EntriesBelow(ctx, "")
}

// EntriesBelow implements [Records]. What was not certified is not asked for.
func (c certifiedRecords) EntriesBelow(ctx context.Context, folder string) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		for one, err := range c.s.Named() {
			if err == nil {
				err = ctx.Err()
			}
			if err == nil && (one.Except != "" || (folder != "" && !strings.HasPrefix(string(one.Key), folder+"/"))) {
				continue
			}
			e := ledger.Entry{File: media.File{Key: one.Key, Size: one.Size}, ETag: one.ETag, SHA256: one.SHA256, At: c.s.ListedAt}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// Package owner decides whether a run may touch a bucket at all.
//
// A small document in the bucket, the owner mark, says which instance the
// bucket belongs to and which ledgers may write to it. Every run reads it once
// before anything else. Credentials copied to a staging host, a bucket that was
// emptied or replaced, a lost ledger: each of them shows here, before a byte is
// sent, and each only ever makes the tool refuse.
package owner

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/r2"
)

// A Reader reads the mark.
type Reader interface {
	GetDoc(ctx context.Context, name string) (data []byte, etag string, err error)
}

// A Bucket holds the mark.
type Bucket interface {
	Reader
	PutDoc(ctx context.Context, name string, data []byte, ifMatch string) (etag string, err error)
	Page(ctx context.Context, limit int) (objs []r2.Object, more bool, err error)
}

// A Ledger remembers which bucket it belongs to.
type Ledger interface {
	Identity(ctx context.Context) (ledger.Identity, error)
	SetIdentity(ctx context.Context, id ledger.Identity) error
	Empty(ctx context.Context) (bool, error)
}

// Options are the instance's side of the claim.
type Options struct {
	Domain     string // LOCAL_DOMAIN
	BucketName string // S3_BUCKET
	Endpoint   string
	Prefix     string
	Join       string // --join: a bucket id, or a bucket's name where no mark exists yet
	Switch     Switch
	Log        *slog.Logger
	// ProbeDelay is waited before the mark is written again as a probe, since R2
	// takes one write per second and key. Zero means [DefaultProbeDelay].
	ProbeDelay time.Duration
}

// DefaultProbeDelay keeps the probe clear of R2's limit of one write per second and key.
const DefaultProbeDelay = 1100 * time.Millisecond

// A Claim is a granted right to write.
type Claim struct {
	BucketID string
	Joined   bool // others filled the bucket, and this ledger has not adopted what is there yet
	Switched bool // Mastodon writes to the bucket: the disk is history (design rule 3)
}

// A RefusedError says why the bucket must not be touched, and what to do.
type RefusedError struct{ Reason, Hint string }

func (e *RefusedError) Error() string { return e.Reason }

// ErrNoDomain reports that LOCAL_DOMAIN is not set.
var ErrNoDomain = errors.New("LOCAL_DOMAIN is not set")

// Check reads the mark and grants or refuses the claim. It sends one GET; on a
// first run also one LIST page, the mark and one probe. The error is a
// [*RefusedError] where a person has to decide.
func Check(ctx context.Context, b Bucket, l Ledger, o Options) (Claim, error) {
	if o.ProbeDelay == 0 {
		o.ProbeDelay = DefaultProbeDelay
	}
	c, err := newClaimer(ctx, b, l, o)
	if err != nil {
		return Claim{}, err
	}
	if c.id.Endpoint != o.Endpoint {
		c.id.Probed = false // another server may treat conditions otherwise
	}
	c.b = b
	return c.claim(ctx)
}

type claimer struct {
	doc  Reader
	b    Bucket // nil where only [Look] looks
	l    Ledger
	o    Options
	id   ledger.Identity
	mark Mark
	etag string
}

func newClaimer(ctx context.Context, doc Reader, l Ledger, o Options) (*claimer, error) {
	if o.Domain == "" {
		return nil, ErrNoDomain
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	id, err := l.Identity(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the ledger's identity: %w", err)
	}
	return &claimer{doc: doc, l: l, o: o, id: id}, nil
}

func (c *claimer) claim(ctx context.Context) (Claim, error) {
	// A mark that appears between our GET and our PUT is read again, once: it is
	// either our own, whose answer was lost, or another host's.
	for range 2 {
		err := c.read(ctx)
		switch {
		case errors.Is(err, r2.ErrNotFound):
			err = c.first(ctx)
			if errors.Is(err, r2.ErrExists) {
				continue
			}
		case err == nil:
			err = c.present(ctx)
		}
		if err != nil {
			return Claim{}, err
		}
		if err := c.probe(ctx); err != nil {
			return Claim{}, err
		}
		switched, err := c.recordSwitch(ctx)
		return Claim{c.id.BucketID, c.id.Joining, switched}, err
	}
	return Claim{}, &RefusedError{
		"the owner mark appears and disappears: somebody else is writing it",
		"make sure that only one host starts its first sync at a time, then run again",
	}
}

func (c *claimer) read(ctx context.Context) error {
	data, etag, err := c.doc.GetDoc(ctx, MarkName)
	if err != nil {
		return fmt.Errorf("read the owner mark: %w", err)
	}
	c.mark, err = ParseMark(data)
	if err != nil {
		return &RefusedError{
			fmt.Sprintf("bucket %s: %s: %v", c.o.BucketName, MarkName, err),
			"a newer mediamove may have written it; update this one, or look at the object",
		}
	}
	c.etag = etag
	return nil
}

// first handles a bucket without a mark.
func (c *claimer) first(ctx context.Context) error {
	empty, err := c.l.Empty(ctx)
	if err != nil {
		return err
	}
	if !empty {
		return c.emptied()
	}
	objs, more, err := c.b.Page(ctx, 1000)
	if err != nil {
		return fmt.Errorf("look into the bucket: %w", err)
	}
	switch {
	case len(objs) == 0 && !more && c.o.Join != "":
		return c.nothingToJoin()
	case len(objs) == 0 && !more:
		return c.write(ctx)
	case !onlyMastodon(objs):
		return &RefusedError{
			fmt.Sprintf("bucket %s is not empty and holds keys that are not Mastodon's, such as %q", c.o.BucketName, foreign(objs)),
			"give mediamove a bucket of its own, or a S3_KEY_PREFIX",
		}
	case c.o.Join != c.o.BucketName:
		return &RefusedError{
			fmt.Sprintf("bucket %s already holds Mastodon media that mediamove did not put there", c.o.BucketName),
			"to adopt them type --join " + c.o.BucketName,
		}
	}
	c.id.Joining = true
	return c.write(ctx)
}

// write commits the bucket id to the ledger before the mark is sent: after a
// kill between the two, the next run finds its own id and goes on.
func (c *claimer) write(ctx context.Context) error {
	if c.id.BucketID == "" {
		c.id.BucketID = randomID()
	}
	c.id.Probed = false
	if err := c.remember(ctx); err != nil {
		return err
	}
	c.mark = Mark{BucketID: c.id.BucketID, Domain: c.o.Domain, Ledgers: []string{c.id.LedgerID}, CreatedAt: time.Now().UTC().Truncate(time.Second)}
	return c.put(ctx, "")
}

func (c *claimer) put(ctx context.Context, ifMatch string) error {
	data, err := c.mark.Encode()
	if err != nil {
		return fmt.Errorf("encode the owner mark: %w", err)
	}
	etag, err := c.b.PutDoc(ctx, MarkName, data, ifMatch)
	if err != nil && !errors.Is(err, r2.ErrFound) {
		return fmt.Errorf("write the owner mark: %w", err)
	}
	c.etag = etag
	return nil
}

// present handles a bucket that has a mark.
func (c *claimer) present(ctx context.Context) error {
	if c.mark.Domain != c.o.Domain {
		return c.otherDomain()
	}
	empty, err := c.l.Empty(ctx)
	if err != nil {
		return err
	}
	known := c.id.BucketID == c.mark.BucketID
	switch {
	case c.mark.Names(c.id.LedgerID) && (known || c.id.BucketID == ""):
		if c.o.Join != "" && c.o.Join != c.mark.BucketID && c.o.Join != c.o.BucketName {
			return c.wrongJoin()
		}
		c.id.BucketID = c.mark.BucketID
		if c.o.Join != "" {
			c.id.Joining = true // typed again: the bucket is listed again
		}
		return nil
	case !empty && !known:
		return c.otherBucket()
	case c.o.Join == c.mark.BucketID:
		return c.join(ctx)
	case c.o.Join != "":
		return c.wrongJoin()
	}
	return c.otherLedger()
}

func (c *claimer) join(ctx context.Context) error {
	// That we are joining is durable before the mark is: a kill in between must
	// not make a joined ledger look like one that filled the bucket itself.
	c.id.BucketID, c.id.Probed, c.id.Joining = c.mark.BucketID, false, true
	if err := c.remember(ctx); err != nil {
		return err
	}
	if c.mark.Names(c.id.LedgerID) {
		return nil
	}
	c.mark.Ledgers = append(c.mark.Ledgers, c.id.LedgerID)
	return c.put(ctx, c.etag)
}

// probe proves that this server refuses a conditional write of an existing key.
// Without that, "never overwrite" would be a wish. The probe sends the mark's
// own bytes, so that a server which ignores the condition changes nothing.
func (c *claimer) probe(ctx context.Context) error {
	if c.id.Probed {
		return c.remember(ctx)
	}
	data, err := c.mark.Encode()
	if err != nil {
		return fmt.Errorf("encode the owner mark: %w", err)
	}
	for range probes {
		select {
		case <-time.After(c.o.ProbeDelay):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		_, err = c.b.PutDoc(ctx, MarkName, data, "")
		switch {
		case errors.Is(err, r2.ErrExists):
			c.id.Probed = true
			return c.remember(ctx)
		case errors.Is(err, r2.ErrFound): // its answer was lost: that tells nothing
		case err != nil:
			return fmt.Errorf("probe conditional writes: %w", err)
		default:
			return c.careless()
		}
	}
	return fmt.Errorf("probe conditional writes: %w", err)
}

// probes is how often the probe is repeated when its answer gets lost.
const probes = 5

// remember commits what the ledger must know, if anything changed.
func (c *claimer) remember(ctx context.Context) error {
	c.id.Domain, c.id.Endpoint, c.id.Bucket, c.id.Prefix = c.o.Domain, c.o.Endpoint, c.o.BucketName, c.o.Prefix
	if err := c.l.SetIdentity(ctx, c.id); err != nil {
		return fmt.Errorf("record the bucket in the ledger: %w", err)
	}
	return nil
}

func onlyMastodon(objs []r2.Object) bool {
	for _, o := range objs {
		if o.Key.Class() == "" {
			return false
		}
	}
	return true
}

func foreign(objs []r2.Object) string {
	for _, o := range objs {
		if o.Key.Class() == "" {
			return string(o.Key)
		}
	}
	return ""
}

func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

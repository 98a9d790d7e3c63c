package owner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/r2"
)

// A CleaningLedger also keeps its side of the cleaning counter.
type CleaningLedger interface {
	Ledger
	Cleaning(ctx context.Context) (ledger.Cleaning, error)
	SetCleaning(ctx context.Context, c ledger.Cleaning) error // durable when it returns
}

// HostHash is how a host stands in a mark that anybody may read: SHA-256 in hex over
// its machine id, salted with the bucket's, so that two buckets' marks don't tell that
// they are one host's. It is "" for an empty machine id, and nothing is ever bound to "".
func HostHash(bucketID, machineID string) string {
	return hash("mediamove host", bucketID, machineID)
}

// LedgerHash is the same for a ledger's id.
func LedgerHash(bucketID, ledgerID string) string {
	return hash("mediamove ledger", bucketID, ledgerID)
}

// hash has the lengths in it, so that no two triples are hashed alike.
func hash(label, salt, id string) string {
	if id == "" {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d:%s %d:%s", label, len(salt), salt, len(id), id))
	return hex.EncodeToString(sum[:])
}

// A BindRequest says what [Bind] ties the bucket to.
type BindRequest struct {
	Database string // hash of the database's identity
	Host     string // [HostHash] of this machine
	TakeOver bool   // although another host or ledger is bound, or this one lost count
}

// Bind writes into the mark that this database is the bucket's, and this host with
// this ledger the one that may clean (one GET, a probe and one conditional PUT). A
// person has seen what is tied together: another database is replaced without a word.
//
// It refuses where [Look] refuses; where another host or ledger is bound, or where the
// counter is not the one this ledger remembers, unless o.TakeOver; and where the server
// ignores If-Match, without which the counter would count nothing. Those are a
// [*RefusedError]. Whoever was bound before is refused by its next [Raise].
func Bind(ctx context.Context, b Bucket, l CleaningLedger, o Options, want BindRequest) (Mark, error) {
	if want.Database == "" || want.Host == "" {
		return Mark{}, errors.New("bind: the hash of the database or of the host is empty")
	}
	c, err := newCleaner(ctx, b, l, o)
	if err != nil {
		return Mark{}, err
	}
	err = c.repeat(ctx, func(ctx context.Context) (bool, error) { return c.bind(ctx, want) })
	return c.mark, err
}

// bind makes one attempt and reports whether the mark is bound.
func (c *cleaner) bind(ctx context.Context, want BindRequest) (bool, error) {
	if err := c.see(ctx); err != nil {
		return false, err
	}
	books, err := c.books(ctx)
	if err != nil {
		return false, err
	}
	if err := c.mayBind(books, want); err != nil {
		return false, err
	}
	if !c.heeds {
		c.heeds, err = c.heedsIfMatch(ctx)
		return false, err // again from the start: the probe took its time
	}
	next := c.mark.counted() + 1
	token := randomID()
	switch b := c.mark.Binding; {
	case b != nil && atIntent(b, books):
		books.Count, books.Token = b.Count, b.Token
	case books.Open && books.NextCount == next:
		token = books.NextToken // its write may still be on its way, and must count as ours
	}
	books = ledger.Cleaning{Count: books.Count, Token: books.Token, Open: true, NextCount: next, NextToken: token}
	c.mark.tied = nil // said of another binding
	c.mark.Binding = &Binding{
		Database: want.Database, Host: want.Host, Ledger: LedgerHash(c.mark.BucketID, c.id.LedgerID),
		Count: next, Token: token, BoundAt: time.Now().UTC().Truncate(time.Second),
	}
	end, err := c.count(ctx, books)
	return end != refused, err
}

// mayBind refuses to push somebody else aside unasked.
func (c *cleaner) mayBind(books ledger.Cleaning, want BindRequest) error {
	b := c.mark.Binding
	if want.TakeOver || !b.whole() {
		return nil
	}
	return Tie{b.Database, want.Host}.holds(c.mark, c.id.LedgerID, books)
}

// heedsIfMatch asks the server to replace the mark by itself on a condition that does
// not hold, so that a server which ignores it changes nothing.
func (c *cleaner) heedsIfMatch(ctx context.Context) (bool, error) {
	data, err := c.mark.Encode()
	if err != nil {
		return false, fmt.Errorf("encode the owner mark: %w", err)
	}
	_, err = c.b.PutDoc(ctx, MarkName, data, noSuchETag)
	switch {
	case errors.Is(err, r2.ErrChanged):
		return true, nil
	case errors.Is(err, r2.ErrFound): // its answer was lost: that tells nothing
		return false, nil
	case err != nil:
		return false, fmt.Errorf("probe conditional writes: %w", err)
	}
	return false, c.heedless()
}

// noSuchETag has the form of one; no document is known to have it.
const noSuchETag = "00000000000000000000000000000000"

// CheckBound reports whether this run may clean: nil, or a [*RefusedError] with the
// reason. It only compares; what was raised since m was read it can't know. The hashes
// are those of the database that is open now and of this machine ([HostHash]).
func CheckBound(ctx context.Context, m Mark, l CleaningLedger, database, host string) error {
	id, err := l.Identity(ctx)
	if err != nil {
		return fmt.Errorf("read the ledger's identity: %w", err)
	}
	books, err := cleaning(ctx, l)
	if err != nil {
		return err
	}
	return Tie{database, host}.holds(m, id.LedgerID, books)
}

// cleaning reads the ledger's side of the counter; zero if it was never bound.
func cleaning(ctx context.Context, l CleaningLedger) (ledger.Cleaning, error) {
	books, err := l.Cleaning(ctx)
	if err != nil && !errors.Is(err, ledger.ErrUnknown) {
		return ledger.Cleaning{}, fmt.Errorf("read the ledger's cleaning counter: %w", err)
	}
	return books, nil
}

// holds compares both sides, the plainest difference first.
func (t Tie) holds(m Mark, ledgerID string, books ledger.Cleaning) error {
	b := m.Binding
	switch {
	case !b.whole():
		return neverBound()
	case b.Database != t.Database:
		return otherDatabase()
	case b.Host != t.Host:
		return otherHost()
	case b.Ledger != LedgerHash(m.BucketID, ledgerID):
		return otherCleaner()
	case !at(b, books) && !atIntent(b, books):
		return lostCount(b, books)
	}
	return nil
}

// whole reports whether the bucket is bound: what is empty would fit what is empty.
func (b *Binding) whole() bool {
	return b != nil && b.Database != "" && b.Host != "" && b.Ledger != "" && b.Token != ""
}

// at reports whether the mark has the counter that the ledger has confirmed.
func at(b *Binding, c ledger.Cleaning) bool { return b.Count == c.Count && b.Token == c.Token }

// atIntent reports whether the mark has what the ledger was about to write.
func atIntent(b *Binding, c ledger.Cleaning) bool {
	return c.Open && b.Count == c.NextCount && b.Token == c.NextToken
}

// counted is how often the bucket was bound or cleaned.
func (m Mark) counted() int64 {
	if m.Binding == nil {
		return 0
	}
	return m.Binding.Count
}

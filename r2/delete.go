package r2

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// MaxBatch is how many keys one [Bucket.DeleteBatch] takes: S3's and R2's limit.
const MaxBatch = 1000

// ownFolder holds our documents. No deletion may ever reach the owner mark.
const ownFolder = ".mediamove/"

// Delete removes the object under key, whatever it holds (free on R2). One that is
// gone already is a success. The key goes in the URL, so every key that
// [media.CheckKey] takes is that very key; documents of ours are refused.
//
// A request may wait through an outage. What makes the deletion right may be over by
// then: give ctx a deadline. After any error but a refusal the object may be gone or not.
func (b *Bucket) Delete(ctx context.Context, key media.Key) error {
	if err := b.deletable(key); err != nil {
		return &Error{Op: costs.DeleteObject, Key: key, Err: err}
	}
	err := b.run(ctx, &job{op: costs.DeleteObject, key: key, send: func(ctx context.Context) (int64, error) {
		return 0, b.sendDelete(ctx, key)
	}})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// deletable refuses what must not, or can't safely, be named in a deletion: a proxy
// may fold empty and dot segments of a path into another key.
func (b *Bucket) deletable(key media.Key) error {
	if strings.HasPrefix(string(key), ownFolder) {
		return errors.New("this document is ours")
	}
	return media.CheckKey(b.objectKey(key))
}

// sendDelete makes one attempt.
func (b *Bucket) sendDelete(ctx context.Context, key media.Key) error {
	resp, err := b.lean.delete(ctx, b.objectKey(key))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if exchangeOf(ctx).fault != nil {
		return nil // judged from the exchange
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1))
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusNoContent, resp.StatusCode == http.StatusOK && len(body) == 0:
		return nil
	default: // a page of something that stands in between says 200 too
		return oddAnswer("status %d and a body for a DELETE", resp.StatusCode)
	}
}

// Batchable reports whether k may be named in a batch: the characters of Mastodon's
// own keys, A-Z a-z 0-9 _ @ . / -, in at least two segments, none of which is empty
// or begins with a dot. In the XML of a batch other characters have become other
// keys: encoders replace control characters, R2 trimmed spaces until 2022-08-17, and
// so deleted the neighbour.
func Batchable(k media.Key) bool {
	s := string(k)
	if len(s) > media.MaxKeyLen || !strings.Contains(s, "/") || strings.ContainsFunc(s, unbatchable) {
		return false
	}
	for segment := range strings.SplitSeq(s, "/") {
		if segment == "" || segment[0] == '.' {
			return false
		}
	}
	return true
}

func unbatchable(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_@./-", r)
}

// DeleteBatch removes up to [MaxBatch] distinct [Batchable] objects in one request;
// those that are gone already count as removed. R2's price list doesn't name this
// operation: it counts as one Class A. It returns an error or nil for each key, in
// the order of keys:
//
//   - ErrLocked, ErrDenied: the server refused this one, it is still there.
//   - ErrTransient: it said it couldn't just now.
//   - ErrNonsense: it didn't say, or said it twice; the object may be gone or not.
//
// An error of the whole is [ErrNoBatch] if the server doesn't take batches, or not
// this one: [Bucket.Delete] may do. Then nothing is removed, but by an earlier attempt
// whose answer was lost. After any other the objects may be gone or not. A batch may be sent again; for ctx see Delete.
func (b *Bucket) DeleteBatch(ctx context.Context, keys []media.Key) ([]error, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	d := &deletion{b: b, keys: keys}
	if err := d.prepare(); err != nil {
		return nil, err
	}
	if err := b.run(ctx, &job{op: costs.DeleteObjects, send: d.send}); err != nil {
		return nil, noBatch(err)
	}
	return d.errs, nil
}

// A deletion is one DeleteBatch under way.
type deletion struct {
	b    *Bucket
	keys []media.Key
	at   map[string]int // index by full key
	body []byte
	errs []error
}

// prepare refuses a batch that could name what it doesn't mean, and writes it.
func (d *deletion) prepare() error {
	fail := func(k media.Key, err error) error { return &Error{Op: costs.DeleteObjects, Key: k, Err: err} }
	if len(d.keys) > MaxBatch {
		return fail("", fmt.Errorf("more than %d keys", MaxBatch))
	}
	d.at = make(map[string]int, len(d.keys))
	full := make([]string, len(d.keys))
	for i, k := range d.keys {
		if !Batchable(k) {
			return fail(k, errors.New("not fit for a batch"))
		}
		full[i] = d.b.objectKey(k)
		if !Batchable(media.Key(full[i])) { // it is the prefix then
			return fail(k, fmt.Errorf("%w: the prefix isn't fit for it", ErrNoBatch))
		}
		if _, twice := d.at[full[i]]; twice {
			return fail(k, errors.New("twice in one batch"))
		}
		d.at[full[i]] = i
	}
	d.body = deleteOrder(full)
	return nil
}

// deleteOrder is the body of a DeleteObjects. Quiet stays off: every key must be
// echoed (R2 does so in any case). Nothing in a batchable key needs an escape.
func deleteOrder(keys []string) []byte {
	var s strings.Builder
	s.WriteString(`<?xml version="1.0" encoding="UTF-8"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`)
	for _, k := range keys {
		s.WriteString("<Object><Key>" + k + "</Key></Object>")
	}
	s.WriteString("</Delete>")
	return []byte(s.String())
}

// send makes one attempt. S3 demands a digest here. Content-MD5 it is: every server
// knows it, R2 has refused the SDK's CRC32, and both at once it refuses.
func (d *deletion) send(ctx context.Context) (int64, error) {
	sum, hash := md5.Sum(d.body), sha256.Sum256(d.body)
	h := http.Header{
		"Content-Md5":  {base64.StdEncoding.EncodeToString(sum[:])},
		"Content-Type": {"application/xml"},
		hashHeader:     {hexString(hash[:])},
	}
	resp, err := d.b.lean.deleteMany(ctx, h, d.body)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if exchangeOf(ctx).fault != nil {
		return 0, nil // judged from the exchange
	}
	if resp.StatusCode != http.StatusOK {
		return 0, oddAnswer("status %d for a batch", resp.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		return 0, err
	}
	echoes, err := parseDeleted(text)
	if err != nil {
		return 0, err
	}
	d.errs, err = d.settle(echoes)
	return 0, err
}

// settle holds what was echoed against what was asked for.
func (d *deletion) settle(echoes []echo) ([]error, error) {
	errs, times := make([]error, len(d.keys)), make([]int, len(d.keys))
	for _, e := range echoes {
		i, asked := d.at[e.key]
		if !asked {
			return nil, oddAnswer("key %q wasn't asked for", e.key)
		}
		times[i]++
		if e.failed {
			errs[i] = d.b.spared(d.keys[i], e)
		}
	}
	if len(echoes) == 0 {
		return nil, oddAnswer("it doesn't name one key")
	}
	for i, n := range times {
		if n != 1 {
			errs[i] = &Error{Op: costs.DeleteObjects, Key: d.keys[i], Err: oddAnswer("echoed %d times", n)}
		}
	}
	return errs, nil
}

// spared is why one key of a batch was refused, judged as if it stood alone.
func (b *Bucket) spared(key media.Key, e echo) error {
	f := &failure{err: &Error{Op: costs.DeleteObjects, Key: key}}
	b.refused(&job{op: costs.DeleteObjects, key: key}, &fault{status: impliedStatus(e.code), code: e.code, message: e.message, s3: true}, f)
	switch {
	case errors.Is(f.err.Err, ErrNotFound):
		return nil
	case f.retry:
		f.err.Err = ErrTransient
	}
	return f.err
}

// noBatch adds ErrNoBatch to a refusal that concerns batches, not the objects or us.
func noBatch(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	switch {
	case errors.Is(e.Err, ErrLocked): // one of them is, and no other may go
		e.Err = because{e.Err, ErrNoBatch}
	case e.Err != nil && !errors.Is(e.Err, ErrNotFound):
	case e.Status >= 400 && e.Status < 500, e.Status == http.StatusNotImplemented:
		e.Err = ErrNoBatch
	}
	return err
}

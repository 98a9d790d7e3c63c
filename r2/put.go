package r2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// SinglePutMax is the largest file that goes in one PUT: one Class A, and an
// ETag that is the MD5. R2 would take 4.995 GiB; beyond this size losing a
// whole attempt costs more than some parts.
const SinglePutMax = 100 << 20

// An Upload is a file's bytes with what to store beside them.
type Upload struct {
	Key         media.Key
	Size        int64 // bytes of Body
	MD5         [16]byte
	SHA256      [32]byte
	ContentType string
	ModTime     time.Time
	Body        io.ReaderAt // not read after Put returns
	IfMatch     string      // unquoted ETag of the object to replace; "" creates (If-None-Match: *)

	// Header, if not nil, is stored instead of ContentType, our Cache-Control and our
	// metadata, so that an object is put back as it was: the [Head]'s. Names that
	// aren't in one are not sent.
	Header http.Header

	// Before, if set, is asked right before every request that would make the
	// object or a part of it: its error ends the upload and nothing more is sent. A
	// request may have waited for hours; what was public then may be hidden now.
	// If an earlier attempt was stored all the same, the result is that of a Put
	// that found it.
	Before func() error

	document bool // ours, not media
}

// Stored is an object that the bucket holds now.
type Stored struct {
	Object
	// Found: its answer was lost, or it arrived late; our bytes were found
	// there by HEAD.
	Found bool
}

// Put stores u in one request, and repeats it until it is stored or hopeless.
// The answer's ETag must be u.MD5. After a lost answer it looks before it
// sends again.
//
// ErrExists and ErrChanged say that the condition was refused, ErrBadDigest
// that other bytes arrived than were hashed, ErrSource that they couldn't be read.
func (b *Bucket) Put(ctx context.Context, u Upload) (Stored, error) {
	p := &putting{b: b, u: &u, etag: hexString(u.MD5[:]), sha256: hexString(u.SHA256[:])}
	j := &job{op: costs.PutObject, key: u.Key, before: u.Before, send: p.send, again: p.again, condition: refusal(u.IfMatch)}
	if err := media.CheckKey(b.objectKey(u.Key)); err != nil {
		return Stored{}, &Error{Op: j.op, Key: j.key, Err: err}
	}
	if err := p.settle(ctx, b.run(ctx, j)); err != nil {
		return Stored{}, err
	}
	return p.stored, nil
}

// refusal tells what a refused condition means: with If-Match 412, or 404 if
// the object is gone; with If-None-Match 412.
func refusal(ifMatch string) func(status int) error {
	return func(status int) error {
		switch {
		case status == http.StatusPreconditionFailed && ifMatch == "":
			return ErrExists
		case status == http.StatusPreconditionFailed:
			return ErrChanged
		case status == http.StatusNotFound && ifMatch != "":
			return because{fmt.Errorf("%w: it is gone", ErrChanged), ErrNotFound}
		default:
			return nil
		}
	}
}

// A putting is one Put under way.
type putting struct {
	b            *Bucket
	u            *Upload
	etag, sha256 string
	unsure       bool // an earlier attempt may have been stored
	stored       Stored
}

// send makes one attempt.
func (p *putting) send(ctx context.Context) (int64, error) {
	body, err := p.b.pack(ctx, p.u)
	if err != nil {
		return 0, err
	}
	resp, err := p.b.lean.put(ctx, p.b.objectKey(p.u.Key), p.b.headers(p.u, p.sha256), body.reader, p.u.Size)
	if err != nil {
		return 0, body.failed(err)
	}
	defer func() { _ = resp.Body.Close() }()
	defer body.shut()
	if exchangeOf(ctx).fault != nil {
		return 0, nil // judged from the exchange
	}
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxFault)); err != nil {
		return 0, err
	}
	if err := p.check(resp); err != nil {
		return 0, err
	}
	body.recycle(&p.b.buffers)
	p.stored = Stored{Object: Object{Key: p.u.Key, Size: p.u.Size, ETag: p.etag, LastModified: date(resp.Header)}}
	return p.u.Size, nil
}

// check holds a success against what was sent.
func (p *putting) check(resp *http.Response) error {
	switch etag := unquote(resp.Header.Get("ETag")); {
	case resp.StatusCode != http.StatusOK:
		return oddAnswer("status %d for a PUT", resp.StatusCode)
	case etag == "":
		return oddAnswer("no ETag")
	case etag != p.etag:
		return oddAnswer("ETag is %q, the MD5 of what was sent %q", p.b.hush.text(etag), p.etag)
	}
	return nil
}

// again looks whether an attempt without an answer did store the object.
func (p *putting) again(ctx context.Context, last *failure) (bool, error) {
	// After a 5xx the next PUT asks as well as a HEAD would, and mostly stores;
	// only silence is worth a look first.
	p.unsure = p.unsure || last.lost || last.unsure
	if !last.lost {
		return false, nil
	}
	return p.look(ctx)
}

// settle looks once more if the condition was refused, or the caller called it
// off, after an earlier attempt that may have been stored: it may be our own object
// that took the key, or one that nobody would know of.
func (p *putting) settle(ctx context.Context, err error) error {
	open := errors.Is(err, ErrExists) || errors.Is(err, ErrChanged) || errors.Is(err, errNoUpload) || errors.Is(err, errCalledOff)
	if !p.unsure || !open || p.stored.Found {
		return err
	}
	found, lookErr := p.look(ctx)
	if found {
		return nil
	}
	if lookErr != nil {
		return lookErr
	}
	return err
}

// look compares by HEAD. Other bytes than ours settle the matter too, except
// those that If-Match means to replace.
func (p *putting) look(ctx context.Context) (bool, error) {
	h, err := p.b.head(ctx, p.u.Key)
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case h.ETag == p.etag && p.u.IfMatch == p.etag:
		return false, nil // damaged bytes are replaced by those they were: the ETag tells nothing
	// Both: an MD5 alone would be enough, if every server's ETag were one.
	case h.ETag == p.etag && h.Size == p.u.Size:
		p.stored = Stored{Object: h.Object, Found: true}
		return true, nil
	case p.u.IfMatch == "":
		p.unsure = false
		return false, &Error{Op: costs.PutObject, Key: p.u.Key, Err: ErrExists}
	case h.ETag != p.u.IfMatch:
		p.unsure = false
		return false, &Error{Op: costs.PutObject, Key: p.u.Key, Err: ErrChanged}
	default:
		return false, nil
	}
}

// date is the answer's Date, the closest thing to the object's LastModified
// that a PUT tells; zero if it has none.
func date(h http.Header) time.Time {
	t, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t
}

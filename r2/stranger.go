package r2

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

const (
	// maxVisits is how often a stranger asks. More would hide a host that most
	// visitors find broken.
	maxVisits = 3
	visitWait = time.Second
)

// A stranger asks without credentials. What it gets mostly comes from a cache,
// so the bucket's pace says nothing of it.
type stranger struct {
	wire    *wire
	hush    *redactor
	log     *slog.Logger
	host    string
	setting string // that names the host, as Mastodon calls it
}

// A question is one GET of a stranger.
type question struct {
	op     costs.Op
	key    media.Key // for errors; "" if it isn't about one
	url    *url.URL
	origin string // the web page that asks; "" for none
}

// ask sends q, and again after a lost connection or a refusal that may be gone in
// a moment. Only the lack of any answer is an error. The caller closes the body,
// which for a refusal is in memory.
func (s *stranger) ask(ctx context.Context, q question) (*http.Response, error) {
	for n := 1; ; n++ {
		resp, f := s.attempt(ctx, q)
		last := !f.retry || n == maxVisits || f.after > maxWait
		if last && f.err != nil {
			return nil, f.err
		}
		if last {
			return resp, nil
		}
		s.log.DebugContext(ctx, "asking again", "host", s.host, "key", string(q.key))
		d := visitWait << (n - 1)
		if err := sleep(ctx, max(d+rand.N(d/2), f.after)); err != nil {
			return nil, &Error{Op: q.op, Key: q.key, Err: err}
		}
	}
}

// attempt asks once. Of the failure only err, retry and after are of use here; err
// is nil if there was an answer.
func (s *stranger) attempt(ctx context.Context, q question) (*http.Response, failure) {
	x := &exchange{op: q.op}
	req := (&http.Request{Method: http.MethodGet, URL: q.url, Host: q.url.Host, Header: make(http.Header)}).
		WithContext(context.WithValue(ctx, exchangeKey{}, x))
	if q.origin != "" {
		req.Header.Set("Origin", q.origin)
	}
	resp, err := s.wire.Do(req)
	if err == nil {
		return s.answered(resp, x, q)
	}
	e := &Error{Op: q.op, Key: q.key, Err: s.hush.told(err)}
	switch {
	case ctx.Err() != nil:
		e.Err = context.Cause(ctx)
	case !x.tried:
	default:
		e.Message = misdirected(err, s.host, s.setting, s.wire.met.Load())
		if e.Message == "" {
			return nil, failure{err: e, retry: true}
		}
		e.Err = because{e.Err, ErrEndpoint}
	}
	return nil, failure{err: e}
}

// answered has the body watched, and decides whether another try may bring more.
func (s *stranger) answered(resp *http.Response, x *exchange, q question) (*http.Response, failure) {
	v := &visiting{ReadCloser: resp.Body, from: resp.Body, q: q, hush: s.hush}
	resp.Body = v
	switch {
	case x.fault != nil:
		busy := x.fault.status == http.StatusTooManyRequests || retryable(x.fault)
		return resp, failure{retry: busy, after: x.fault.after}
	case resp.ContentLength >= 0:
		v.from = &exactly{v.ReadCloser, resp.ContentLength}
	}
	return resp, failure{}
}

// A visiting is the body of an answer.
type visiting struct {
	io.ReadCloser

	from io.Reader
	q    question
	hush *redactor
}

// Read implements io.Reader.
func (v *visiting) Read(p []byte) (int, error) {
	n, err := v.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &Error{Op: v.q.op, Key: v.q.key, Err: v.hush.told(err)}
	}
	return n, err
}

// lists asks u for a listing, and returns the answer's status with the verdict. The
// error is the lack of an answer, or of one that came in full.
func (s *stranger) lists(ctx context.Context, u *url.URL) (shown bool, status int, err error) {
	// Counted as what a listing costs; a refused one isn't charged.
	resp, err := s.ask(ctx, question{op: costs.ListObjects, url: u})
	if err != nil {
		return false, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	shown, err = isListing(resp)
	return shown, resp.StatusCode, err
}

// unclear is the error for an answer that settles nothing.
func (s *stranger) unclear(status int) error {
	return &Error{Op: costs.ListObjects, Status: status, Message: s.host + " gave no answer that tells whether strangers may list"}
}

// maxProlog is how far into a document its first element is looked for.
const maxProlog = 64 << 10

// isListing reports whether resp is S3's listing of a bucket, of either version.
func isListing(resp *http.Response) (bool, error) {
	if resp.StatusCode != http.StatusOK {
		return false, nil
	}
	d := xml.NewDecoder(io.LimitReader(resp.Body, maxProlog))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // the name is ASCII in any
	for {
		token, err := d.RawToken()
		if start, ok := token.(xml.StartElement); ok {
			return start.Name.Local == "ListBucketResult", nil
		}
		if _, broken := errors.AsType[*xml.SyntaxError](err); broken || errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}

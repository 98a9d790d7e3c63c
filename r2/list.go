package r2

import (
	"bytes"
	"context"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// List yields the objects below prefix in key order, a page of 1,000 per
// Class A. It never ends early without an error: a listing that is not
// credible in every page must not look like a short one.
//
// While the caller works on a page the next one is fetched, so a caller that
// stops early may have paid for one more. Two pages are in memory at most.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		l := &listing{b: b, prefix: b.below(prefix)}
		ahead := l.fetch(ctx)
		defer func() { // nothing goes on behind the caller's back
			cancel()
			<-ahead
		}()
		for more := true; more; {
			got := <-ahead
			if got.err != nil {
				yield(Object{}, got.err)
				return
			}
			if more = l.token != ""; more {
				ahead = l.fetch(ctx)
			}
			for _, o := range got.objs {
				if !yield(o, nil) {
					return
				}
			}
		}
	}
}

// Page returns the first limit objects (1 to 1,000) and whether there are more:
// one Class A, to see what kind of bucket this is.
func (b *Bucket) Page(ctx context.Context, limit int) (objs []Object, more bool, err error) {
	l := &listing{b: b, prefix: b.below("")}
	objs, err = l.next(ctx, limit)
	return objs, l.token != "", err
}

// below returns the full prefix of what lies below prefix.
func (b *Bucket) below(prefix string) string {
	if b.prefix == "" {
		return prefix
	}
	return b.prefix + "/" + prefix
}

// A listing is one walk over the pages.
type listing struct {
	b      *Bucket
	prefix string
	token  string // of the next page; "" at the start and the end
	last   string // the last key seen, as it is in the bucket

	// Memory that is used again: the caller has one of objs, the next page fills
	// the other.
	body    bytes.Buffer
	page    page
	objs    [2][]Object
	turn    int
	scratch []byte
}

// fetched is what became of a page.
type fetched struct {
	objs []Object
	err  error
}

// fetch gets the next page in the background. The listing is the goroutine's until
// the channel has told; afterwards it is closed.
func (l *listing) fetch(ctx context.Context) <-chan fetched {
	c := make(chan fetched, 1)
	go func() {
		defer close(c)
		objs, err := l.next(ctx, 1000)
		c <- fetched{objs, err}
	}()
	return c
}

// next gets the next page. The objects are valid until the page after next.
func (l *listing) next(ctx context.Context, limit int) (objs []Object, err error) {
	q := url.Values{
		"list-type":     {"2"},
		"max-keys":      {strconv.Itoa(min(limit, 1000))},
		"encoding-type": {"url"}, // one control character in a key would make the whole page unreadable
	}
	if l.prefix != "" {
		q.Set("prefix", l.prefix)
	}
	if l.token != "" {
		q.Set("continuation-token", l.token)
	}
	l.turn = 1 - l.turn
	err = l.b.run(ctx, &job{op: costs.ListObjects, send: func(ctx context.Context) (int64, error) {
		return 0, l.send(ctx, q)
	}})
	if err != nil {
		return nil, err
	}
	return l.objs[l.turn], nil
}

// send makes one attempt.
func (l *listing) send(ctx context.Context, q url.Values) error {
	resp, err := l.b.lean.list(ctx, q)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if exchangeOf(ctx).fault != nil {
		return nil // judged from the exchange
	}
	if resp.StatusCode != http.StatusOK {
		return oddAnswer("status %d for a listing", resp.StatusCode)
	}
	l.body.Reset()
	if _, err := l.body.ReadFrom(io.LimitReader(resp.Body, maxPage+1)); err != nil {
		return err
	}
	if l.body.Len() > maxPage {
		return oddAnswer("page of more than %d bytes", maxPage)
	}
	if err := l.page.parse(l.body.Bytes()); err != nil {
		return err
	}
	return l.take(&l.page)
}

// take checks a page and moves on only if all of it is credible.
func (l *listing) take(p *page) error {
	if err := p.check(l.b.name, l.token); err != nil {
		return err
	}
	objs, last := l.objs[l.turn][:0], l.last
	for i := range p.contents {
		o, key, err := l.object(p, &p.contents[i])
		if err != nil {
			return err
		}
		// Other servers order keys by their bytes. R2 keeps one object for all
		// spellings that are the same in NFC, and shows the one that was sent last.
		if key <= last && media.Normal(key) <= media.Normal(last) {
			return oddAnswer("key %q comes after %q", key, last)
		}
		objs, last = append(objs, o), key
	}
	// Only now: a page that is tried again must start from the same place.
	l.objs[l.turn], l.last, l.token = objs, last, string(p.token)
	return nil
}

// object makes an object of c, and returns its key as it is in the bucket. One
// string backs both and the ETag, and nothing else, so that a caller may keep it.
func (l *listing) object(p *page, c *content) (o Object, key string, err error) {
	plain, ok := p.plainKey(c)
	if !ok {
		return o, "", oddAnswer("key %q isn't URL-encoded as announced", c.key)
	}
	etag := bytes.Trim(bytes.TrimPrefix(c.etag, []byte("W/")), `"`)
	l.scratch = append(append(l.scratch[:0], plain...), etag...)
	all := string(l.scratch)
	key = all[:len(plain)]
	switch {
	case key == "" || !strings.HasPrefix(key, l.prefix):
		return o, key, oddAnswer("key %q wasn't asked for", key)
	case c.size < 0 || len(etag) == 0 || c.modified.IsZero():
		return o, key, oddAnswer("key %q has no size, ETag or date", key)
	}
	o = Object{Key: media.Key(key), Size: c.size, ETag: all[len(plain):], LastModified: c.modified}
	if l.b.prefix != "" {
		o.Key = media.Key(key[len(l.b.prefix)+1:])
	}
	return o, key, nil
}

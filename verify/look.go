package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// LookAtHeaders asks for the headers of about n objects (one Class B each). Objects
// that another tool put there often lack those that Mastodon writes. Of those that
// this run has read back the headers are known.
func (v *Verifier) LookAtHeaders(ctx context.Context, n int64, seed uint64) error {
	chosen, _, err := v.choose(ctx, n, seed)
	if err != nil {
		return err
	}
	v.enter(Looking)
	v.stats.read.Store(0)
	v.stats.toRead.Store(int64(len(chosen)))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(v.Workers)
	for _, e := range chosen {
		if v.read(e.File.Key) {
			v.stats.read.Add(1)
			continue
		}
		g.Go(func() error { return v.lookAtOne(gctx, e.File.Key) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

func (v *Verifier) lookAtOne(ctx context.Context, k media.Key) error {
	doubted, err := v.inDoubt(ctx, k)
	if err != nil || doubted {
		return err
	}
	head, err := v.Bucket.Head(ctx, k)
	v.stats.read.Add(1)
	switch {
	case err == nil:
		return v.headersOf(ctx, k, head, nil)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case r2.Stops(err):
		return err
	case errors.Is(err, r2.ErrNotFound):
		v.unknown(fmt.Sprintf("look at %s: listed, and gone now", k))
		return nil
	}
	v.unknown(err.Error())
	return nil
}

// headersOf checks what an object is served with. first are its first bytes, nil if
// they were not read.
func (v *Verifier) headersOf(ctx context.Context, k media.Key, h r2.Head, first []byte) error {
	wrong := wrongHeaders(k, h.ContentType, h.CacheControl, first)
	v.mu.Lock()
	v.report.Headers.Asked++
	if wrong == "" {
		v.report.Headers.Fine++
	} else {
		v.report.Counts[BadHeaders]++
	}
	v.mu.Unlock()
	if wrong == "" {
		return nil
	}
	return v.note(ctx, k, because(BadHeaders, "other headers than Mastodon writes", "%s", wrong), ledger.ListedObject{Size: h.Size, ETag: h.ETag})
}

// wrongHeaders says what differs from what Mastodon would have written; "" is
// nothing. Where neither name nor bytes tell the type, any is right.
func wrongHeaders(k media.Key, contentType, cacheControl string, first []byte) string {
	var wrong []string
	if want, ok := media.ContentType(k, first); ok && !sameType(contentType, want) && (first != nil || !alsoFits(k, contentType)) {
		wrong = append(wrong, fmt.Sprintf("Content-Type is %q, Mastodon writes %q", contentType, want))
	}
	if cacheControl != media.CacheControl {
		wrong = append(wrong, fmt.Sprintf("Cache-Control is %q, Mastodon writes %q", cacheControl, media.CacheControl))
	}
	return strings.Join(wrong, "; ")
}

// sameType compares media types without their parameters.
func sameType(a, b string) bool {
	a, _, _ = strings.Cut(a, ";")
	return strings.EqualFold(strings.TrimSpace(a), b)
}

// alsoFits reports whether contentType is right for a k whose name may lie about it
// (Mastodon: lib/paperclip/gif_transcoder.rb), as far as that shows without its bytes.
func alsoFits(k media.Key, contentType string) bool {
	for _, head := range []string{"GIF89a", "\xff\xd8\xff", "\x89PNG\r\n\x1a\n", "RIFF\x00\x00\x00\x00WEBP"} {
		if t, ok := media.ContentType(k, []byte(head)); ok && sameType(contentType, t) {
			return true
		}
	}
	return false
}

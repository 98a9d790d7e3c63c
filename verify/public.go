package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// A Front is what visitors see of the bucket.
type Front interface {
	Get(ctx context.Context, k media.Key, origin string) (r2.Visit, error)
	Lists(ctx context.Context) (bool, error)
}

// An Anonymous is the bucket's own endpoint without credentials.
type Anonymous interface {
	AnonymousList(ctx context.Context) (bool, error)
}

// A Tour says what to look at through the public host.
type Tour struct {
	Front    Front
	Endpoint Anonymous
	Origin   string // of the instance's pages, e.g. https://social.example
	Objects  int64  // about how many
	Seed     uint64
}

// LookInPublic visits a sample of every class as a browser would, and every key below
// backups/ and imports/, which nobody may get. What it finds is what visitors see,
// through whatever caches stand in between.
func (v *Verifier) LookInPublic(ctx context.Context, t Tour) error {
	v.enter(Looking)
	if err := v.nobodyLists(ctx, t); err != nil {
		return err
	}
	chosen, _, err := v.choose(ctx, t.Objects, t.Seed)
	if err != nil {
		return err
	}
	v.stats.read.Store(0)
	v.stats.toRead.Store(int64(len(chosen)))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(min(v.Workers, 8)) // a visitor, not a storm
	for _, e := range chosen {
		g.Go(func() error { return v.visit(gctx, t, &e) })
	}
	for l, err := range v.private.Sorted(ctx) {
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		g.Go(func() error { return v.visitPrivate(gctx, t, l.Key) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// nobodyLists makes sure that strangers can't ask what there is.
func (v *Verifier) nobodyLists(ctx context.Context, t Tour) error {
	var open []string
	for _, place := range []struct {
		name string
		asks func(context.Context) (bool, error)
	}{
		{"the public host", t.Front.Lists},
		{"the bucket's endpoint", t.Endpoint.AnonymousList},
	} {
		lists, err := place.asks(ctx)
		if err != nil || ctx.Err() != nil {
			if err := v.unanswered(ctx, fmt.Sprintf("ask %s for a listing", place.name), err); err != nil {
				return err
			}
		} else if lists {
			open = append(open, place.name)
		}
	}
	if len(open) == 0 {
		return nil
	}
	return v.publicly(ctx, "", "anybody can list the bucket: "+strings.Join(open, ", "), ledger.ListedObject{})
}

// unanswered notes what could not be told; it is an error only if the run must end.
// Nothing about the public host but the limit and the caller ends it.
func (v *Verifier) unanswered(ctx context.Context, what string, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, r2.ErrLimit):
		return err
	}
	v.unknown(fmt.Sprintf("%s: %v", what, err))
	return nil
}

// busy reports whether an answer says nothing but that there is none just now.
func busy(status int) bool { return status == http.StatusTooManyRequests || status >= 500 }

// visit gets one object as a browser on the instance's pages does.
func (v *Verifier) visit(ctx context.Context, t Tour, e *ledger.Entry) error {
	k := e.File.Key
	if doubted, err := v.inDoubt(ctx, k); err != nil || doubted {
		return err
	}
	wrong, err := v.tour(ctx, t, e)
	v.stats.read.Add(1)
	if err != nil || ctx.Err() != nil {
		return v.unanswered(ctx, "visit "+string(k), err)
	}
	v.mu.Lock()
	v.report.Public.Asked++
	if wrong == "" {
		v.report.Public.Fine++
	}
	v.mu.Unlock()
	if wrong == "" {
		return nil
	}
	return v.publicly(ctx, k, wrong, ledger.ListedObject{Size: e.File.Size, ETag: e.ETag})
}

// tour says what is wrong with what a visitor gets.
func (v *Verifier) tour(ctx context.Context, t Tour, e *ledger.Entry) (wrong string, err error) {
	a, err := t.Front.Get(ctx, e.File.Key, t.Origin)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, a.Body.Close()) }()
	switch {
	case busy(a.Status):
		return "", fmt.Errorf("status %d", a.Status)
	case a.Status != http.StatusOK:
		return fmt.Sprintf("status %d", a.Status), nil
	}
	// One byte more than there should be tells enough of an answer that never ends.
	got, err := v.digest(io.LimitReader(a.Body, e.File.Size+1))
	if err != nil {
		return "", err
	}
	var all []string
	if got.size != e.File.Size || got.sha256 != e.SHA256 {
		all = append(all, "other bytes than were moved")
	}
	if h := wrongHeaders(e.File.Key, a.Header.Get("Content-Type"), a.Header.Get("Cache-Control"), got.first); h != "" {
		all = append(all, h)
	}
	if allow := a.Header.Get("Access-Control-Allow-Origin"); allow != "*" && allow != t.Origin {
		all = append(all, fmt.Sprintf("no CORS: Access-Control-Allow-Origin is %q", allow))
	}
	return strings.Join(all, "; "), nil
}

// visitPrivate makes sure that a user's archive or import is nobody's to get.
func (v *Verifier) visitPrivate(ctx context.Context, t Tour, k media.Key) error {
	a, err := t.Front.Get(ctx, k, "")
	if err != nil || ctx.Err() != nil {
		return v.unanswered(ctx, "visit "+string(k), err)
	}
	_ = a.Body.Close() // its status is all that matters
	if busy(a.Status) {
		v.unknown(fmt.Sprintf("visit %s: status %d", k, a.Status))
		return nil
	}
	v.mu.Lock()
	v.report.Private.Asked++
	if a.Status/100 != 2 {
		v.report.Private.Fine++
	}
	v.mu.Unlock()
	if a.Status/100 != 2 {
		return nil
	}
	return v.publicly(ctx, k, fmt.Sprintf("PRIVATE, and anybody gets it: status %d", a.Status), ledger.ListedObject{})
}

// publicly counts what is wrong through the public host.
func (v *Verifier) publicly(ctx context.Context, k media.Key, wrong string, seen ledger.ListedObject) error {
	v.mu.Lock()
	v.report.Counts[BadPublic]++
	v.mu.Unlock()
	return v.note(ctx, k, because(BadPublic, "wrong through the public host", "%s", wrong), seen)
}

package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.org/mediamove/media"
)

// TestListing: a listing that was cut short is begun again, a complete one
// survives a kill, and a dropped one is gone.
func TestListing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	ctx := t.Context()
	state := func(want ListingState) {
		t.Helper()
		got, _, err := l.ListingState(ctx)
		must(t, err)
		equal(t, got, want)
	}
	state(NoListing)
	must(t, l.DropListing(ctx))
	must(t, l.StartListing(ctx))
	must(t, l.AddListed(ctx, []ListedObject{{Key: "old", Size: 1, ETag: "x"}}))
	state(ListingBegun)

	must(t, l.StartListing(ctx))
	objs := make([]ListedObject, 1000)
	for i := range objs {
		objs[i] = ListedObject{Key: media.Key(fmt.Sprintf("accounts/avatars/%09d\xff", i)), Size: int64(i), ETag: fmt.Sprintf("%032x", i)}
	}
	must(t, l.AddListed(ctx, objs))
	must(t, l.AddListed(ctx, nil))
	must(t, l.EndListing(ctx))
	mustClose(t, l)

	l = mustOpen(t, dir)
	state(ListingComplete)
	for _, want := range objs {
		got, ok, err := l.Listed(ctx, want.Key)
		must(t, err)
		equal(t, ok, true)
		equal(t, got, want)
	}
	_, ok, err := l.Listed(ctx, "old")
	must(t, err)
	equal(t, ok, false)
	must(t, l.DropListing(ctx))
	state(NoListing)
	_, ok, err = l.Listed(ctx, objs[0].Key)
	must(t, err)
	equal(t, ok, false)
}

// TestSetAside: the next ledger is a new one with an id of its own, and the old
// one is whole beside it.
func TestSetAside(t *testing.T) {
	t.Parallel()
	dir, ctx := t.TempDir(), t.Context()
	must(t, SetAside(ctx, dir, time.Now())) // nothing there is fine
	l := mustOpen(t, dir)
	storeSamples(t, l, 0, 300)
	old, err := l.Identity(ctx)
	must(t, err)
	wantIs(t, SetAside(ctx, dir, time.Now()), ErrLocked)
	mustClose(t, l)
	must(t, SetAside(ctx, dir, time.Now()))
	l = mustOpen(t, dir)
	id, err := l.Identity(ctx)
	must(t, err)
	if id.LedgerID == old.LedgerID {
		t.Error("the new ledger has the old one's id")
	}
	equal(t, rows(t, l), 0)
	asides, err := filepath.Glob(filepath.Join(dir, "*.aside"))
	must(t, err)
	equal(t, len(asides), 1)
	back := t.TempDir()
	must(t, os.Rename(asides[0], filepath.Join(back, "ledger.db")))
	equal(t, rows(t, mustOpen(t, back)), 300)
}

func TestKindsAreValid(t *testing.T) {
	t.Parallel()
	equal(t, HeldBack.Valid(), true)
	equal(t, Kind("nonsense").Valid(), false)
	equal(t, Kind("").Valid(), false)
}

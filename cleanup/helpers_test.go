package cleanup_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/cleanup/trash"
	"example.org/mediamove/r2"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantIs(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got %v, want %v", err, target)
	}
}

func equal(t testing.TB, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
}

// all drains a sequence up to its error.
func all[T any](seq iter.Seq2[T, error]) (list []T, err error) {
	for v, err := range seq {
		if err != nil {
			return list, err
		}
		list = append(list, v)
	}
	return list, nil
}

// each yields list, and then err if there is one.
func each(list []cleanup.Candidate, err error) iter.Seq2[cleanup.Candidate, error] {
	return func(yield func(cleanup.Candidate, error) bool) {
		for _, c := range list {
			if !yield(c, nil) {
				return
			}
		}
		if err != nil {
			yield(cleanup.Candidate{}, err)
		}
	}
}

// errScripted is what a fake fails with.
var errScripted = errors.New("scripted failure")

func sha(text []byte) string { return fmt.Sprintf("%x", sha256.Sum256(text)) }

var errNoTable = errors.New("private, or without a table here")

func noonNow() time.Time { return noon }

// A brokenBin fails after so many copies.
type brokenBin struct {
	cleanup.Bin
	after int64
	n     atomic.Int64
}

var errBin = fmt.Errorf("disk gone: %w", trash.ErrBroken)

func (b *brokenBin) Add(ctx context.Context, run int64, o r2.Object) (string, error) {
	if b.n.Add(1) > b.after {
		return "", errBin
	}
	return b.Bin.Add(ctx, run, o)
}

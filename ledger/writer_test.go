package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
)

func rows(t testing.TB, l *Ledger) (n int) {
	t.Helper()
	must(t, l.read.QueryRowContext(t.Context(), "SELECT count(*) FROM object").Scan(&n))
	return n
}

// TestGroups: nothing is committed before 50 ms or half of GroupRows, and all
// of it then.
func TestGroups(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := mustOpen(t, dir)
		for n := range startRows - 1 {
			must(t, l.Store(t.Context(), sample(n)))
		}
		synctest.Wait()
		equal(t, rows(t, l), 0)
		must(t, l.Store(t.Context(), sample(startRows-1)))
		synctest.Wait()
		equal(t, rows(t, l), startRows)

		must(t, l.Store(t.Context(), sample(startRows)))
		time.Sleep(startAfter - time.Millisecond)
		synctest.Wait()
		equal(t, rows(t, l), startRows)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		equal(t, rows(t, l), startRows+1)
	})
}

// TestBackPressure: while a commit hangs, GroupRows jobs are taken, it
// included, and no more.
func TestBackPressure(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := mustOpen(t, dir)
		hang := make(chan struct{})
		must(t, l.queue(t.Context(), func(*session) error { <-hang; return nil }))
		time.Sleep(startAfter)
		synctest.Wait()
		for n := range GroupRows - 1 {
			must(t, l.Store(t.Context(), sample(n)))
		}
		noRoom := errors.New("no room")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, noRoom)
		defer cancel()
		wantIs(t, l.Store(ctx, sample(GroupRows)), noRoom)
		done := make(chan error)
		go func() { done <- l.Store(t.Context(), sample(GroupRows)) }()
		synctest.Wait()
		close(hang)
		must(t, <-done)
		must(t, l.Flush(t.Context()))
		equal(t, rows(t, l), GroupRows)
	})
}

// TestBrokenIsFinal: after a failed group every call says so, those that were
// waiting too, and what was durable before is there.
func TestBrokenIsFinal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Open(t.Context(), dir, Options{})
	must(t, err)
	storeSamples(t, l, 0, 10)
	must(t, l.Store(t.Context(), sample(10))) // of the group that fails
	eio := sqlite3.Error{Code: sqlite3.ErrIoErr, SystemErrno: syscall.EIO}
	must(t, l.queue(t.Context(), func(*session) error { return eio }))
	wantIs(t, l.Flush(t.Context()), ErrBroken)
	wantIs(t, l.Flush(t.Context()), eio)
	wantIs(t, l.Store(t.Context(), sample(11)), ErrBroken)
	wantIs(t, l.Note(t.Context(), Finding{}), ErrBroken)
	wantIs(t, l.AddUpload(t.Context(), Upload{}), ErrBroken)
	wantIs(t, l.Close(), ErrBroken)

	again := mustOpen(t, dir)
	equal(t, rows(t, again), 10)
}

// TestBrokenWakesWaiters: those who wait for room learn it as well.
func TestBrokenWakesWaiters(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l, err := Open(t.Context(), dir, Options{})
		must(t, err)
		hang := make(chan struct{})
		must(t, l.queue(t.Context(), func(*session) error { <-hang; return sqlite3.ErrIoErr }))
		errs := make(chan error)
		for n := range 2 * GroupRows {
			go func() { errs <- errors.Join(l.Store(t.Context(), sample(n)), l.Flush(t.Context())) }()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		close(hang)
		for range 2 * GroupRows {
			if err := <-errs; !errors.Is(err, sqlite3.ErrIoErr) {
				t.Errorf("got %v", err)
			}
		}
		if l.Close() == nil {
			t.Error("closed as if nothing had happened")
		}
	})
}

// TestMistakesAreIsolated: a waiting caller's mistake is undone and told to it
// alone.
func TestMistakesAreIsolated(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	must(t, l.Store(t.Context(), sample(1)))
	err := l.wait(t.Context(), func(s *session) error {
		if err := s.setMeta("half", "done"); err != nil {
			return err
		}
		return s.exec("INSERT INTO usage (run, day, op, count) VALUES (77, '', '', 1)")
	})
	if err == nil || errors.Is(err, ErrBroken) {
		t.Fatalf("got %v, want a mistake", err)
	}
	wantIs(t, l.wait(t.Context(), func(*session) error { return io.EOF }), io.EOF)
	storeSamples(t, l, 2, 3)
	equal(t, rows(t, l), 2)
	_, err = metaValue(t.Context(), l.read, "half")
	wantIs(t, err, ErrUnknown)
}

// TestFullDatabase: SQLite's own "full", and that the ledger is whole after.
func TestFullDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Open(t.Context(), dir, Options{})
	must(t, err)
	storeSamples(t, l, 0, 100)
	must(t, l.wait(t.Context(), func(s *session) error { return s.exec("PRAGMA max_page_count = 1") }))
	for n := 100; err == nil && n < 100_000; n++ {
		err = l.Store(t.Context(), sample(n))
	}
	wantIs(t, err, ErrFull)
	wantIs(t, l.Close(), ErrFull)
	if n := rows(t, mustOpen(t, dir)); n < 100 {
		t.Errorf("%d rows left of 100 flushed", n)
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err, want error
	}{
		{sqlite3.Error{Code: sqlite3.ErrFull}, ErrFull},
		{sqlite3.Error{Code: sqlite3.ErrIoErr, SystemErrno: syscall.EDQUOT}, ErrFull},
		{sqlite3.Error{Code: sqlite3.ErrIoErr, SystemErrno: syscall.EFBIG}, ErrFull},
		{sqlite3.Error{Code: sqlite3.ErrIoErr, SystemErrno: syscall.ENOSPC}, ErrFull},
		{fmt.Errorf("open: %w", syscall.ENOSPC), ErrFull},
		{sqlite3.Error{Code: sqlite3.ErrIoErr, SystemErrno: syscall.EIO}, ErrBroken},
		{sqlite3.Error{Code: sqlite3.ErrBusy}, ErrBroken},
		{sqlite3.Error{Code: sqlite3.ErrCorrupt}, ErrCorrupt},
		{sqlite3.Error{Code: sqlite3.ErrNotADB}, ErrCorrupt},
		{sqlite3.Error{Code: sqlite3.ErrConstraint}, nil},
		{sqlite3.Error{Code: sqlite3.ErrInterrupt}, nil},
		{context.Canceled, nil},
	} {
		got := failed("try", tt.err)
		wantIs(t, got, tt.err)
		for kind, want := range map[error]bool{
			ErrFull:    errors.Is(tt.want, ErrFull),
			ErrCorrupt: errors.Is(tt.want, ErrCorrupt),
			ErrBroken:  tt.want != nil,
		} {
			if errors.Is(got, kind) != want {
				t.Errorf("%v is %q: %t", tt.err, kind, !want)
			}
		}
	}
}

// TestCancelledFlush returns at once, and the rows come to be durable.
func TestCancelledFlush(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, l.Store(ctx, sample(1))) // there is room: recorded even when told to stop
	if err := l.Flush(ctx); err != nil {
		wantIs(t, err, context.Canceled)
	}
	mustClose(t, l)
	equal(t, rows(t, mustOpenReader(t, dir)), 1)
}

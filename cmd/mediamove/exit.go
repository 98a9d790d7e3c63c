package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"example.org/mediamove/billing"
	"example.org/mediamove/cleanup"
	"example.org/mediamove/cleanup/trash"
	"example.org/mediamove/cloudflare"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/owner"
	"example.org/mediamove/r2"
	"example.org/mediamove/scanner"
	"example.org/mediamove/uploader"
	"example.org/mediamove/verify"
)

// Exit statuses, as the manual has them.
const (
	exitOK      = 0
	exitStopped = 1  // outcome unknown: run again
	exitUsage   = 2  // a person must change usage or settings
	exitLeft    = 3  // ended in order, but something is left or differs
	exitRefused = 4  // a guard refused; that step changed nothing
	exitLocked  = 75 // another run holds the lock
)

// stopped is the cause of a context that a signal ended.
type stopped struct{ signal os.Signal }

func (s *stopped) Error() string { return "interrupted" }

// Is makes a signal look like any other cancellation to those who only ask that.
func (s *stopped) Is(target error) bool { return target == context.Canceled }

func signalCode(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return exitStopped
}

// usageError is wrong usage, found by us or by the flag parser.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(hint, format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...), hint}
}

// somethingLeft ends a run in order whose last screen has said it all.
type somethingLeft struct{ what string }

func (e *somethingLeft) Error() string { return e.what }

// notTold ends a run in order that could not find out what it was asked.
type notTold struct{ what string }

func (e *notTold) Error() string { return e.what }

// quiet errors were told on the last screen already.
func quiet(err error) bool {
	_, left := errors.AsType[*somethingLeft](err)
	_, dark := errors.AsType[*notTold](err)
	return left || dark
}

// also adds a later failure, which a quiet end must not hide.
func also(err, later error) error {
	if later != nil && quiet(err) {
		return later
	}
	return errors.Join(err, later)
}

// ended gives an error that is only the echo of a signal the signal's own name.
func ended(ctx context.Context, err error) error {
	if s, ok := errors.AsType[*stopped](context.Cause(ctx)); ok && errors.Is(err, context.Canceled) {
		if _, told := errors.AsType[*stopped](err); !told {
			return s
		}
	}
	return err
}

// exitCode is the one place where an error becomes a status.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if s, ok := errors.AsType[*stopped](err); ok {
		return signalCode(s.signal)
	}
	switch {
	case errors.Is(err, ledger.ErrLocked):
		return exitLocked
	case isRefusal(err):
		return exitRefused
	case isUsage(err):
		return exitUsage
	case errors.Is(err, ledger.ErrBroken):
		return exitStopped
	case unknownEnd(err):
		return exitStopped
	case quiet(err), errors.Is(err, r2.ErrLimit):
		return exitLeft
	}
	return exitStopped
}

func unknownEnd(err error) bool {
	_, dark := errors.AsType[*notTold](err)
	return dark
}

func isRefusal(err error) bool {
	_, refused := errors.AsType[*owner.RefusedError](err)
	_, emptied := errors.AsType[*uploader.EmptiedError](err)
	_, guard := errors.AsType[*cleanup.Refusal](err)
	_, above := errors.AsType[*cleanup.AboveError](err)
	_, shape := errors.AsType[*mastodon.ShapeError](err)
	for _, target := range []error{uploader.ErrHiddenTree, cleanup.ErrPlan, cleanup.ErrShare, ledger.ErrUsed, mastodon.ErrReplica, mastodon.ErrOtherDatabase} {
		if errors.Is(err, target) {
			return !errors.Is(err, fs.ErrNotExist)
		}
	}
	return refused || emptied || guard || above || shape
}

func isUsage(err error) bool {
	_, usage := errors.AsType[*usageError](err)
	_, root := errors.AsType[*scanner.RootError](err)
	_, config := errors.AsType[*r2.ConfigError](err)
	_, conflict := errors.AsType[*mastodon.ConflictError](err)
	_, setting := errors.AsType[*mastodon.SettingError](err)
	_, file := errors.AsType[*mastodon.FileError](err)
	_, unsafeFS := errors.AsType[*ledger.UnsafeFSError](err)
	_, month := errors.AsType[*billing.MonthError](err)
	if d, ok := errors.AsType[*mastodon.DatabaseError](err); ok && d.Hint != "" && !wentAway(err) {
		return true
	}
	for _, target := range []error{cleanup.ErrPlan, trash.ErrBroken, billing.ErrNoRuns, cloudflare.ErrToken, owner.ErrNoDomain, r2.ErrDenied, r2.ErrNoBucket, r2.ErrEndpoint, ledger.ErrNewer, ledger.ErrNoLedger, errReadOnlyState} {
		if errors.Is(err, target) {
			return true
		}
	}
	return usage || root || config || conflict || setting || file || unsafeFS || month
}

// wentAway reports whether the database was there when the run began: no setting is wrong.
func wentAway(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network && errors.Is(err, cleanup.ErrRows)
}

var errReadOnlyState = errors.New("the state folder can't be written")

// stateError marks a state folder that needs another place or other rights.
func stateError(dir string, err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w: %s: %w", errReadOnlyState, dir, err)
	}
	return err
}

// hintFor is the one line that tells the admin what to do. There is always one.
func hintFor(err error) string {
	hint := cmp.Or(typedHint(err), sentinelHint(err))
	switch {
	case hint != "":
		return hint
	case exitCode(err) == exitUsage:
		return "mediamove sync --help lists flags and settings"
	}
	return "run the same command again: it goes on where it stopped"
}

func typedHint(err error) string {
	if e, ok := errors.AsType[*usageError](err); ok {
		return e.hint
	}
	if e, ok := errors.AsType[*owner.RefusedError](err); ok {
		return e.Hint
	}
	if e, ok := errors.AsType[*scanner.RootError](err); ok {
		return e.Hint
	}
	if e, ok := errors.AsType[*cleanup.Refusal](err); ok {
		return e.Hint
	}
	if e, ok := errors.AsType[*mastodon.DatabaseError](err); ok && e.Hint != "" {
		return e.Hint
	}
	if _, ok := errors.AsType[*mastodon.ShapeError](err); ok {
		return "is DB_NAME, or DATABASE_URL, Mastodon's database, of a version from 3.5 to 4.6?"
	}
	if _, ok := errors.AsType[*cleanup.AboveError](err); ok {
		return "look: mediamove orphans --save plan.json; allow it once: mediamove orphans --apply-plan plan.json --allow-above NUMBER"
	}
	if e, ok := errors.AsType[*r2.ConfigError](err); ok {
		return e.Hint
	}
	if e, ok := errors.AsType[*mastodon.ConflictError](err); ok {
		return fmt.Sprintf("unset %s in one of the two places, or type it as a flag", e.Name)
	}
	if e, ok := errors.AsType[*mastodon.SettingError](err); ok {
		return e.Hint
	}
	if e, ok := errors.AsType[*mastodon.FileError](err); ok {
		return e.Hint
	}
	if e, ok := errors.AsType[*uploader.EmptiedError](err); ok {
		return "is its disk mounted? If the folder is meant to be empty, type --allow-empty " + e.Folder
	}
	if e, ok := errors.AsType[*limitError](err); ok {
		return e.hint
	}
	if e, ok := errors.AsType[*billing.MonthError](err); ok {
		return e.Hint
	}
	if _, ok := errors.AsType[*ledger.UnsafeFSError](err); ok {
		return "put the ledger on a local disk: --state DIR"
	}
	return ""
}

func sentinelHint(err error) string {
	hints := []struct {
		target error
		hint   string
	}{
		{owner.ErrNoDomain, "set LOCAL_DOMAIN, or name Mastodon's settings: --env-file /home/mastodon/live/.env.production"},
		{uploader.ErrHiddenTree, "the files look like the work of a umask of 077, not hidden on purpose: chmod go+r what is public, then run again"},
		{ledger.ErrLocked, "wait for it, or look with: mediamove status"},
		{ledger.ErrNewer, "this ledger was written by a newer mediamove: update this one"},
		{ledger.ErrNoLedger, "nothing was synced with this state folder yet; another one? --state DIR"},
		{ledger.ErrFull, "make room on the disk of the state folder, then run again: it continues where it stopped"},
		{ledger.ErrCorrupt, "move the state folder aside and run the same command: it says how to --join the bucket, which rebuilds the ledger"},
		{ledger.ErrBroken, "look after the disk of the state folder, then run again: it continues where it stopped"},
		{errReadOnlyState, "run as the user who owns it, or choose another one: --state DIR"},
		{r2.ErrNoBucket, "check S3_BUCKET and S3_ENDPOINT; mediamove never creates a bucket"},
		{r2.ErrDenied, "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: the token needs Object Read & Write on this bucket"},
		{r2.ErrEndpoint, "check S3_ENDPOINT (for R2: https://ACCOUNT.r2.cloudflarestorage.com, without the bucket's name)"},
		{r2.ErrLimit, "run the same command again to go on; --max-class-a counts per run"},
		{r2.ErrOutage, "the bucket did not answer for too long; run again later: it continues where it stopped"},
		{r2.ErrNonsense, "what answers does not behave like the bucket: check S3_ENDPOINT and any proxy on the way, then run again"},
		{errListingCut, "a listing can't go on where it stopped: one Class A per 1,000 objects is the least, or leave the flag out"},
		{verify.ErrListing, "what answers does not list its own objects: run again; if it stays so, ask whoever runs it"},
		{verify.ErrList, "the list beside the certificate was altered, cut or swapped: find the right one"},
		{verify.ErrCertificate, "name the certificate itself, not its list"},
		{billing.ErrNoRuns, "mediamove plan says beforehand what a sync costs; another state folder? --state DIR"},
		{cloudflare.ErrToken, "the token needs the permission Account Analytics: Read for this very account: Cloudflare dashboard, API tokens"},
		{cloudflare.ErrLimit, "Cloudflare allows 300 queries in 5 minutes: run it again later, or leave out --cloudflare for the ledger's own figures"},
		{cloudflare.ErrUnavailable, "run it again later, or leave out --cloudflare for the ledger's own figures"},
		{cloudflare.ErrShape, "what answers is not Cloudflare's API as it is documented: is something in between? Without --cloudflare there are the ledger's own figures"},
		{cleanup.ErrPlan, "make a new one: the same command with --save FILE"},
		{cleanup.ErrShare, "GB is 10^9 bytes, GiB 2^30; if so much is meant to go: --allow-share PERCENT"},
		{ledger.ErrUsed, "a plan is applied once; make a new one: the same command with --save FILE"},
		{cleanup.ErrCanary, "look what became of them: mediamove journal; put them back: mediamove undo RUN"},
		{cleanup.ErrRows, "look after the database, then run again"},
		{mastodon.ErrReplica, "point DB_HOST, or DATABASE_URL, at the primary"},
		{mastodon.ErrOtherDatabase, "something switched databases during the run: run again"},
		{trash.ErrBroken, "look after the trash's folder and its disk, or name another: --trash DIR"},
		{uploader.ErrDisk, "copy this disk before anything else; then run again with --retry-failed"},
	}
	for _, h := range hints {
		if errors.Is(err, h.target) {
			return h.hint
		}
	}
	return ""
}

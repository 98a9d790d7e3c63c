package cleanup

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"example.org/mediamove/cleanup/trash"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// copiers is how many objects are fetched into the trash at once.
const copiers = 8

// A work is one batch on its way. Rows whose State stays Intent were sent for
// deletion and not answered.
type work struct {
	c        *Cleaner
	removals []ledger.Removal
	looked   time.Time   // at the rows, by our clock
	sent     []bool      // a deletion was sent: its outcome is the bucket's to tell
	copied   []bool      // there is a copy in the trash
	control  []media.Key // was there right before the first deletion
}

func newWork(c *Cleaner, all []Candidate) *work {
	w := &work{c: c, removals: make([]ledger.Removal, len(all)), sent: make([]bool, len(all)), copied: make([]bool, len(all))}
	for i, cand := range all {
		w.removals[i] = ledger.Removal{
			Run: c.Run, Key: cand.Key, Policy: c.Policy, Reason: cand.Reason, Size: cand.Size, ETag: cand.ETag,
			Modified: cand.Modified, Plan: c.Plan, State: ledger.RemovalIntent, Intended: c.Now(),
		}
		if c.Bin != nil {
			// Known before there is a copy, so that a kill in between leaves no copy
			// that nobody knows of.
			w.removals[i].Trash = trash.Name(c.Run, cand.Key)
		}
	}
	return w
}

func (w *work) keep(i int, why, detail string) {
	r := &w.removals[i]
	r.State, r.Detail, r.Ended, r.Trash = ledger.RemovalKept, why, w.c.Now(), ""
	if detail != "" {
		r.Detail += ": " + detail
	}
	w.c.kept[why]++
}

func (w *work) gone(i int) {
	r := &w.removals[i]
	r.State, r.Ended = ledger.RemovalRemoved, w.c.Now()
	w.c.removed.Add(1)
	w.c.freed.Add(r.Size)
}

func (w *work) open(i int) bool { return w.removals[i].State == ledger.RemovalIntent }

// untried: it may still be left alone, for nothing was sent.
func (w *work) untried(i int) bool { return w.open(i) && !w.sent[i] }

// keepCopies puts a proven copy of every object into the trash.
func (w *work) keepCopies(ctx context.Context) error {
	errs := make([]error, len(w.removals))
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(copiers)
	for i := range w.removals {
		group.Go(func() error {
			errs[i] = w.copyOf(inner, i)
			w.copied[i] = errs[i] == nil && w.c.Bin != nil
			if stopsRun(inner, errs[i]) {
				return errs[i]
			}
			return nil
		})
	}
	err := group.Wait()
	for i, e := range errs {
		switch {
		case e == nil, err != nil: // the run ends: nothing was sent, so record keeps all
		case errors.Is(e, r2.ErrNotFound):
			w.keep(i, KeptGone, "")
		case errors.Is(e, r2.ErrChanged):
			w.keep(i, KeptChanged, "")
		case errors.Is(e, trash.ErrFull):
			w.keep(i, KeptNoRoom, "")
		default:
			w.keep(i, KeptUnproven, e.Error())
		}
	}
	return err
}

// copyOf keeps object i, or without a trash sees that it is still the one listed.
func (w *work) copyOf(ctx context.Context, i int) error {
	r := &w.removals[i]
	o := r2.Object{Key: r.Key, Size: r.Size, ETag: r.ETag, LastModified: r.Modified}
	if w.c.Bin != nil {
		name, err := w.c.Bin.Add(ctx, r.Run, o)
		if err == nil && name != r.Trash {
			return fmt.Errorf("the trash calls it %q", name)
		}
		return err
	}
	if w.c.Refetchable {
		return nil
	}
	head, err := w.c.Bucket.Head(ctx, r.Key)
	switch {
	case err != nil:
		return err
	case head.ETag != r.ETag || head.Size != r.Size:
		return r2.ErrChanged
	}
	return nil
}

// stopsRun reports whether err is about more than one object. A run that was called off
// ends with its cause, which may be any error.
func stopsRun(ctx context.Context, err error) bool {
	return err != nil && (ctx.Err() != nil || r2.Stops(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, ledger.ErrBroken) || errors.Is(err, trash.ErrBroken))
}

const (
	lookLife   = 30 * time.Second // after that the rows are looked at again
	deleteLife = time.Minute      // for one request, with all its tries
)

// fresh makes sure that the look at the rows is not older than it may be.
func (w *work) fresh(ctx context.Context) error {
	if time.Since(w.looked) < lookLife {
		return nil
	}
	return w.lookAgain(ctx)
}

// lookAgain asks the primary once more, now that the copies are made: a row may have
// come since the scan.
func (w *work) lookAgain(ctx context.Context) error {
	var objects []r2.Object
	for i := range w.removals {
		if w.untried(i) {
			objects = append(objects, r2.Object{Key: w.removals[i].Key})
		}
	}
	w.looked = time.Now() // before the answer, which is as old as the question
	if len(objects) == 0 {
		return nil
	}
	again := w.c.Again
	if again == nil {
		again = w.unowned
	}
	stays, err := again(ctx, objects)
	if err != nil {
		return fmt.Errorf("look again before deleting: %w: %w", ErrRows, err)
	}
	n := 0
	for i := range w.removals {
		if !w.untried(i) {
			continue
		}
		if s := stays[n]; s.Why != "" {
			w.keep(i, s.Why, s.Detail)
		}
		n++
	}
	return nil
}

// unowned is the last look at orphans.
func (w *work) unowned(ctx context.Context, objects []r2.Object) ([]Stay, error) {
	rows, err := w.c.Rows.Rows(ctx, idsOf(objects))
	if err != nil {
		return nil, err
	}
	stays := make([]Stay, len(objects))
	for i, o := range objects {
		if j := judge(o, rows); j.kind != ledger.Orphan {
			stays[i] = Stay{KeptOwned, j.reason}
		}
	}
	return stays, nil
}

// remove deletes what is left of the batch.
func (w *work) remove(ctx context.Context, oneByOne bool) error {
	var together []int
	for i := range w.removals {
		switch {
		case !w.untried(i):
		case oneByOne || w.c.single || !r2.Batchable(w.removals[i].Key):
			if err := w.removeOne(ctx, i); err != nil {
				return err
			}
		default:
			together = append(together, i)
		}
	}
	if len(together) == 0 {
		return nil
	}
	return w.removeMany(ctx, together)
}

func (w *work) removeOne(ctx context.Context, i int) error {
	if err := w.fresh(ctx); err != nil || !w.untried(i) {
		return err
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	w.sent[i] = true
	brief, cancel := context.WithTimeout(ctx, deleteLife)
	defer cancel()
	return w.settle(ctx, i, w.c.Bucket.Delete(brief, w.removals[i].Key))
}

// settle turns the answer about object i into its outcome. What failed is looked at: a
// deletion whose answer was lost may have happened.
func (w *work) settle(ctx context.Context, i int, err error) error {
	if err == nil {
		w.gone(i)
		return nil
	}
	if stopsRun(ctx, err) {
		return err
	}
	head, lookErr := w.c.Bucket.Head(ctx, w.removals[i].Key)
	switch {
	case errors.Is(lookErr, r2.ErrNotFound):
		w.gone(i)
	case lookErr != nil:
		return errors.Join(err, lookErr)
	case head.ETag != w.removals[i].ETag:
		w.keep(i, KeptChanged, "")
	case unanswered(err):
		w.c.kept[Unanswered]++ // it may still be on its way
	default:
		w.keep(i, KeptRefused, err.Error())
	}
	return nil
}

// unanswered reports whether err leaves open if the server will delete the object yet. A
// 5xx does: a gateway's 504 says that the server was slow, not that it did nothing.
func unanswered(err error) bool {
	e, ok := errors.AsType[*r2.Error](err)
	return errors.Is(err, r2.ErrNonsense) || ok && (e.Status == 0 || e.Status >= 500 && e.Status != http.StatusNotImplemented)
}

func (w *work) removeMany(ctx context.Context, together []int) error {
	if err := w.fresh(ctx); err != nil {
		return err
	}
	together = slices.DeleteFunc(together, func(i int) bool { return !w.untried(i) })
	if len(together) == 0 {
		return nil
	}
	keys := make([]media.Key, len(together))
	for n, i := range together {
		keys[n] = w.removals[i].Key
		w.sent[i] = true
	}
	brief, cancel := context.WithTimeout(ctx, deleteLife)
	defer cancel()
	answers, err := w.c.Bucket.DeleteBatch(brief, keys)
	if errors.Is(err, r2.ErrNoBatch) {
		w.c.single = true
		for _, i := range together {
			w.sent[i] = false
		}
		return w.remove(ctx, true)
	}
	if err != nil {
		return fmt.Errorf("delete %d objects: %w", len(keys), err)
	}
	// All are settled: that one was denied takes nothing from what is known of the others.
	for n, i := range together {
		err = errors.Join(err, w.settle(ctx, i, answers[n]))
	}
	return err
}

// standing chooses what the canary looks at: of the control, what is there right before the
// first deletion. Mastodon deletes files before rows, a thousand at once, so that one which
// went since the scan would look like one that we hit. What goes itself, although it is
// owned, tells nothing.
func (w *work) standing(ctx context.Context) error {
	goes := map[media.Key]bool{}
	for _, r := range w.removals {
		goes[r.Key] = true
	}
	asked := 0
	for _, k := range w.c.Control {
		if len(w.control) == Canaries || asked == 5*Canaries {
			break
		}
		if goes[k] {
			continue
		}
		asked++
		switch _, err := w.c.Bucket.Head(ctx, k); {
		case err == nil:
			w.control = append(w.control, k)
		case !errors.Is(err, r2.ErrNotFound):
			return fmt.Errorf("look at the canary's control: %w", err)
		}
	}
	return nil
}

// canary looks at what the first deletions did: they are gone, and what is owned is not.
func (w *work) canary(ctx context.Context) error {
	for i := range w.removals {
		if w.removals[i].State != ledger.RemovalRemoved {
			continue
		}
		if _, err := w.c.Bucket.Head(ctx, w.removals[i].Key); !errors.Is(err, r2.ErrNotFound) {
			return fmt.Errorf("after its deletion %s should be gone: %w", w.removals[i].Key, orStill(err))
		}
	}
	for _, k := range w.control {
		_, err := w.c.Bucket.Head(ctx, k)
		if errors.Is(err, r2.ErrNotFound) {
			err = w.stillOwned(ctx, k)
		}
		if err != nil {
			return fmt.Errorf("look at the canary's control: %w", err)
		}
	}
	return nil
}

// ErrCanary stops a run whose first deletions had other effects than they should.
var ErrCanary = errors.New("the first deletions did something else than they should: nothing more was deleted")

func orStill(err error) error {
	if err == nil {
		return fmt.Errorf("%w: the object is still there", ErrCanary)
	}
	return err
}

// stillOwned tells a control object that its owner deleted meanwhile, or that Mastodon is
// writing anew under its old name (a video that it has transcoded), from one that we hit.
func (w *work) stillOwned(ctx context.Context, k media.Key) error {
	o := r2.Object{Key: k}
	rows, err := w.c.Rows.Rows(ctx, idsOf([]r2.Object{o}))
	if err != nil {
		return err
	}
	j := judge(o, rows)
	if j.kind != "" || j.row != nil && j.row.Busy {
		return nil
	}
	if _, err = w.c.Bucket.Head(ctx, k); errors.Is(err, r2.ErrNotFound) {
		err = fmt.Errorf("%w: %s is gone, and somebody owns it", ErrCanary, k)
	}
	return err
}

// record writes the outcomes. It must happen even if the run was called off.
func (w *work) record(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for i := range w.removals {
		if w.untried(i) {
			w.keep(i, keptBefore, "")
		}
	}
	var ended []ledger.Removal
	for _, r := range w.removals {
		if r.State != ledger.RemovalIntent {
			ended = append(ended, r)
		}
	}
	if err := w.c.Journal.EndRemovals(ctx, ended); err != nil {
		return fmt.Errorf("journal what was removed: %w", err)
	}
	return w.drop()
}

// drop removes the copies of what was kept: the trash has room for what is gone, and
// an object that is kept night after night must not fill it.
func (w *work) drop() (err error) {
	for i, r := range w.removals {
		if w.copied[i] && r.State == ledger.RemovalKept {
			err = errors.Join(err, w.c.Bin.Drop(trash.Name(r.Run, r.Key)))
		}
	}
	return err
}

// Package billing explains what R2 costs: what mediamove itself used, as the
// ledger has it, beside what the whole account did, as Cloudflare's analytics have
// it; the bill so far, where it will end, and what would make it smaller.
//
// It asks, and then computes: a [Report] follows from its [Figures] alone. Sums
// always add up. What isn't known is named, and never taken for nothing.
package billing

import (
	"context"
	"errors"
	"time"

	"github.com/shopspring/decimal"

	"example.org/mediamove/cloudflare"
	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
)

// Books are what mediamove wrote down of itself. A [*ledger.Ledger] has them.
type Books interface {
	Beginning(ctx context.Context) (ledger.Beginning, error)
	UsageByRun(ctx context.Context, from, to costs.Day) ([]ledger.RunDay, error)
	StoredByDay(ctx context.Context, from, to costs.Day) ([]ledger.StoredDay, error)
}

// Analytics are an account's own numbers. A [*cloudflare.Client] has them.
type Analytics interface {
	Operations(ctx context.Context, bucket string, from, to time.Time) (cloudflare.Operations, error)
	Storage(ctx context.Context, bucket string, from, to time.Time) (cloudflare.Storage, error)
}

// Options say what to report on.
type Options struct {
	Prices costs.PriceList
	Cycle  costs.Cycle
	Month  Month // the cycle that begins in it; the zero Month: the running one
	Now    time.Time
	Budget *decimal.Decimal // US dollars for the cycle; nil: none
}

// Figures are all that a [Report] is made of.
type Figures struct {
	Prices costs.PriceList
	Period costs.Period
	Now    time.Time
	Budget *decimal.Decimal

	Began  ledger.Beginning
	Runs   []ledger.RunDay    // by run and day
	Stored []ledger.StoredDay // by day; the first is what came before

	Account *Account // nil: only the ledger was asked
}

// An Account is what Cloudflare's analytics answered. With an error that is
// [cloudflare.ErrPartial] there are figures beside it, with another one none.
type Account struct {
	Operations    cloudflare.Operations
	OperationsErr error
	Storage       cloudflare.Storage
	StorageErr    error
}

// window is how many whole days before today set the pace of the forecast.
const window = 7

// Collect reads what a report needs: from the ledger, and, if it isn't nil, from
// Cloudflare. What Cloudflare answers only in part is kept with its error; if it
// answers nothing at all, that error is returned. Others are [ErrNoRuns],
// [*MonthError] and what b returns.
func Collect(ctx context.Context, b Books, a Analytics, o Options) (Figures, error) {
	f := Figures{Prices: o.Prices, Now: o.Now.UTC(), Budget: o.Budget}
	var err error
	if f.Began, err = b.Beginning(ctx); err != nil {
		return Figures{}, err
	}
	if f.Period, err = o.period(f.Began.First, a != nil); err != nil {
		return Figures{}, err
	}
	days := f.asked()
	if f.Runs, err = b.UsageByRun(ctx, days.From, days.To); err != nil {
		return Figures{}, err
	}
	if f.Stored, err = b.StoredByDay(ctx, days.From, days.To); err != nil {
		return Figures{}, err
	}
	if a == nil {
		return f, nil
	}
	// The analytics of all buckets: the bill is the account's, not a bucket's.
	f.Account = &Account{}
	from, to := days.From.Start(), days.To.Start()
	f.Account.Operations, f.Account.OperationsErr = a.Operations(ctx, "", from, to)
	f.Account.Storage, f.Account.StorageErr = a.Storage(ctx, "", from, to)
	if ctx.Err() != nil {
		return Figures{}, context.Cause(ctx)
	}
	if nothing(f.Account.OperationsErr) && nothing(f.Account.StorageErr) {
		return Figures{}, f.Account.OperationsErr
	}
	return f, nil
}

// today is the last day with figures.
func (f Figures) today() costs.Day { return costs.DayOf(f.Now) }

// over reports whether the cycle has ended.
func (f Figures) over() bool { return f.today() >= f.Period.To }

// asked is which days' figures are needed: those of the cycle that have begun, and
// while it runs those that set the pace.
func (f Figures) asked() costs.Period {
	if f.over() {
		return f.Period
	}
	return costs.Period{From: min(f.Period.From, f.today()-window), To: f.today() + 1}
}

// operations returns what was answered about operations; nil if nothing was, also
// because no day is kept any more.
func (a *Account) operations() *cloudflare.Operations {
	if a == nil || nothing(a.OperationsErr) || len(missingDays(a.Operations.Coverage)) == len(a.Operations.Coverage) {
		return nil
	}
	return &a.Operations
}

// storage is the same about storage.
func (a *Account) storage() *cloudflare.Storage {
	if a == nil || nothing(a.StorageErr) || len(a.Storage.Rows) == 0 {
		return nil
	}
	return &a.Storage
}

func nothing(err error) bool { return err != nil && !errors.Is(err, cloudflare.ErrPartial) }

package billing_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"example.org/mediamove/billing"
	"example.org/mediamove/cloudflare"
	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// books makes a ledger with a sync on each of the days, of one object of 1 GB.
func books(t *testing.T, days ...costs.Day) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), t.TempDir(), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, d := range days {
		at := d.Start().Add(time.Hour)
		run, err := l.Begin(t.Context(), "sync", at)
		if err == nil {
			err = errors.Join(
				l.Store(t.Context(), ledger.Entry{File: media.File{Key: media.Key(d.String()), Size: gb}, Run: run, At: at}),
				l.Finish(t.Context(), run, ledger.RunEnd{At: at, Complete: true, Usage: costs.Usage{costs.PutObject: 1, costs.GetObject: 1}}),
			)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// answers are what Cloudflare says, and what it was asked.
type answers struct {
	billing.Account
	asked []string
}

func (a *answers) Operations(_ context.Context, bucket string, from, to time.Time) (cloudflare.Operations, error) {
	a.asked = append(a.asked, fmt.Sprintf("operations %q %v %v", bucket, costs.DayOf(from), costs.DayOf(to)))
	return a.Account.Operations, a.OperationsErr
}

func (a *answers) Storage(_ context.Context, bucket string, from, to time.Time) (cloudflare.Storage, error) {
	a.asked = append(a.asked, fmt.Sprintf("storage %q %v %v", bucket, costs.DayOf(from), costs.DayOf(to)))
	return a.Account.Storage, a.StorageErr
}

// What is asked for: the days of the cycle that have begun, and while it runs those
// of the week before.
func TestCollect(t *testing.T) {
	t.Parallel()
	l := books(t, nov(2), nov(14), nov(15), nov(22))
	for name, tt := range map[string]struct {
		month string
		now   costs.Day
		runs  int
		days  []costs.Day // with bytes: before, and on
		asked string
	}{
		"running":            {"", nov(23), 2, []costs.Day{nov(14), nov(15), nov(22)}, "2026-11-15 2026-11-24"},
		"running, young":     {"", nov(16), 2, []costs.Day{nov(8), nov(14), nov(15)}, "2026-11-09 2026-11-17"},
		"named":              {"2026-11", nov(23), 2, []costs.Day{nov(14), nov(15), nov(22)}, "2026-11-15 2026-11-24"},
		"the one before":     {"2026-10", nov(23), 2, []costs.Day{nov(2), nov(14)}, "2026-10-15 2026-11-15"},
		"running, its first": {"", nov(15), 2, []costs.Day{nov(7), nov(14), nov(15)}, "2026-11-08 2026-11-16"},
	} {
		o := billing.Options{Prices: costs.R2(), Cycle: costs.Cycle{Day: 15}, Now: tt.now.Start().Add(time.Hour)}
		if tt.month != "" {
			o.Month, _ = billing.ParseMonth(tt.month)
		}
		a := &answers{}
		f, err := billing.Collect(t.Context(), l, a, o)
		if err != nil {
			t.Fatal(name, err)
		}
		var days []costs.Day
		for _, s := range f.Stored {
			if s.Bytes > 0 {
				days = append(days, s.Day)
			}
		}
		want := []string{`operations "" ` + tt.asked, `storage "" ` + tt.asked}
		if !slices.Equal(days, tt.days) || len(f.Runs) != tt.runs || !slices.Equal(a.asked, want) {
			t.Errorf("%s: %d runs, bytes on %v, asked %q; want %+v", name, len(f.Runs), days, a.asked, tt)
		}
	}
}

// Partial answers are kept, no answer at all is an error.
func TestCollectErrors(t *testing.T) {
	t.Parallel()
	l := books(t, nov(16))
	o := billing.Options{Prices: costs.R2(), Now: nov(22).Start()}
	token := &cloudflare.Error{Dataset: "operations", Status: 200, Err: cloudflare.ErrToken}
	half := fmt.Errorf("%w: %w", cloudflare.ErrPartial, &cloudflare.Error{Dataset: "storage", Err: cloudflare.ErrUnavailable})
	for name, tt := range map[string]struct {
		operations, storage error
		want                error
		reasons             int
	}{
		"both answered":            {nil, nil, nil, 0},
		"neither":                  {token, token, cloudflare.ErrToken, 0},
		"one in part":              {nil, half, nil, 1},
		"one refused":              {token, nil, nil, 1},
		"one refused, one in part": {token, half, nil, 2},
	} {
		a := &answers{Account: billing.Account{OperationsErr: tt.operations, StorageErr: tt.storage}}
		a.Account.Operations.Coverage = cloudflare.Coverage{{Date: nov(16).Start(), State: cloudflare.Complete}}
		f, err := billing.Collect(t.Context(), l, a, o)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err != nil {
			continue
		}
		r := f.Report()
		if len(r.Partial) != tt.reasons || (r.Operations == nil) != (tt.operations != nil) {
			t.Errorf("%s: %q, operations %v", name, r.Partial, r.Operations)
		}
	}
	if _, err := billing.Collect(t.Context(), books(t), nil, o); !errors.Is(err, billing.ErrNoRuns) {
		t.Errorf("a ledger without runs: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted"))
	if _, err := billing.Collect(ctx, quick{l}, &answers{}, o); err == nil || err.Error() != "interrupted" {
		t.Errorf("interrupted: %v", err)
	}
}

// quick books answer whatever the context says, as a cached page would.
type quick struct{ *ledger.Ledger }

func (q quick) Beginning(ctx context.Context) (ledger.Beginning, error) {
	return q.Ledger.Beginning(context.WithoutCancel(ctx))
}

func (q quick) UsageByRun(ctx context.Context, from, to costs.Day) ([]ledger.RunDay, error) {
	return q.Ledger.UsageByRun(context.WithoutCancel(ctx), from, to)
}

func (q quick) StoredByDay(ctx context.Context, from, to costs.Day) ([]ledger.StoredDay, error) {
	return q.Ledger.StoredByDay(context.WithoutCancel(ctx), from, to)
}

func TestMonths(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]billing.Month{
		"2026-11": {2026, 11}, "2027-02": {2027, 2}, "0001-01": {1, 1},
		"2026-13": {}, "2026-00": {}, "2026-1": {}, "26-11": {}, "2026-11-01": {}, "": {}, "november": {}, "2026/11": {}, "+202-11": {}, "２026-11": {},
	} {
		m, err := billing.ParseMonth(s)
		e, _ := errors.AsType[*billing.MonthError](err)
		if m != want || (err == nil) != (want.Year != 0) || err != nil && (e == nil || e.Hint == "") {
			t.Errorf("%q: %v, %v", s, m, err)
		}
		if err == nil && m.String() != s {
			t.Errorf("%q is written %q", s, m)
		}
	}
	l := books(t, nov(22))
	for _, tt := range []struct {
		month      string
		cycle      int
		now        costs.Day
		want, hint string
	}{
		{"2026-12", 15, nov(22), "begins on 2026-12-15, which lies ahead", "which began in 2026-11"},
		{"2026-11", 23, nov(22), "begins on 2026-11-23, which lies ahead", "which began in 2026-10"},
		{"2026-10", 15, nov(22), "ended on 2026-11-14, before the first run", "the first run was on 2026-11-22: --month 2026-11 or later"},
		{"2026-09", 23, nov(30), "ended on 2026-10-22, before the first run", "--month 2026-10 or later"},
		{"2026-10", 22, nov(22), "ended on 2026-11-21, before the first run", "--month 2026-11 or later"},
		{"2026-10", 23, nov(22), "", ""},
		{"2026-11", 15, nov(22), "", ""},
		{"2026-11", 22, nov(22), "", ""},
	} {
		m, err := billing.ParseMonth(tt.month)
		if err != nil {
			t.Fatal(err)
		}
		f, err := billing.Collect(t.Context(), l, nil, billing.Options{Prices: costs.R2(), Cycle: costs.Cycle{Day: tt.cycle}, Month: m, Now: tt.now.Start()})
		e, _ := errors.AsType[*billing.MonthError](err)
		switch {
		case tt.want == "" && err == nil:
			if diff := gocmp.Diff(costs.Cycle{Day: tt.cycle}.Month(m.Year, m.Month), f.Period); diff != "" {
				t.Error(diff)
			}
		case e == nil || !strings.Contains(e.Reason, tt.want) || !strings.Contains(e.Hint, tt.hint) || tt.want == "":
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// Cloudflare keeps what was before the ledger.
func TestMonthBeforeTheLedger(t *testing.T) {
	t.Parallel()
	o := billing.Options{Prices: costs.R2(), Month: billing.Month{Year: 2026, Month: 10}, Now: nov(22).Start()}
	a := &answers{}
	f, err := billing.Collect(t.Context(), books(t, nov(20)), a, o)
	if err != nil || f.Period != (costs.Cycle{}).Month(2026, 10) || len(a.asked) != 2 {
		t.Errorf("%v, asked %q, %v", f.Period, a.asked, err)
	}
	o.Month.Month = 12
	if _, err := billing.Collect(t.Context(), books(t, nov(20)), a, o); err == nil {
		t.Error("a month that lies ahead")
	}
}

// FuzzParseMonth: what is read is written the same, whatever else is refused.
func FuzzParseMonth(f *testing.F) {
	for _, s := range []string{"2026-11", "2026-00", "0000-01", "9999-12", "2026-11 ", "-026-11"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := billing.ParseMonth(s)
		if err == nil && (m.String() != s || m.Month < 1 || m.Month > 12) {
			t.Errorf("%q is read as %+v, %v", s, m, m)
		}
	})
}

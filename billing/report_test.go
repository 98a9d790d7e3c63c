package billing_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"example.org/mediamove/billing"
	"example.org/mediamove/cloudflare"
	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
)

const gb = 1_000_000_000

func nov(d int) costs.Day { return costs.Date(2026, 11, d) }

func dec(s string) *decimal.Decimal { return new(decimal.RequireFromString(s)) }

// instance is the noon of November 22 in a cycle that began on the 15th. On the
// 16th the first sync began; it ended on the 17th, and a nightly one follows.
func instance() billing.Figures {
	f := billing.Figures{
		Prices: costs.R2(), Period: costs.Cycle{Day: 15}.Month(2026, 11), Now: nov(22).Start().Add(12 * time.Hour),
		Began:  ledger.Beginning{First: nov(16).Start().Add(time.Hour), Moved: 2},
		Stored: []ledger.StoredDay{{Day: nov(14)}, {Day: nov(16), Run: 1, Bytes: 50 * gb}, {Day: nov(17), Run: 2, Bytes: 30 * gb}},
		Runs: []ledger.RunDay{
			{Run: 1, Command: "sync", Day: nov(16), Usage: costs.Usage{costs.PutObject: 500_000, costs.GetObject: 1}},
			{Run: 2, Command: "sync", Ended: true, Day: nov(17), Usage: costs.Usage{costs.PutObject: 300_000, costs.GetObject: 1}},
			{Run: 3, Command: "verify", Ended: true, Day: nov(17), Usage: costs.Usage{costs.ListObjects: 800, costs.GetObject: 1}},
		},
	}
	for d := nov(18); d <= nov(22); d++ {
		f.Runs = append(f.Runs, ledger.RunDay{Run: int64(d-nov(18)) + 4, Command: "sync", Ended: true, Day: d, Usage: costs.Usage{costs.PutObject: 1000, costs.GetObject: 1}})
		f.Stored = append(f.Stored, ledger.StoredDay{Day: d, Run: int64(d-nov(18)) + 4, Bytes: gb})
	}
	return f
}

// account is what Cloudflare says beside it: 20,000 PUTs and 200,000 reads of
// Mastodon's and its visitors' a day, and 5 GB of another bucket.
func account(f billing.Figures) billing.Figures {
	f.Account = &billing.Account{}
	for d := nov(15); d <= nov(22); d++ {
		day := cloudflare.Day{Date: d.Start(), State: cloudflare.Complete, Sampling: cloudflare.Unsampled}
		stored := day
		stored.Sampling = cloudflare.SamplingUnknown
		if d == nov(22) {
			day.State, day.Reason, stored.State, stored.Reason = cloudflare.Partial, cloudflare.NotOver, cloudflare.Partial, cloudflare.NotOver
		}
		f.Account.Operations.Coverage = append(f.Account.Operations.Coverage, day)
		f.Account.Storage.Coverage = append(f.Account.Storage.Coverage, stored)
		own := costs.Usage{costs.PutObject: 20_000, costs.GetObject: 200_000, costs.DeleteObjects: 3}
		for _, r := range f.Runs {
			if r.Day == d {
				own = own.Add(r.Usage)
			}
		}
		for op, n := range own.All() {
			f.Account.Operations.Rows = append(f.Account.Operations.Rows, row(d, op.String(), n))
		}
		f.Account.Storage.Rows = append(f.Account.Storage.Rows,
			cloudflare.Stored{Day: d.Start(), Bucket: "backup", StorageClass: cloudflare.ClassStandard, Payload: 5 * gb},
			cloudflare.Stored{Day: d.Start(), Bucket: "media", StorageClass: cloudflare.ClassStandard, Payload: max(0, min(int64(d-nov(15))*50, 100)) * gb})
	}
	return f
}

func row(d costs.Day, name string, n int64) cloudflare.Operation {
	op, _ := costs.ParseOp(name)
	return cloudflare.Operation{Day: d.Start(), Type: name, Op: op, Status: cloudflare.Success, StorageClass: cloudflare.ClassStandard, Requests: n}
}

func quantity(b costs.Bill, meter string) int64 {
	return b.Line(costs.StandardClass, meter).Quantity.IntPart()
}

// The ledger alone: 800,000 of the first sync, and 1,000 a day that go on. The first
// sync taken for a habit would end above the free million.
func TestFirstSyncIsNoHabit(t *testing.T) {
	t.Parallel()
	f := instance()
	r := f.Report()
	if got := quantity(r.Bill, "Class A"); got != 805_800 {
		t.Errorf("%d Class A so far", got)
	}
	// the verify of one day is no habit either: 4,000 in six days
	if got := quantity(r.Forecast.Bill, "Class A"); got != 805_800+14_667 {
		t.Errorf("%d Class A in the end", got)
	}
	if last := r.Forecast.Days[29]; last.Bytes != 85*gb+22*gb*4/5+400_000_000 && last.Bytes < 100*gb || last.Bytes > 110*gb {
		t.Errorf("%d bytes in the end", last.Bytes)
	}
	first := 0
	for _, u := range r.Own.Runs {
		if u.FirstSync {
			first++
		}
	}
	if first != 2 || !strings.Contains(fmt.Sprint(r.Notes), "first sync (run 1, 2)") || len(r.Partial) != 0 {
		t.Errorf("%d runs, notes %q, partial %q", first, r.Notes, r.Partial)
	}
	f.Began.Moved = 0 // it still goes on: all syncs are of the first
	r = f.Report()
	if got := quantity(r.Forecast.Bill, "Class A"); got != 805_800 {
		t.Errorf("%d Class A in the end", got)
	}
	if !strings.Contains(fmt.Sprint(r.Notes), "not over") || !strings.Contains(fmt.Sprint(r.Notes), "run 1, 2, 4, …, 8)") {
		t.Errorf("notes %q", r.Notes)
	}
}

// Reading the bucket back once is no habit, whenever in the window it was and however
// long it took; a second one on another day makes it one.
func TestOneRunIsNoHabit(t *testing.T) {
	t.Parallel()
	read := func(run int64, d costs.Day) ledger.RunDay {
		return ledger.RunDay{Run: run, Command: "verify --read", Ended: true, Day: d, Usage: costs.Usage{costs.GetObject: 700_000}}
	}
	base := instance()
	habits := quantity(base.Report().Forecast.Bill, "Class B") - quantity(base.Report().Bill, "Class B")
	for name, tt := range map[string]struct {
		runs  []ledger.RunDay
		want  int64 // expected beyond what is habit anyway
		noted bool
	}{
		"today":                {[]ledger.RunDay{read(20, nov(22))}, 0, true},
		"yesterday":            {[]ledger.RunDay{read(20, nov(21))}, 0, true},
		"over midnight":        {[]ledger.RunDay{read(20, nov(20)), read(20, nov(21))}, 0, true},
		"twice on a day":       {[]ledger.RunDay{read(20, nov(21)), read(21, nov(21))}, 0, true},
		"today, and yesterday": {[]ledger.RunDay{read(20, nov(21)), read(21, nov(22))}, 0, true},
		"on two days":          {[]ledger.RunDay{read(20, nov(20)), read(21, nov(21))}, 23 * 1_400_000 / 6, false},
	} {
		f := instance()
		f.Runs = append(f.Runs, tt.runs...)
		r := f.Report()
		got := quantity(r.Forecast.Bill, "Class B") - quantity(r.Bill, "Class B") - habits
		if got < tt.want-10 || got > tt.want+10 {
			t.Errorf("%s: %d Class B are expected, want %d", name, got, tt.want)
		}
		if noted := strings.Contains(strings.Join(r.Notes, "\n"), "verify --read (run 20"); noted != tt.noted {
			t.Errorf("%s: notes %q", name, r.Notes)
		}
	}
}

// A sync of one day lets the bucket grow once, not daily.
func TestOneRunIsNoGrowth(t *testing.T) {
	t.Parallel()
	f := instance()
	f.Runs = append(f.Runs[:3:3], ledger.RunDay{Run: 4, Command: "sync", Ended: true, Day: nov(20), Usage: costs.Usage{costs.PutObject: 7_000}})
	f.Stored = append(f.Stored[:3:3], ledger.StoredDay{Day: nov(20), Run: 4, Bytes: 40 * gb})
	if last := f.Report().Forecast.Days[29]; last.Bytes != 120*gb || last.ClassA != 0 {
		t.Errorf("%+v in the end", last)
	}
}

// A joining ledger's adopted objects were in the bucket before: for Cloudflare they
// let nothing grow, and the forecast must not shrink the bucket by them.
func TestAdoptedIsNoGrowth(t *testing.T) {
	t.Parallel()
	f := account(instance())
	for i := range f.Account.Storage.Rows {
		f.Account.Storage.Rows[i].Payload = 50 * gb // two buckets, all the time
	}
	for i := range f.Stored {
		f.Stored[i].Adopted = f.Stored[i].Bytes
	}
	if last := f.Report().Forecast.Days[29]; last.Bytes != 100*gb {
		t.Errorf("with Cloudflare's figures: %d bytes in the end", last.Bytes)
	}
	f.Account = nil
	if last := f.Report().Forecast.Days[29]; last.Bytes < 85*gb {
		t.Errorf("with the ledger's: %d bytes in the end", last.Bytes)
	}
}

func TestSharesOfTheAccount(t *testing.T) {
	t.Parallel()
	f := account(instance())
	r := f.Report()
	want := map[string]billing.Shares{
		"PutObject":     {Analytics: 965_000, Own: 805_000, Others: 160_000},
		"ListObjects":   {Analytics: 800, Own: 800},
		"GetObject":     {Analytics: 1_600_008, Own: 8, Others: 1_600_000},
		"DeleteObjects": {Analytics: 24, Unknown: 24},
	}
	got := map[string]billing.Shares{}
	for _, u := range r.Operations.Types {
		got[u.Type] = u.Shares
	}
	if diff := gocmp.Diff(want, got); diff != "" || r.Operations.NotYet != 0 {
		t.Errorf("%+v (-want +got):\n%s", r.Operations.Shares, diff)
	}
	if len(r.Partial) != 0 {
		t.Errorf("partial: %q", r.Partial)
	}
	if names := fmt.Sprint(ids(r)); !strings.Contains(names, "unlisted-ops") || strings.Contains(names, "own-use") || !strings.Contains(names, "sampled-counts") {
		t.Errorf("footnotes %v", names)
	}
	// 965,824 of Class A, 20,003 more a day from others and 1,000 of ours: past a million on the 24th
	if s := r.Forecast.Steps(); !slices.ContainsFunc(s, func(s costs.Step) bool { return s.Meter == "Class A" && s.Day == nov(24) }) {
		t.Errorf("steps %v", s)
	}
}

func ids(r billing.Report) (names []costs.AssumptionID) {
	for _, a := range r.Footnotes {
		names = append(names, a.ID)
	}
	return names
}

// Analytics that are late, sampled or missing have less than the ledger: the rest is
// named, and billed.
func TestNotInTheAnalyticsYet(t *testing.T) {
	t.Parallel()
	f := account(instance())
	a := f.Account
	a.Operations.Rows = slices.DeleteFunc(a.Operations.Rows, func(o cloudflare.Operation) bool { return costs.DayOf(o.Day) == nov(17) })
	a.Operations.Coverage[2] = cloudflare.Day{Date: nov(17).Start(), State: cloudflare.Missing, Reason: cloudflare.NoRows}
	for i, o := range a.Operations.Rows {
		if costs.DayOf(o.Day) == nov(16) && o.Op == costs.PutObject {
			a.Operations.Rows[i].Requests = 490_000
			a.Operations.Coverage[1].Sampling = cloudflare.Sampled
		}
	}
	r := f.Report()
	o := r.Operations
	// 310,000 PUTs, a verify's 800 LISTs and two GETs are only in the ledger
	if o.NotYet != 300_000+10_000+800+2 || o.Own != 805_000+800+8 || o.Analytics+o.NotYet != o.Own+o.Others+o.Unknown {
		t.Errorf("%+v", o.Shares)
	}
	if got := quantity(r.Bill, "Class A"); got != 800_000+800+5_000+6*20_000+7*3 {
		t.Errorf("%d Class A", got)
	}
	want := []string{"operations of 2026-11-16: estimates from a sample", "operations of 2026-11-17: no figures"}
	if !slices.Equal(r.Partial, want) {
		t.Errorf("partial: %q, want %q", r.Partial, want)
	}
}

// A pace is taken from days that are known: a missing one is not a day on which
// nobody came.
func TestMissingDaysSlowNothing(t *testing.T) {
	t.Parallel()
	f := account(instance())
	whole := f.Report().Forecast.Days[20].ClassA
	a := f.Account
	a.Operations.Rows = slices.DeleteFunc(a.Operations.Rows, func(o cloudflare.Operation) bool { return costs.DayOf(o.Day) == nov(18) })
	a.Operations.Coverage[3] = cloudflare.Day{Date: nov(18).Start(), State: cloudflare.Missing, Reason: cloudflare.NotAnswered}
	// six days of 20,003 and three syncs; the seventh day has the fourth
	if got := f.Report().Forecast.Days[20].ClassA; got != 20_503 || whole != 20_574 {
		t.Errorf("%d Class A on a day to come, with all days %d", got, whole)
	}
}

// Each missing day, yesterday among them, is expected to have been like the others.
func TestMissingYesterday(t *testing.T) {
	t.Parallel()
	f := account(instance())
	whole := f.Report().Forecast
	for i, d := range []costs.Day{nov(21), nov(16)} {
		f.Account.Operations.Rows = slices.DeleteFunc(f.Account.Operations.Rows, func(o cloudflare.Operation) bool { return costs.DayOf(o.Day) == d })
		f.Account.Operations.Coverage[d-nov(15)] = cloudflare.Day{Date: d.Start(), State: cloudflare.Missing, Reason: cloudflare.NotAnswered}
		r := f.Report()
		for _, meter := range []string{"Class A", "Class B"} {
			got, want := quantity(r.Forecast.Bill, meter), quantity(whole.Bill, meter)
			if got < want*99/100 || got > want*101/100 {
				t.Errorf("%d days missing: %d %s in the end, want about %d", i+1, got, meter, want)
			}
		}
		if r.Bill.Total.GreaterThan(r.Forecast.Bill.Total) || !r.Forecast.Days[d-nov(15)].Expected || !strings.Contains(strings.Join(r.Notes, "\n"), d.String()) {
			t.Errorf("%+v, notes %q", r.Forecast.Days[d-nov(15)], r.Notes)
		}
	}
	f.Now = f.Now.AddDate(0, 2, 0) // nothing is expected of a cycle that is over
	if r := f.Report(); !r.Forecast.Bill.Total.Equal(r.Bill.Total) || strings.Contains(fmt.Sprint(r.Notes), "pace") {
		t.Errorf("%v, in the end %v, notes %q", r.Bill.Total, r.Forecast.Bill.Total, r.Notes)
	}
}

// What others ask of Infrequent Access hides nothing that mediamove sent: its objects
// are in Standard.
func TestInfrequentAccessIsOthers(t *testing.T) {
	t.Parallel()
	f := account(instance())
	f.Account.Operations.Rows = slices.DeleteFunc(f.Account.Operations.Rows, func(o cloudflare.Operation) bool { return costs.DayOf(o.Day) == nov(16) })
	backup := row(nov(16), "PutObject", 700_000)
	backup.StorageClass = cloudflare.ClassInfrequentAccess
	f.Account.Operations.Rows = append(f.Account.Operations.Rows, backup)
	r := f.Report()
	i := slices.IndexFunc(r.Operations.Types, func(u billing.TypeUse) bool { return u.Type == "PutObject" })
	want := billing.Shares{Analytics: 965_000 - 520_000 + 700_000, NotYet: 500_000, Own: 805_000, Others: 840_000}
	if got := r.Operations.Types[i].Shares; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := quantity(r.Bill, "Class A"); got != 945_000+800+7*3 {
		t.Errorf("%d Class A in Standard", got)
	}
}

// What is left in a million is Mastodon's first: no limit of mediamove's stops it.
func TestLeverLeavesOthersTheirs(t *testing.T) {
	t.Parallel()
	f := account(instance()) // 34,176 are left, and others send 440,000
	if i := slices.IndexFunc(f.Report().Levers, func(e costs.Effect) bool { return e.ID == costs.LeverClassAStep }); i >= 0 {
		t.Errorf("%+v", f.Report().Levers[i])
	}
}

// Others' objects don't grow from nothing behind days that only the ledger knows.
func TestOthersObjectsAreNoGrowth(t *testing.T) {
	t.Parallel()
	f := account(instance())
	f.Account.Storage.Rows = slices.DeleteFunc(f.Account.Storage.Rows, func(s cloudflare.Stored) bool { return costs.DayOf(s.Day) < nov(19) })
	for i, s := range f.Account.Storage.Rows {
		if s.Bucket == "media" {
			f.Account.Storage.Rows[i].Payload = 700 * gb
		}
	}
	if last := f.Report().Forecast.Days[29]; last.Bytes != 705*gb {
		t.Errorf("%d bytes in the end", last.Bytes)
	}
}

// Analytics of which no day is kept any more tell nothing of the account.
func TestNothingKept(t *testing.T) {
	t.Parallel()
	f := account(instance())
	f.Now = f.Now.AddDate(0, 3, 0)
	f.Account.Operations.Rows, f.Account.Storage.Rows = nil, nil
	for i := range f.Account.Operations.Coverage {
		f.Account.Operations.Coverage[i] = cloudflare.Day{Date: f.Account.Operations.Coverage[i].Date, State: cloudflare.Missing, Reason: cloudflare.TooOld}
	}
	r := f.Report()
	if r.Operations != nil || !slices.Contains(ids(r), costs.OwnUse) || quantity(r.Bill, "Class A") != 805_800 || len(r.Partial) == 0 || r.Storage[0].Source != billing.FromLedger {
		t.Errorf("operations %+v, partial %q, footnotes %v", r.Operations, r.Partial, ids(r))
	}
}

// What was never asked, or is of another day, is no reason; each other kind is.
func TestPartial(t *testing.T) {
	t.Parallel()
	broke := &cloudflare.Error{Dataset: "storage", Status: 200, Err: cloudflare.ErrLimit}
	for name, tt := range map[string]struct {
		change func(f *billing.Figures)
		want   []string
	}{
		"whole":      {func(*billing.Figures) {}, nil},
		"no account": {func(f *billing.Figures) { f.Account = nil }, nil},
		"over, but the last day's figures are not in": {func(f *billing.Figures) {
			f.Period = costs.Period{From: nov(15), To: nov(22)}
			f.Account.Storage.Coverage[6].State, f.Account.Storage.Coverage[6].Reason = cloudflare.Partial, cloudflare.NotOver
		}, []string{"storage of 2026-11-21: incomplete: not over"}},
		"days of before the cycle": {func(f *billing.Figures) {
			f.Account.Operations.Coverage[0].Date = nov(12).Start()
			f.Account.Operations.Coverage[0].State, f.Account.Operations.Coverage[0].Reason = cloudflare.Missing, cloudflare.TooOld
		}, nil},
		"gaps": {func(f *billing.Figures) {
			for _, i := range []int{0, 2, 4, 5, 6} {
				f.Account.Storage.Coverage[i].State, f.Account.Storage.Coverage[i].Reason = cloudflare.Missing, cloudflare.NotAnswered
			}
			f.Account.Storage.Coverage[3].State, f.Account.Storage.Coverage[3].Reason = cloudflare.Partial, cloudflare.Gap
		}, []string{
			"storage of 2026-11-15, 2026-11-17, 2026-11-19 to 2026-11-21 (5 days): not answered",
			"storage of 2026-11-18: incomplete: no figures of one bucket",
		}},
		"one question broke off": {func(f *billing.Figures) {
			f.Account.StorageErr = fmt.Errorf("%w: %w", cloudflare.ErrPartial, broke)
			f.Account.Storage.Coverage[6].State, f.Account.Storage.Coverage[6].Reason = cloudflare.Missing, cloudflare.NotAnswered
		}, []string{"only a part was answered: read R2 storage from Cloudflare: too many queries", "storage of 2026-11-21: not answered"}},
		"one question was refused": {func(f *billing.Figures) {
			f.Account.StorageErr = broke
			f.Account.Storage.Coverage[6].State, f.Account.Storage.Coverage[6].Reason = cloudflare.Missing, cloudflare.NotAnswered
		}, []string{"read R2 storage from Cloudflare: too many queries"}},
		"a storage class of tomorrow": {func(f *billing.Figures) {
			f.Account.Operations.Rows[0].StorageClass = "Frozen"
			f.Account.Storage.Rows[0].StorageClass = "Frozen"
		}, []string{`storage class "Frozen" has no price here: counted as Standard`}},
	} {
		f := account(instance())
		tt.change(&f)
		if r := f.Report(); !slices.Equal(r.Partial, tt.want) {
			t.Errorf("%s: %q, want %q", name, r.Partial, tt.want)
		}
	}
}

// Where a day's storage figure comes from, and what a day without one is taken for.
func TestStorageSources(t *testing.T) {
	t.Parallel()
	f := account(instance())
	f.Account.Storage.Rows = slices.DeleteFunc(f.Account.Storage.Rows, func(s cloudflare.Stored) bool {
		d := costs.DayOf(s.Day)
		return d < nov(18) || d > nov(20)
	})
	f.Account.Storage.Rows[0].StorageClass = cloudflare.ClassInfrequentAccess
	got := map[costs.Day]billing.StorageDay{}
	for _, d := range f.Report().Storage {
		got[d.Day] = d
	}
	want := map[costs.Day]billing.StorageDay{
		nov(16): {nov(16), 50 * gb, billing.FromLedger}, // before the first run nothing is known of the 15th
		nov(17): {nov(17), 80 * gb, billing.FromLedger},
		nov(18): {nov(18), 105 * gb, billing.FromCloudflare},
		nov(19): {nov(19), 105 * gb, billing.FromCloudflare},
		nov(20): {nov(20), 105 * gb, billing.FromCloudflare},
		nov(21): {nov(21), 106 * gb, billing.Carried}, // and the gigabyte that was sent
		nov(22): {nov(22), 107 * gb, billing.Carried},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r := f.Report()
	if names := fmt.Sprint(ids(r)); !strings.Contains(names, "missing-days") || !strings.Contains(names, "minimum-duration") || len(r.Notes) != 3 {
		t.Errorf("footnotes %v, notes %q", names, r.Notes)
	}
}

// The budget: the day it is crossed, what crosses it, and which lever keeps it.
func TestBudget(t *testing.T) {
	t.Parallel()
	f := account(instance())
	for _, tt := range []struct{ budget, day, lever string }{
		{"6.00", "2026-12-11", costs.LeverStoreLess},
		{"5.00", "2026-11-28", ""}, // others alone begin the million
		{"7.00", "", ""},
		{"0.10", "2026-11-21", ""},
	} {
		f.Budget = dec(tt.budget)
		r := f.Report()
		day := ""
		if r.Budget.Crossed != nil {
			day = r.Budget.Crossed.Day.String()
		}
		e, ok := r.Keeps()
		if day != tt.day || e.ID != tt.lever || ok != (tt.lever != "") {
			t.Errorf("%s of %v: crossed on %q, kept by %q; want %+v", tt.budget, r.Forecast.Bill.Total, day, e.ID, tt)
		}
	}
	f.Now, f.Budget = nov(15).Start().AddDate(0, 2, 0), dec("1.00")
	if r := f.Report(); len(r.Levers) != 0 || !r.Over || !r.Forecast.Bill.Total.Equal(r.Bill.Total) {
		t.Errorf("of a cycle that is over: %v of %v, levers %+v", r.Bill.Total, r.Forecast.Bill.Total, r.Levers)
	}
}

// What mediamove's own requests add to a bill is a matter of the million they begin.
func TestAdds(t *testing.T) {
	t.Parallel()
	f := instance()
	if r := f.Report(); !r.Adds.IsZero() {
		t.Errorf("within the free million they add %v", r.Adds)
	}
	f.Runs = append(f.Runs, ledger.RunDay{Run: 9, Command: "sync", Day: nov(22), Usage: costs.Usage{costs.PutObject: 200_000}})
	if r := f.Report(); costs.FormatUSD(r.Adds) != "4.50" {
		t.Errorf("past the free million they add %v", r.Adds)
	}
	f = account(f)
	f.Account.Operations.Rows = append(f.Account.Operations.Rows, row(nov(20), "CopyObject", 900_000))
	if r := f.Report(); costs.FormatUSD(r.Adds) != "4.50" || costs.FormatUSD(r.Bill.Line(costs.StandardClass, "Class A").USD) != "9.00" {
		t.Errorf("beside others they add %v of %v", r.Adds, r.Bill.Total)
	}
}

// Nonsense of a server must not turn into a small bill.
func TestAbsurdFigures(t *testing.T) {
	t.Parallel()
	f := account(instance())
	for d := nov(15); d <= nov(22); d++ {
		f.Account.Operations.Rows = append(f.Account.Operations.Rows, row(d, "CopyObject", 1<<63-1))
		f.Account.Storage.Rows = append(f.Account.Storage.Rows, cloudflare.Stored{Day: d.Start(), Payload: 1<<63 - 1})
	}
	r := f.Report()
	for _, d := range r.Storage {
		if d.Bytes < 1e15 {
			t.Errorf("%+v", d)
		}
	}
	if r.Bill.Total.LessThan(decimal.NewFromInt(1_000_000)) || r.Operations.Total() < 1e12 || r.Forecast.Bill.Total.LessThan(r.Bill.Total) {
		t.Errorf("%v, in the end %v, of %d operations", r.Bill.Total, r.Forecast.Bill.Total, r.Operations.Total())
	}
}

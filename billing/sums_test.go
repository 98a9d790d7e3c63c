package billing_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"example.org/mediamove/billing"
	"example.org/mediamove/cloudflare"
	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
)

// anyFigures are what a ledger and Cloudflare may say of a cycle that runs or is over.
func anyFigures(t *rapid.T) billing.Figures {
	now := costs.Date(2026, 11, rapid.IntRange(1, 30).Draw(t, "today"))
	c := costs.Cycle{Day: rapid.IntRange(1, 31).Draw(t, "cycle")}
	f := billing.Figures{
		Prices: costs.R2(), Now: now.Start().Add(time.Duration(rapid.Int64Range(0, int64(24*time.Hour)-1).Draw(t, "time"))),
		Period: c.Month(2026, time.Month(rapid.IntRange(9, 11).Draw(t, "month"))),
		Began:  ledger.Beginning{First: (now - costs.Day(rapid.IntRange(0, 90).Draw(t, "first"))).Start(), Moved: rapid.Int64Range(0, 5).Draw(t, "moved")},
	}
	if rapid.Bool().Draw(t, "budget") {
		f.Budget = new(decimal.New(rapid.Int64Range(0, 2000).Draw(t, "cents"), -2))
	}
	if f.Period.From > now {
		f.Period = c.Of(f.Now)
	}
	days := costs.Period{From: min(f.Period.From, now-7), To: min(f.Period.To, now+1)}
	if f.Period.To <= now {
		days = f.Period
	}
	f.Runs, f.Stored = anyRuns(t, days), anyStored(t, days)
	if rapid.Bool().Draw(t, "cloudflare") {
		f.Account = anyAccount(t, days)
	}
	return f
}

func dayIn(t *rapid.T, p costs.Period, label string) costs.Day {
	return p.From + costs.Day(rapid.IntRange(0, p.Days()-1).Draw(t, label))
}

func anyRuns(t *rapid.T, days costs.Period) []ledger.RunDay {
	ops := []costs.Op{costs.PutObject, costs.ListObjects, costs.HeadObject, costs.GetObject, costs.DeleteObject, costs.DeleteObjects, costs.Unknown}
	var runs []ledger.RunDay
	for n := range rapid.IntRange(0, 6).Draw(t, "runs") {
		command := rapid.SampledFrom([]string{"sync", "verify", "prune"}).Draw(t, "command")
		for d := dayIn(t, days, "begin"); d < days.To; d++ {
			r := ledger.RunDay{Run: int64(n + 1), Command: command, Ended: n%2 == 0, Day: d}
			for range rapid.IntRange(0, 3).Draw(t, "ops") {
				r.Usage[rapid.SampledFrom(ops).Draw(t, "op")] += rapid.Int64Range(1, 2_000_000).Draw(t, "count")
			}
			runs = append(runs, r)
			if rapid.Bool().Draw(t, "ends") {
				break
			}
		}
	}
	return runs
}

func anyStored(t *rapid.T, days costs.Period) []ledger.StoredDay {
	stored := []ledger.StoredDay{{Day: days.From - 1, Bytes: rapid.Int64Range(0, 1e11).Draw(t, "before")}}
	for d := range days.All() {
		if rapid.IntRange(0, 3).Draw(t, "stores") == 0 {
			n := rapid.Int64Range(0, 1e11).Draw(t, "bytes")
			stored = append(stored, ledger.StoredDay{Day: d, Run: rapid.Int64Range(1, 6).Draw(t, "run"), Bytes: n, Adopted: rapid.Int64Range(0, n).Draw(t, "adopted")})
		}
	}
	return stored
}

func anyCoverage(t *rapid.T, days costs.Period) cloudflare.Coverage {
	var c cloudflare.Coverage
	for d := range days.All() {
		day := cloudflare.Day{Date: d.Start(), State: rapid.SampledFrom([]cloudflare.State{cloudflare.Complete, cloudflare.Complete, cloudflare.Partial, cloudflare.Missing}).Draw(t, "state")}
		if day.State != cloudflare.Complete {
			day.Reason = rapid.SampledFrom([]cloudflare.Reason{cloudflare.NotAnswered, cloudflare.NotOver, cloudflare.NoRows}).Draw(t, "reason")
		}
		if day.State != cloudflare.Missing {
			day.Sampling = cloudflare.Sampling(rapid.IntRange(0, 2).Draw(t, "sampling"))
		}
		c = append(c, day)
	}
	return c
}

func anyAccount(t *rapid.T, days costs.Period) *billing.Account {
	types := []string{"PutObject", "ListObjects", "ListObjectsV2", "GetObject", "DeleteObject", "DeleteObjects", "LifecycleStorageTierTransition", "FoldObject", "Unknown"}
	classes := []string{"", "Standard", "Standard", "InfrequentAccess", "Frozen"}
	a := &billing.Account{Operations: cloudflare.Operations{Coverage: anyCoverage(t, days)}, Storage: cloudflare.Storage{Coverage: anyCoverage(t, days)}}
	for _, d := range a.Operations.Coverage {
		for _, name := range types {
			if d.State == cloudflare.Missing || rapid.IntRange(0, 3).Draw(t, "has") > 0 {
				continue
			}
			op, _ := costs.ParseOp(name)
			a.Operations.Rows = append(a.Operations.Rows, cloudflare.Operation{
				Day: d.Date, Type: name, Op: op, Status: rapid.SampledFrom([]string{cloudflare.Success, cloudflare.UserError}).Draw(t, "status"),
				StorageClass: rapid.SampledFrom(classes).Draw(t, "class"), Requests: rapid.Int64Range(0, 2_000_000).Draw(t, "requests"),
				ResponseBytes: rapid.Int64Range(0, 1e12).Draw(t, "bytes"),
			})
		}
	}
	for _, d := range a.Storage.Coverage {
		for _, class := range classes[1:] {
			if d.State != cloudflare.Missing && rapid.Bool().Draw(t, "holds") {
				a.Storage.Rows = append(a.Storage.Rows, cloudflare.Stored{Day: d.Date, Bucket: "b", StorageClass: class, Payload: rapid.Int64Range(0, 1e12).Draw(t, "payload"), Metadata: 7})
			}
		}
	}
	return a
}

func sent(u costs.Usage) (n int64) {
	for _, m := range u.All() {
		n += m
	}
	return n
}

// TestSumsAddUp: by run, by command and by type it is always the same total, and each
// type's shares are all of it.
func TestSumsAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := anyFigures(t)
		r := f.Report()
		var want, runs, commands costs.Usage
		for _, d := range f.Runs {
			if f.Period.Contains(d.Day) {
				want = want.Add(d.Usage)
			}
		}
		count := 0
		for _, u := range r.Own.Runs {
			runs = runs.Add(u.Usage)
		}
		for _, u := range r.Own.Commands {
			commands = commands.Add(u.Usage)
			count += u.Runs
		}
		if r.Own.Usage != want || runs != want || commands != want || count != len(r.Own.Runs) {
			t.Fatalf("own %v, runs %v, commands %v of %d runs; want %v", r.Own.Usage, runs, commands, count, want)
		}
		if r.Operations == nil {
			return
		}
		var sum billing.Shares
		for _, u := range r.Operations.Types {
			s := u.Shares
			if s.Analytics+s.NotYet != s.Own+s.Others+s.Unknown || min(s.Analytics, s.NotYet, s.Own, s.Others, s.Unknown) < 0 {
				t.Fatalf("%s: %+v", u.Type, s)
			}
			if s.Own > 0 && s.Own != want.Get(u.Op) || u.Op.Listed() && s.Unknown != 0 || !u.Op.Listed() && s.Others != 0 {
				t.Fatalf("%s: %+v, mediamove sent %d", u.Type, s, want.Get(u.Op))
			}
			sum = billing.Shares{Analytics: sum.Analytics + s.Analytics, NotYet: sum.NotYet + s.NotYet, Own: sum.Own + s.Own, Others: sum.Others + s.Others, Unknown: sum.Unknown + s.Unknown}
		}
		var analytics int64
		for _, row := range f.Account.Operations.Rows {
			if f.Period.Contains(costs.DayOf(row.Day)) {
				analytics += row.Requests
			}
		}
		if sum != r.Operations.Shares || sum.Own != sent(want) || sum.Analytics != analytics {
			t.Fatalf("%+v, in all %+v; mediamove sent %d, the analytics have %d", sum, r.Operations.Shares, sent(want), analytics)
		}
	})
}

// naive is the account by the rule itself: what Cloudflare counted, and by day and
// type what mediamove sent beyond that.
func naive(f billing.Figures) costs.Account {
	requests := [2]map[costs.Day]costs.Usage{{}, {}}
	retrieved := map[costs.Day]int64{}
	beyond := map[costs.Day]costs.Usage{}
	add := func(class costs.StorageClass, d costs.Day, op costs.Op, n int64) {
		u := requests[class][d]
		u[op] += n
		requests[class][d] = u
	}
	for _, r := range f.Runs {
		beyond[r.Day] = beyond[r.Day].Add(r.Usage)
	}
	if f.Account != nil {
		for _, r := range f.Account.Operations.Rows {
			d := costs.DayOf(r.Day)
			class, _ := costs.ParseStorageClass(r.StorageClass)
			add(class, d, r.Op, r.Requests)
			if class == costs.StandardClass && (r.Op != costs.Unknown || r.Type == "Unknown") {
				u := beyond[d]
				u[r.Op] -= r.Requests
				beyond[d] = u
			}
			if class == costs.InfrequentAccess && r.Op == costs.GetObject {
				retrieved[d] += r.ResponseBytes
			}
		}
	}
	for d, u := range beyond {
		for op, n := range u.All() {
			add(costs.StandardClass, d, op, max(0, n))
		}
	}
	return costs.Account{
		Standard:   costs.Track{Requests: requests[0], Stored: costs.Storage{}},
		Infrequent: costs.Track{Requests: requests[1], Stored: costs.Storage{}, Retrieved: retrieved},
	}
}

// TestBillIsCosts: the report's bill is what costs makes of the same figures, its
// operations are the bill's, and so is its storage.
func TestBillIsCosts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := anyFigures(t)
		r := f.Report()
		a := naive(f)
		for _, d := range r.Storage { // in one class: the sum is what is checked
			a.Standard.Stored[d.Day] = d.Bytes
		}
		want := f.Prices.BillOf(a, f.Period, min(costs.DayOf(f.Now), f.Period.To-1))
		for _, meter := range []string{costs.StorageMeter, "Class A", "Class B"} {
			sum := func(b costs.Bill) decimal.Decimal {
				return b.Line(costs.StandardClass, meter).Quantity.Add(b.Line(costs.InfrequentAccess, meter).Quantity)
			}
			if !sum(r.Bill).Sub(sum(want)).Abs().LessThan(decimal.New(1, -17)) {
				t.Fatalf("%s: %v, want %v", meter, sum(r.Bill), sum(want))
			}
		}
		for i := 1; i < 3; i++ {
			if got, want := r.Bill.Lines[i], want.Lines[i]; !got.USD.Equal(want.USD) || !got.Quantity.Equal(want.Quantity) {
				t.Fatalf("%v, want %v", got, want)
			}
		}
		if r.Over && !r.Forecast.Bill.Total.Equal(r.Bill.Total) || r.Forecast.Bill.Total.LessThan(r.Bill.Total) {
			t.Fatalf("the bill is %v, forecast %v", r.Bill.Total, r.Forecast.Bill.Total)
		}
		if r.Adds.IsNegative() || r.Adds.GreaterThan(r.Bill.Total) {
			t.Fatalf("mediamove's part is %v of %v", r.Adds, r.Bill.Total)
		}
		if r.Operations == nil {
			return
		}
		byClass := map[costs.OpClass]int64{}
		for _, u := range r.Operations.Types {
			byClass[u.Op.Class()] += u.Total()
		}
		for _, c := range []costs.OpClass{costs.ClassA, costs.ClassB} {
			billed := r.Bill.Line(costs.StandardClass, c.String()).Quantity.Add(r.Bill.Line(costs.InfrequentAccess, c.String()).Quantity)
			if billed.IntPart() != byClass[c] {
				t.Fatalf("%v: the types make %d, the bill has %v", c, byClass[c], billed)
			}
		}
	})
}

// TestReportIsOfItsFigures: the same figures make the same report, to the order of
// its lines.
func TestReportIsOfItsFigures(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := anyFigures(t)
		one, two := f.Report(), f.Report()
		if diff := gocmp.Diff(one, two, gocmp.Comparer(decimal.Decimal.Equal)); diff != "" {
			t.Fatal(diff)
		}
		if !slices.IsSortedFunc(one.Storage, func(a, b billing.StorageDay) int { return cmp.Compare(a.Day, b.Day) }) {
			t.Fatal("days are out of order")
		}
		for _, d := range one.Storage {
			if !f.Period.Contains(d.Day) || d.Day > one.Today || d.Bytes < 0 {
				t.Fatalf("%+v is not of the cycle", d)
			}
		}
		if one.Budget == nil != (f.Budget == nil) {
			t.Fatal("a budget")
		}
		if b := one.Budget; b != nil && (b.Crossed != nil) != one.Forecast.Bill.Total.GreaterThan(b.USD) {
			t.Fatalf("%+v, the forecast is %v", b, one.Forecast.Bill.Total)
		}
		if e, ok := one.Keeps(); ok && (!e.Keeps || e.Bill.Total.GreaterThan(one.Budget.USD)) {
			t.Fatalf("%+v keeps nothing", e)
		}
	})
}

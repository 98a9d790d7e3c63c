package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/ledger"
	"example.org/mediamove/r2"
)

func TestParseUSD(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"0": "0", "4.50": "4.5", "$6": "6", "6.00": "6", "0.000000001": "0.000000001", "007": "7"} {
		if got, err := parseUSD("--budget", s); err != nil || got.String() != want {
			t.Errorf("parseUSD(%q) = %v, %v, want %s", s, got, err, want)
		}
	}
	for _, s := range []string{"", "-1", "+1", "1e3", "4,50", "4.", ".5", "six", "$", "$$1", "1 ", "1€", "1234567890", "0.0000000001", "NaN"} {
		if got, err := parseUSD("--budget", s); exitCode(err) != exitUsage || !strings.Contains(hintFor(err), "--budget 4.50") {
			t.Errorf("parseUSD(%q) = %v, %v", s, got, err)
		}
	}
}

func FuzzParseUSD(f *testing.F) {
	for _, s := range []string{"0", "4.50", "$6", "-1", "1e9", "999999999.999999999", "٣"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		usd, err := parseUSD("--max-cost", s)
		if err != nil {
			return
		}
		if usd.IsNegative() || usd.GreaterThan(decimal.New(1, 9)) {
			t.Errorf("parseUSD(%q) = %v", s, usd)
		}
		if again, err := parseUSD("--max-cost", usd.String()); err != nil || !again.Equal(usd) {
			t.Errorf("parseUSD(%q) = %v, and that is %v: %v", s, usd, again, err)
		}
	})
}

// The brake lets through as many Class A operations as --max-cost pays for, and not one
// more; --max-class-a if that is fewer.
func TestBrake(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		near := rapid.Custom(func(t *rapid.T) int64 {
			return max(0, rapid.Int64Range(0, 4).Draw(t, "millions")*1_000_000+rapid.Int64Range(-3, 3).Draw(t, "more"))
		})
		used := costs.Usage{costs.PutObject: near.Draw(t, "A"), costs.GetObject: rapid.Int64Range(0, 30_000_000).Draw(t, "B")}
		usd := decimal.New(rapid.Int64Range(0, 2000).Draw(t, "cents"), -2)
		a := access{maxCost: &usd, maxClassA: near.Draw(t, "limit"), tariff: tariff{PriceList: costs.R2(), Cycle: costs.Cycle{Day: 15}}}
		b := brakeOf(a, used, noon)
		adds := func(n int64) decimal.Decimal {
			more := used
			more[costs.UploadPart] += n
			return a.tariff.requests(more).Sub(a.tariff.requests(used))
		}
		if adds(b.classA).GreaterThan(usd) {
			t.Errorf("%d operations add $%v, more than $%v", b.classA, adds(b.classA), usd)
		}
		if b.usd && !adds(b.classA+1).GreaterThan(usd) {
			t.Errorf("%d operations more would still do", b.classA+1)
		}
		if a.maxClassA > 0 && b.classA > a.maxClassA || !b.usd && b.classA != a.maxClassA {
			t.Errorf("%+v with --max-class-a %d", b, a.maxClassA)
		}
		if b.until != costs.Date(2026, 12, 15) || b.usd != strings.HasPrefix(b.flag, "--max-cost ") {
			t.Errorf("%+v", b)
		}
	})
	if b := brakeOf(access{}, costs.Usage{costs.PutObject: 5_000_000}, noon); b.flag != "" {
		t.Errorf("a limit that nobody set: %+v", b)
	}
}

// What ended a run says when to run again.
func TestLimitIsTold(t *testing.T) {
	t.Parallel()
	limit := fmt.Errorf("upload x: %w", r2.ErrLimit)
	for _, tt := range []struct {
		limit brake
		err   error
		hint  string
	}{
		{brake{flag: "--max-cost 0", usd: true, until: costs.Date(2026, 12, 1)}, limit, "ends with 2026-11-30: run the same command again after that, or allow more"},
		{brake{flag: "--max-class-a 7"}, limit, "run the same command again to go on; --max-class-a counts per run"},
	} {
		x := &session{limit: tt.limit}
		err := x.told(tt.err)
		if exitCode(err) != exitLeft || !strings.Contains(hintFor(err), tt.hint) || !strings.HasSuffix(err.Error(), ", at "+tt.limit.flag) || !errors.Is(err, r2.ErrLimit) {
			t.Errorf("%v, hint %q", err, hintFor(err))
		}
		if said := x.limited(err); !strings.Contains(said, "ended in order at "+tt.limit.flag) {
			t.Errorf("%q", said)
		}
		if err := x.told(ledger.ErrLocked); !errors.Is(err, ledger.ErrLocked) || strings.Contains(err.Error(), ", at ") || x.limited(err) != "" || x.told(nil) != nil {
			t.Errorf("%v", err)
		}
	}
}

// bookUsage writes a run into a ledger that used so much on a day, and moved 500 files in
// a minute.
func bookUsage(t *testing.T, state string, day time.Time, u costs.Usage) {
	t.Helper()
	led, err := ledger.Open(t.Context(), state, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	run, err := led.Begin(t.Context(), "sync", day.Add(-time.Minute))
	if err == nil {
		err = led.Finish(t.Context(), run, ledger.RunEnd{At: day, Usage: u, Counts: []byte(`{"moved": 500}`), Bytes: 30_000_000})
	}
	if err = errors.Join(err, led.Close()); err != nil {
		t.Fatal(err)
	}
}

// The built program, with a ledger that used 999,990 Class A in this cycle: --max-cost
// ends the run in order before the operation that would cost more, neither one sooner
// nor one later, as the bucket counts them.
func TestMaxCost(t *testing.T) {
	t.Parallel()
	bucket := fixtures.NewBucket(fixtures.Options{})
	s := newSite(t, listen(t, bucket), fixtures.Small(60))
	now := time.Now().UTC()
	bookUsage(t, s.state, now, costs.Usage{costs.PutObject: 999_990})
	sent := func(what string, want int64) {
		t.Helper()
		if got := bucket.Usage().A(); got != want {
			t.Errorf("%s: the bucket got %d Class A by now, want %d", what, got, want)
		}
	}
	r := s.must(exitLeft, s.sync("--max-cost", "0"))
	sent("nothing may be added", 10)
	if r.ClassA != 10 || r.CostUSD != "0.00" || r.Files.Moved != 7 || r.Complete || r.Files.Pending != 53 {
		t.Errorf("%+v", r)
	}
	for _, flags := range [][]string{{"--max-cost", "0.00"}, {"--max-cost", "4.49", "--max-class-a", "1000"}} {
		again := s.run(append([]string{"sync", s.root}, flags...)...)
		until := costs.Cycle{}.Of(now).To - 1
		for _, want := range []string{
			"ended in order at --max-cost ", "The billing cycle ends with " + until.String(),
			"(this ledger used 1,000,000 of the 1,000,000 free Class A this month)", "cost $0.00",
		} {
			if !strings.Contains(again.stdout, want) {
				t.Errorf("%q is missing in %v", want, again)
			}
		}
		s.complaint(again, exitLeft, "--max-cost")
		sent("nothing is left", 10)
	}
	s.complaint(s.run("verify", "--max-cost", "0"), exitStopped, "--max-cost 0") // half a listing tells nothing
	sent("a listing costs too", 10)
	if r := s.must(exitLeft, s.sync("--max-cost", "4.50", "--max-class-a", "5")); r.ClassA != 5 || r.CostUSD != "4.50" {
		t.Errorf("the tighter one wins: %+v", r)
	}
	sent("--max-class-a is the tighter one", 15)
	if r := s.must(exitOK, s.sync("--max-cost", "0")); r.CostUSD != "0.00" || r.Files.Moved != 48 { // the million is begun
		t.Errorf("within what is paid already: %+v", r)
	}
	sent("all of it", 63)
	if r := s.run("verify", "--max-cost", "0"); r.code != exitOK {
		t.Error(r)
	}
}

// What was used before the cycle began doesn't count, and what an old ledger used does.
func TestMaxCostCountsTheCycle(t *testing.T) {
	t.Parallel()
	in := inside(t, 40)
	now := time.Now().UTC()
	bookUsage(t, in.state, now.AddDate(0, 0, -1), costs.Usage{costs.PutObject: 1_000_000})
	var s syncJSON
	decode(t, in.run("sync", in.root, "--json", "--max-cost", "0", "--cycle-day", strconv.Itoa(now.Day())), exitOK, &s)
	if s.Files.Moved == 0 {
		t.Errorf("%+v", s)
	}
	bookUsage(t, in.state, now, costs.Usage{costs.PutObject: 999_990 - s.ClassA})
	in.bucket = fixtures.NewBucket(fixtures.Options{})
	before := in.bucket.Usage()
	r := in.run("sync", in.root, "--new-bucket", "--max-cost", "0", "--cycle-day", strconv.Itoa(now.Day()))
	if sent := in.bucket.Usage().Sub(before); r.code != exitLeft || !strings.Contains(r.stderr, "--max-cost 0") || sent.A() != 10 || in.bucket.Len() != 7 {
		t.Errorf("sent %v, %v", sent, r)
	}
}

// Flags that can't be meant are refused before anything is touched.
func TestCostFlags(t *testing.T) {
	t.Parallel()
	in := inside(t, 5)
	bad := filepath.Join(t.TempDir(), "prices.json")
	if err := os.WriteFile(bad, []byte(`{"schema": "mediamove.prices/2"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"plan", in.root, "--cycle-day", "0"}, "--cycle-day"},
		{[]string{"sync", in.root, "--cycle-day", "32"}, "--cycle-day"},
		{[]string{"plan", in.root, "--budget", "six"}, "--budget"},
		{[]string{"plan", in.root, "--rate", "fast"}, "--rate"},
		{[]string{"plan", in.root, "--allow-empty", "nothing"}, "--allow-empty"},
		{[]string{"sync", in.root, "--max-cost", "-1"}, "--max-cost"},
		{[]string{"verify", "--max-cost", "much"}, "--max-cost"},
		{[]string{"verify", "--against", bad, "--max-cost", "1"}, "--against"},
		{[]string{"plan", in.root, "--prices", bad}, "mediamove.prices/1"},
		{[]string{"sync", in.root, "--prices", bad + "x"}, "--prices"},
	} {
		r := in.run(tt.args...)
		if r.code != exitUsage || !strings.Contains(r.stderr, tt.want) || r.stdout != "" || strings.Count(r.stderr, "\n") != 2 {
			t.Errorf("%v: %v", tt.args, r)
		}
	}
	if _, err := os.Stat(in.state); !os.IsNotExist(err) || !in.bucket.Usage().IsZero() {
		t.Errorf("something was touched: %v, %v", err, in.bucket.Usage())
	}
}

// A price list of one's own prices plans, limits and last screens.
func TestPricesFile(t *testing.T) {
	t.Parallel()
	in := inside(t, 40)
	file := filepath.Join(t.TempDir(), "prices.json")
	text := string(costs.PriceFile())
	head, rest, _ := strings.Cut(text, `"class_a"`)
	rest = strings.Replace(strings.Replace(rest, `"value": "4.50"`, `"value": "7"`, 1), `"value": "1"`, `"value": "0"`, 1)
	if err := os.WriteFile(file, []byte(head+`"class_a"`+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	var p planJSON
	decode(t, in.run("plan", in.root, "--json", "--prices", file), exitOK, &p)
	if p.CostUSD != "7.00" {
		t.Errorf("planned $%s", p.CostUSD)
	}
	if r := in.run("sync", in.root, "--prices", file, "--max-cost", "6.99"); r.code != exitLeft || in.bucket.Usage().A() != 0 {
		t.Errorf("%v, sent %v", r, in.bucket.Usage())
	}
	var s syncJSON
	decode(t, in.run("sync", in.root, "--json", "--prices", file, "--max-cost", "7"), exitOK, &s)
	if s.CostUSD != "7.00" {
		t.Errorf("spent $%s", s.CostUSD)
	}
}

// A run that goes on into another cycle adds to two bills.
func TestSpentOverTwoCycles(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	now := time.Now().UTC()
	began := now.AddDate(0, 0, -1)
	bookUsage(t, state, began, costs.Usage{costs.PutObject: 999_999})
	led, err := ledger.Open(t.Context(), state, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	x := &session{ledger: led, began: began, tariff: tariff{PriceList: costs.R2(), Cycle: costs.Cycle{Day: now.Day()}}}
	if err := x.countOthers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if x.run, err = led.Begin(t.Context(), "sync", began); err != nil {
		t.Fatal(err)
	}
	for day, u := range map[time.Time]costs.Usage{began: {costs.PutObject: 2}, now: {costs.PutObject: 1_000_001}} {
		if err := led.AddUsage(t.Context(), x.run, day, u); err != nil {
			t.Fatal(err)
		}
	}
	used, usd, err := x.spent(t.Context())
	if err != nil || usd.String() != "9" || used != (costs.Usage{costs.PutObject: 1_000_001}) {
		t.Errorf("$%v, %v, %v", usd, used, err)
	}
}

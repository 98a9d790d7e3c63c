package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"example.org/mediamove/billing"
	"example.org/mediamove/cloudflare"
	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
)

func nov(d int) costs.Day { return costs.Date(2026, 11, d) }

// spent are the figures of November 22, 09:30, in a cycle that began on the 15th:
// a first sync of 90 GB on the 16th and 17th, and nightly ones since.
func spent() billing.Figures {
	const gb = 1_000_000_000
	f := billing.Figures{
		Prices: costs.R2(), Period: costs.Cycle{Day: 15}.Month(2026, 11), Now: at(9),
		Began:  ledger.Beginning{First: nov(16).Start(), Moved: 2},
		Stored: []ledger.StoredDay{{Day: nov(14)}, {Day: nov(16), Run: 1, Bytes: 60 * gb}, {Day: nov(17), Run: 2, Bytes: 30 * gb}},
		Runs: []ledger.RunDay{
			{Run: 1, Command: "sync", Day: nov(16), Usage: costs.Usage{costs.PutObject: 500_000, costs.GetObject: 1, costs.ListObjects: 1}},
			{Run: 2, Command: "sync", Ended: true, Day: nov(17), Usage: costs.Usage{costs.PutObject: 300_000, costs.GetObject: 1}},
			{Run: 3, Command: "verify", Ended: true, Day: nov(17), Usage: costs.Usage{costs.ListObjects: 800, costs.GetObject: 1}},
		},
	}
	for d := nov(18); d <= nov(22); d++ {
		n := int64(d - nov(18))
		f.Runs = append(
			f.Runs, ledger.RunDay{Run: 2*n + 4, Command: "sync", Ended: true, Day: d, Usage: costs.Usage{costs.PutObject: 1_200 + 100*n, costs.GetObject: 1}},
			ledger.RunDay{Run: 2*n + 5, Command: "verify", Ended: true, Day: d, Usage: costs.Usage{costs.ListObjects: 801, costs.GetObject: 26_667}})
		f.Stored = append(f.Stored, ledger.StoredDay{Day: d, Run: 2*n + 4, Bytes: gb})
	}
	return f
}

// witnessed adds what Cloudflare says: Mastodon's own, its visitors', a backup's, and
// a type of tomorrow; the 17th is missing, the 16th a sample.
func witnessed(f billing.Figures) billing.Figures {
	f.Account = &billing.Account{}
	for d := nov(15); d <= nov(22); d++ {
		day := cloudflare.Day{Date: d.Start(), State: cloudflare.Complete, Sampling: cloudflare.Unsampled}
		switch d {
		case nov(16):
			day.Sampling = cloudflare.Sampled
		case nov(17):
			day.State, day.Reason, day.Sampling = cloudflare.Missing, cloudflare.NoRows, cloudflare.SamplingUnknown
		case nov(22):
			day.State, day.Reason = cloudflare.Partial, cloudflare.NotOver
		}
		f.Account.Operations.Coverage = append(f.Account.Operations.Coverage, day)
		day.Sampling = cloudflare.SamplingUnknown
		f.Account.Storage.Coverage = append(f.Account.Storage.Coverage, day)
		if day.State == cloudflare.Missing {
			continue
		}
		counts := map[string]int64{"PutObject": 18_000, "GetObject": 410_000, "HeadObject": 3_000, "DeleteObject": 700, "DeleteObjects": 12, "SpindleObject\x1b[2J": 1}
		for _, r := range f.Runs {
			for op, n := range r.Usage.All() {
				if r.Day == d {
					counts[op.String()] += n / 1000 * 1000
				}
			}
		}
		for name, n := range counts {
			op, _ := costs.ParseOp(name)
			f.Account.Operations.Rows = append(f.Account.Operations.Rows, cloudflare.Operation{Day: d.Start(), Type: name, Op: op, StorageClass: cloudflare.ClassStandard, Requests: n})
		}
		f.Account.Storage.Rows = append(f.Account.Storage.Rows,
			cloudflare.Stored{Day: d.Start(), Bucket: "media", StorageClass: cloudflare.ClassStandard, Payload: []int64{0, 60, 0, 95, 97, 99, 101, 103}[d-nov(15)] * 1e9, Metadata: 1000},
			cloudflare.Stored{Day: d.Start(), Bucket: "backup", StorageClass: cloudflare.ClassInfrequentAccess, Payload: 7e9})
	}
	return f
}

func shown(f billing.Figures, p purse) *costReport { return &costReport{f.Report(), p, f.Now} }

func yen() purse { return purse{&costs.Currency{Code: "JPY", PerUSD: decimal.NewFromInt(152)}} }

func budget(f billing.Figures, usd string) billing.Figures {
	f.Budget = new(decimal.RequireFromString(usd))
	return f
}

// later is the same cycle, looked at when it is over and some days are kept no longer.
func later(f billing.Figures) billing.Figures {
	f.Now = time.Date(2027, 1, 3, 4, 5, 0, 0, time.UTC)
	for d := nov(22); f.Account != nil && d < f.Period.To; d++ {
		day := cloudflare.Day{Date: d.Start(), State: cloudflare.Missing, Reason: cloudflare.TooOld}
		if d == nov(22) {
			f.Account.Operations.Coverage = f.Account.Operations.Coverage[:7]
			f.Account.Storage.Coverage = f.Account.Storage.Coverage[:7]
			day.State = cloudflare.Partial
		}
		f.Account.Operations.Coverage = append(f.Account.Operations.Coverage, day)
		f.Account.Storage.Coverage = append(f.Account.Storage.Coverage, day)
	}
	return f
}

func TestCostScreens(t *testing.T) {
	t.Parallel()
	many := spent()
	for run := range int64(40) {
		many.Runs = append(many.Runs, ledger.RunDay{Run: 100 + run, Command: "sync", Ended: run < 39, Day: nov(22), Usage: costs.Usage{costs.PutObject: 20_000 + run}})
	}
	empty := spent()
	empty.Runs, empty.Stored = nil, empty.Stored[:1]
	half := witnessed(spent())
	half.Account.OperationsErr = &cloudflare.Error{Dataset: "operations", Status: 200, Message: "a server's own words, which may be long and may go on and on and on", Err: cloudflare.ErrShape}
	for name, r := range map[string]*costReport{
		"ledger":   shown(spent(), purse{}),
		"account":  shown(budget(witnessed(spent()), "6.00"), yen()),
		"over":     shown(budget(later(spent()), "6.00"), purse{}),
		"crossed":  shown(budget(later(witnessed(spent())), "0.30"), yen()),
		"holds":    shown(budget(spent(), "6.00"), purse{}),
		"many":     shown(budget(many, "1.00"), purse{}),
		"empty":    shown(empty, purse{}),
		"one_half": shown(half, purse{}),
	} {
		screen, text := r.screen(), r.announcement()
		golden(t, "cost_"+name, screen)
		golden(t, "announcement_"+name, text)
		for line := range strings.Lines(screen) {
			if n := utf8.RuneCountInString(line) - 1; n > costWidth {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
		}
	}
}

// No command is printed that would send what others need.
func TestCostLeverAdvice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		room, own       int64
		advice, command string
	}{
		{600_000, 600_000, "600,000 more Class A in this cycle, Mastodon's own uploads among them", "mediamove sync --max-class-a 600000"},
		{600_000, 100_000, "600,000 more Class A in this cycle; 100,000 of them are left for mediamove, as others are expected to send 500,000", "mediamove sync --max-class-a 100000"},
		{600_000, 0, "600,000 more Class A in this cycle, and others than mediamove are expected to send 600,000: no sync until the next one", ""},
		{600_000, -1, "600,000 more Class A in this cycle, and others than mediamove are expected to send 600,001: no sync until the next one", ""},
		{0, -5, "no Class A is left in this cycle: no sync until the next one; Mastodon's own uploads count too", ""},
	} {
		for _, id := range []string{costs.LeverClassAStep, costs.LeverClassABudget} {
			advice, command := leverAdvice(costs.Effect{Lever: costs.Lever{ID: id, Room: tt.room, Own: tt.own}})
			if advice != tt.advice || command != tt.command {
				t.Errorf("%+v: %q, %q", tt, advice, command)
			}
		}
	}
}

// What is only expected of a missing day has crossed nothing for certain.
func TestCostCrossedOnAMissingDay(t *testing.T) {
	t.Parallel()
	r := shown(budget(witnessed(spent()), "6.00"), purse{})
	r.Budget.Crossed.Day = r.Today - 1
	if text := r.verdict(); !strings.Contains(text, "PROBABLY CROSSED, as days are missing, on 2026-11-21") {
		t.Error(text)
	}
}

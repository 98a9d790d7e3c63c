package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"github.com/spf13/pflag"
	"pgregory.net/rapid"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/uploader"
)

// drawPlan is any plan on any day, with any use before it.
func drawPlan(t *rapid.T) *planReport {
	n := func(name string, most int64) int64 { return rapid.Int64Range(0, most).Draw(t, name) }
	f := firstSync()
	f.before = n("before", 3)
	files, parts := n("files", 3_000_000), n("parts", 500)
	f.Sync = costs.Usage{costs.GetObject: 1, costs.PutObject: f.before + files, costs.CreateMultipartUpload: parts, costs.UploadPart: 7 * parts, costs.CompleteMultipartUpload: parts}
	f.Pending, f.Bytes = files+parts, files*30_000
	f.Grown = f.Bytes
	f.recorded = uploader.Totals{Files: n("recorded", 2_000_000), Bytes: n("stored", 200_000_000_000)}
	f.used, f.stored = make(map[costs.Day]costs.Usage), make(costs.Storage)
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).AddDate(0, 0, int(n("day", 400)))
	var old uploader.Spare // of what is sent, each older part within the younger
	for i := range f.Old {
		more := n("old", (files-old.Files)/2)
		old = old.Add(uploader.Spare{Totals: uploader.Totals{Files: more, Bytes: more * 30_000}, Requests: costs.Usage{costs.PutObject: more}})
		f.Old[i].Media, f.Old[i].Cards = old, uploader.Spare{}
	}
	budget := decimal.New(n("budget", 3000), -2)
	r := planned(f, func(s *planSetting) {
		s.now, s.budget, s.tariff.Cycle = now, &budget, costs.Cycle{Day: 1 + int(n("cycle day", 30))}
		today := costs.DayOf(now)
		for d := s.tariff.Of(now).From; d <= today; d++ {
			f.used[d] = costs.Usage{costs.PutObject: n("used", 100_000), costs.GetObject: n("read", 1000)}
			f.stored[d] = f.recorded.Bytes / int64(today-d+1) // it grew, once
		}
	})
	return r
}

// The bill of the cycle is what is used, sent and stored, to the last request.
func TestPlanBillAddsUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := drawPlan(t)
		p := r.books.cycle()
		want := r.books.usedSoFar().Add(r.work.sync)
		if used := r.books.usedSoFar(); !r.books.requests(used.Add(r.work.verify())).GreaterThan(r.books.requests(used)) {
			want = want.Add(r.work.verify())
		}
		stored := make(costs.Storage)
		for d := range p.All() {
			stored[d] = r.books.stored[min(d, r.books.today)]
			if d >= r.books.today {
				stored[d] += r.Grown
			}
		}
		if diff := cmp.Diff(r.books.Standard.Bill(want, stored.GBMonths(p)), r.cycle); diff != "" {
			t.Errorf("this cycle (-want +got):\n%s", diff)
		}
		next := r.books.Next(p)
		var nights costs.Usage
		for range next.Days() {
			nights = nights.Add(r.work.nightly())
		}
		if diff := cmp.Diff(r.books.Standard.Bill(nights, decimal.New(r.recorded.Bytes+r.Grown, -9)), r.month); diff != "" {
			t.Errorf("the month after (-want +got):\n%s", diff)
		}
	})
}

// Every lever does what it says: the number it prints begins no million, one operation
// more would; the shares make the whole; what is cleared makes both bills no dearer.
func TestLeversKeepTheirWord(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		r := drawPlan(t)
		rate := r.books.Standard.ClassA
		dollarsFor := func(a int64) decimal.Decimal {
			return r.books.requests(costs.Usage{costs.PutObject: a})
		}
		taken := r.books.usedSoFar().A() + r.books.pass(r.work).A()
		for _, l := range r.levers {
			seen[l.id]++
			switch l.id {
			case leverStop:
				n := l.shares[0].classA
				if dollarsFor(taken+n).GreaterThan(dollarsFor(taken)) || !dollarsFor(taken+n+1).GreaterThan(dollarsFor(taken)) {
					t.Errorf("%d on top of %d", n, taken)
				}
				if n >= r.work.sync.A() || len(l.commands) != 1 || !l.saves.Equal(r.cycle.Total.Sub(l.cycle)) || l.saves.LessThan(rate.USD) {
					t.Errorf("%+v", l)
				}
			case leverSpread:
				var a, files int64
				for _, s := range l.shares {
					a, files = a+s.classA, files+s.files
				}
				if a != r.work.sync.A() || files != r.work.files || len(l.shares) < 2 {
					t.Errorf("%d of %d operations, %d of %d files", a, r.work.sync.A(), files, r.work.files)
				}
				if !slices.IsSortedFunc(l.shares, func(a, b leverShare) int { return int(a.from - b.from) }) || l.shares[0].from != r.books.today {
					t.Errorf("%+v", l.shares)
				}
				if !l.saves.IsPositive() {
					t.Errorf("saves %v", l.saves)
				}
			case leverShrink:
				if l.cycle.GreaterThan(r.cycle.Total) || l.month.GreaterThan(r.month.Total) || !l.saves.Add(r.month.Total.Sub(l.month)).IsPositive() {
					t.Errorf("%d days: %v, %v", l.days, l.cycle, l.month)
				}
				if l.work.sync.A()+l.cleared.Requests.A() != r.work.sync.A() || l.work.grown < 0 {
					t.Errorf("%d days: %+v", l.days, l.work)
				}
			}
			if l.keeps && (l.cycle.GreaterThan(*r.budget) || l.id == leverShrink && l.month.GreaterThan(*r.budget)) {
				t.Errorf("%s keeps $%v: %v, %v", l.id, r.budget, l.cycle, l.month)
			}
		}
		if r.cycle.Total.Equal(r.books.bill(workload{sync: costs.Usage{}, keys: r.work.keys, grown: r.work.grown}, r.books.cycle()).Total) && slices.ContainsFunc(r.levers, func(l lever) bool { return l.id != leverShrink }) {
			t.Error("a lever where there is nothing to gain")
		}
	})
	if seen[leverStop] == 0 || seen[leverSpread] == 0 || seen[leverShrink] == 0 {
		t.Errorf("drawn too tamely: %v", seen)
	}
}

// A cheap sync has no levers, and says nothing of them.
func TestNoLeverWithoutGain(t *testing.T) {
	t.Parallel()
	f := firstSync()
	f.Sync, f.Pending, f.Grown, f.Bytes = costs.Usage{costs.PutObject: 500_000}, 500_000, 3_000_000_000, 3_000_000_000
	for i := range f.Old {
		f.Old[i].Media.Requests, f.Old[i].Cards.Requests = costs.Usage{costs.PutObject: 1000}, costs.Usage{}
		f.Old[i].Media.Totals, f.Old[i].Cards.Totals = uploader.Totals{Files: 1000, Bytes: 1_000_000}, uploader.Totals{}
	}
	if r := planned(f, nil); len(r.levers) != 0 || strings.Contains(r.screen(), "lever") || strings.Contains(r.screen(), "tootctl") {
		t.Errorf("%+v", r.levers)
	}
	f.Refused = uploader.ErrHiddenTree
	if r := planned(f, nil); len(r.levers) != 0 || r.work.files != 0 {
		t.Errorf("refused: %+v", r)
	}
}

// Where no operation is left, the stop is no lever: it would be --max-class-a 0.
func TestSpreadWithNothingLeftToday(t *testing.T) {
	t.Parallel()
	f := firstSync()
	f.before = 0
	f.used = map[costs.Day]costs.Usage{costs.Date(2026, 11, 3): {costs.PutObject: 1_000_000 - f.workload().verify().A()}}
	r := planned(f, nil)
	if len(r.levers) == 0 || r.levers[0].id != leverSpread || r.levers[0].shares[0].classA != 0 || r.levers[0].shares[0].files != 0 {
		t.Errorf("%+v", r.levers)
	}
	if strings.Contains(r.screen(), "--max-class-a") {
		t.Error(r.screen())
	}
}

func TestReckon(t *testing.T) {
	t.Parallel()
	l := workload{files: 36_000, bytes: 7_200_000_000}
	slow := speed{syncs: 1, files: 1000, bytes: 1_000_000_000, took: 100 * time.Second} // 10 files/s, 10 MB/s
	for name, tt := range map[string]struct {
		speed speed
		typed int64
		want  time.Duration
		from  rateFrom
	}{
		"assumed":              {speed{}, 0, 6 * time.Minute, rateAssumed},
		"typed":                {speed{}, 1_000_000, 2 * time.Hour, rateTyped},
		"measured":             {slow, 0, time.Hour, rateMeasured},
		"typed, files slower":  {slow, 1_000_000_000, time.Hour, rateTyped},
		"typed, files quicker": {slow, 1_000_000, 2 * time.Hour, rateTyped},
		"for ever":             {speed{}, 1, longestTime, rateTyped},
	} {
		r := tt.speed.reckon(l, tt.typed)
		if r.took.Round(time.Second) != tt.want || r.rate != tt.from {
			t.Errorf("%s: %+v, want %v", name, r, tt.want)
		}
	}
}

// Only syncs that moved enough tell how fast they go, the last ten of them.
func TestMeasured(t *testing.T) {
	t.Parallel()
	run := func(command, counts string, took time.Duration) ledger.Run {
		r := ledger.Run{Command: command, Began: at(1)}
		r.At, r.Counts, r.Bytes = at(1).Add(took), []byte(counts), 1000
		return r
	}
	killed := run("sync", `{"moved":500}`, time.Second)
	killed.At = time.Time{}
	v := measured([]ledger.Run{
		run("sync", `{"moved":99}`, time.Hour), run("verify", `{"moved":500}`, time.Hour), killed, run("sync", `not JSON`, time.Hour),
		run("sync", `{"moved":500}`, 0), run("sync", `{"moved":50,"replaced":50}`, 10*time.Second), run("sync", `{"moved":300}`, 30*time.Second),
	})
	if files, bytes := v.perSecond(); v.syncs != 2 || files != 10 || bytes != 50 {
		t.Errorf("%+v: %v files/s, %v B/s", v, files, bytes)
	}
	if v := measured(slices.Repeat([]ledger.Run{run("sync", `{"moved":500}`, time.Second)}, 99)); v.syncs != speedSyncs {
		t.Errorf("%+v", v)
	}
	if files, bytes := (speed{}).perSecond(); files != 0 || bytes != 0 {
		t.Errorf("%v, %v", files, bytes)
	}
}

func TestStoredUp(t *testing.T) {
	t.Parallel()
	got := storedUp([]ledger.StoredDay{{Day: 99, Bytes: 10}, {Day: 101, Run: 1, Bytes: 5}, {Day: 101, Run: 2, Bytes: 1}, {Day: 103, Run: 3, Bytes: 4}}, costs.Period{From: 99, To: 104})
	if diff := cmp.Diff(costs.Storage{99: 10, 100: 10, 101: 16, 102: 16, 103: 20}, got); diff != "" {
		t.Error(diff)
	}
}

// What is printed to be typed, a shell reads back, and a terminal shows.
func TestShellWord(t *testing.T) {
	t.Parallel()
	words := []string{"", "plain", "/srv/a b", "it's", `say "x"`, "$HOME", "`id`", "a\\b", "\x1b[2J", "tab\t", "ünï", "\xff", "\u202e", "*", "~", "!x", "a'\n'b", "-x", "#", "é'\x01"}
	quoted := make([]string, len(words))
	for i, w := range words {
		if quoted[i] = shellWord(w); !harmless(quoted[i]) {
			t.Errorf("%q shows as %q", w, quoted[i])
		}
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", `printf '%s\0' `+strings.Join(quoted, " "))
	cmd.Env = []string{"LC_ALL=C.UTF-8"}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(words, strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")); diff != "" {
		t.Errorf("(-want +read back):\n%s", diff)
	}
}

// The command repeats what was typed and sync knows, so that it does the same.
func TestSyncCommand(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ typed, want string }{
		{"/srv/media", "mediamove sync --max-class-a 9 /srv/media"},
		{"--budget 6 --rate 5MB --json -v --prices p --cycle-day 15 /srv/media", "mediamove sync --max-class-a 9 /srv/media"},
		{"--env-file .env --state /s --allow-link cache,accounts --after-switch /m", "mediamove sync --max-class-a 9 --after-switch --allow-link cache --allow-link accounts --env-file .env --state /s /m"},
		{"--before-switch=false --bucket b --join b", "mediamove sync --max-class-a 9 --before-switch=false --bucket b --join b"},
		{"-- -odd", "mediamove sync --max-class-a 9 -- -odd"},
	} {
		o := new(planOptions)
		fs := pflag.NewFlagSet("plan", pflag.ContinueOnError)
		o.addFlags(fs)
		if err := fs.Parse(strings.Fields(tt.typed)); err != nil {
			t.Fatal(err)
		}
		if got := syncCommand(fs, fs.Args()).with("--max-class-a", "9"); got != tt.want {
			t.Errorf("%s:\n%s, want\n%s", tt.typed, got, tt.want)
		}
		// All of it is understood.
		s := new(syncOptions)
		again := pflag.NewFlagSet("sync", pflag.ContinueOnError)
		s.addFlags(again)
		if err := again.Parse(strings.Fields(tt.want)[2:]); err != nil {
			t.Errorf("%s: %v", tt.want, err)
		}
	}
}

package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"example.org/mediamove/costs"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/uploader"
)

// planned is a plan as if it had been made at noon of November 22.
func planned(f foresight, change func(*planSetting)) *planReport {
	s := &planSetting{
		planOptions: &planOptions{}, now: at(12), tariff: tariff{PriceList: costs.R2(), Cycle: costs.Cycle{Day: 1}},
		settings: mastodon.Settings{},
	}
	if change != nil {
		change(s)
	}
	r := s.report(f, "/home/mastodon/live/public/system", command{"mediamove", "sync", "--env-file", ".env.production", "/home/mastodon/live/public/system"})
	r.took = 12_340 * time.Millisecond
	return r
}

// firstSync is a foresight of an instance of the size that hurts.
func firstSync() foresight {
	spare := func(files, bytes int64) uploader.Spare {
		return uploader.Spare{Totals: uploader.Totals{Files: files, Bytes: bytes}, Requests: costs.Usage{costs.PutObject: files}}
	}
	f := foresight{
		before: 3,
		Plan: uploader.Plan{
			Classes: map[media.Class]*uploader.ClassTotals{
				"accounts":          {Files: 583, Bytes: 12_900_000, CachedFiles: 529, CachedBytes: 11_800_000},
				"media_attachments": {Files: 1_203_327, Bytes: 40_500_000_000, CachedFiles: 1_200_000, CachedBytes: 37_200_000_000},
				"site_uploads":      {Files: 7, Bytes: 508_000},
			},
			Sync: costs.Usage{costs.PutObject: 1_203_919, costs.GetObject: 1, costs.ListObjects: 1}, Bytes: 40_513_408_000, Grown: 40_513_408_000,
			Hidden: uploader.Totals{Files: 18, Bytes: 1_200_000}, Private: uploader.Totals{Files: 3, Bytes: 3_300_000_000},
			Old: []uploader.OldCache{
				{Days: 90, Media: spare(150_000, 4_500_000_000), Cards: spare(50_000, 900_000_000)},
				{Days: 30, Media: spare(550_000, 17_500_000_000), Cards: spare(90_000, 1_800_000_000)},
				{Days: 14, Media: spare(800_000, 25_500_000_000), Cards: spare(100_000, 2_000_000_000)},
				{Days: 7, Media: spare(950_000, 29_000_000_000), Cards: spare(110_000, 2_200_000_000)},
			},
		},
	}
	f.Files = uploader.Files{Seen: 1_203_938, Pending: 1_203_917, HeldBack: 21}
	return f
}

func TestPlanScreen(t *testing.T) {
	t.Parallel()
	budget := func(usd string) func(*planSetting) {
		return func(s *planSetting) { s.budget = new(decimal.RequireFromString(usd)) }
	}
	second := firstSync()
	second.recorded = uploader.Totals{Files: 400_000, Bytes: 15_000_000_000}
	second.used = map[costs.Day]costs.Usage{costs.Date(2026, 11, 18): {costs.PutObject: 400_002, costs.ListObjects: 1}, costs.Date(2026, 11, 21): {costs.ListObjects: 401}}
	second.stored = costs.Storage{costs.Date(2026, 11, 14): 0, costs.Date(2026, 11, 18): 15_000_000_000, costs.Date(2026, 11, 22): 15_000_000_000}
	second.speed = speed{syncs: 2, files: 400_000, bytes: 15_000_000_000, took: 40 * time.Minute}
	second.before, second.Sync = 0, costs.Usage{costs.PutObject: 1_203_917, costs.GetObject: 1}

	everything := second
	everything.Files = uploader.Files{Seen: 60, Pending: 10, Replaced: 2, Present: 9, Adopted: 3, HeldBack: 8, Changed: 7, Left: 4, Conflict: 5, Vanished: 6, Failed: 2}
	everything.Exposed, everything.Outside, everything.Unreadable, everything.Links, everything.Special = 1, 2, 3, 4, 5
	everything.Sync = costs.Usage{costs.PutObject: 11, costs.GetObject: 1, costs.HeadObject: 1, costs.CreateMultipartUpload: 1, costs.UploadPart: 7, costs.CompleteMultipartUpload: 1, costs.AbortMultipartUpload: 1}
	everything.Bytes, everything.Grown, everything.Old = 400_000_000, 300_000_000, nil
	everything.Classes = map[media.Class]*uploader.ClassTotals{"media_attachments": {Files: 12, Bytes: 400_000_000, CachedFiles: 5, CachedBytes: 1_000_000}}

	joining := firstSync()
	joining.trust(claim{requests: costs.Usage{costs.PutObject: 2}, unproven: true}, true)

	nothing := foresight{Plan: uploader.Plan{
		Counts: uploader.Counts{Files: uploader.Files{Seen: 3000, Present: 2979, HeldBack: 21}},
		Sync:   costs.Usage{costs.GetObject: 1}, Hidden: uploader.Totals{Files: 21, Bytes: 4096},
	}, recorded: uploader.Totals{Files: 2979, Bytes: 90_000_000}}

	refused := foresight{Plan: uploader.Plan{
		Counts:  uploader.Counts{Files: uploader.Files{Seen: 3000, HeldBack: 3000}},
		Refused: fmt.Errorf("%w: 1000 of 1000", uploader.ErrHiddenTree), Sync: costs.Usage{costs.GetObject: 1},
		Hidden: uploader.Totals{Files: 3000, Bytes: 90_000_000},
	}}
	wait := firstSync()
	wait.used = map[costs.Day]costs.Usage{costs.Date(2026, 11, 2): {costs.PutObject: 999_500}}

	odd := planned(refused, nil)
	odd.root = "/srv/media\x1b[2J"

	huge := firstSync()
	huge.Sync, huge.Pending, huge.Seen = costs.Usage{costs.PutObject: 5_400_003, costs.ListObjects: 1, costs.GetObject: 1}, 5_400_001, 5_400_022
	huge.Bytes, huge.Grown = 180_000_000_000, 180_000_000_000
	huge.Classes = map[media.Class]*uploader.ClassTotals{"media_attachments": {Files: 5_400_001, Bytes: 180_000_000_000, CachedFiles: 5_000_000, CachedBytes: 150_000_000_000}}

	for name, r := range map[string]*planReport{
		"plan_first":      planned(firstSync(), nil),
		"plan_budget":     planned(firstSync(), budget("2.50")),
		"plan_small_line": planned(firstSync(), func(s *planSetting) { s.rate = 5_000_000 }),
		"plan_second": planned(second, func(s *planSetting) {
			s.tariff.Cycle, s.tariff.typed = costs.Cycle{Day: 15}, true
			budget("6")(s)
		}),
		"plan_everything": planned(everything, nil),
		"plan_joining":    planned(joining, nil),
		"plan_nothing":    planned(nothing, nil),
		"plan_wait":       planned(wait, budget("6")),
		"plan_huge":       planned(huge, budget("1.00")),
		"plan_refused":    odd,
	} {
		text := r.screen()
		golden(t, name, text)
		for line := range strings.Lines(text) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > planWidth && !strings.HasPrefix(line, "REFUSED") && !strings.HasPrefix(line, "      mediamove ") {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
		}
	}
}

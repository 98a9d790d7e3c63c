package main

import (
	"errors"
	"strings"
	"testing"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/verify"
)

// told makes a report as a run would end with it.
func told(counts map[verify.Verdict]int64, more func(*verifyReport)) *verifyReport {
	r := &verifyReport{
		x: &session{settings: mastodon.Settings{Bucket: "media"}}, o: &verifyOptions{},
		run: 12, requests: costs.Usage{costs.ListObjects: 1065, costs.GetObject: 1}, usd: "0.00", seconds: 83.2,
	}
	r.Listing, r.Listed, r.Recorded = true, 1_064_350, 1_064_336
	for v, n := range counts {
		r.Counts[v] = n
	}
	r.Classes = map[verify.Class]verify.Total{
		{Class: "accounts"}:                        {Objects: 12_000, Bytes: 2_400_000_000},
		{Class: "media_attachments", Cached: true}: {Objects: 1_000_000, Bytes: 90_600_000_000},
	}
	if more != nil {
		more(r)
	}
	return r
}

func doubted(v ledger.Verdict, n int64, cause string, k media.Key) doubtGroup {
	one := ledger.Doubt{Key: k, Detail: "the bucket holds 5 bytes, 7 were moved"}
	return doubtGroup{verdict: v, cause: cause, n: n, first: []ledger.Doubt{one, one}[:min(2, n)]}
}

// Each end of a verify says what was proven, what was not looked at, and what to do.
func TestVerifyScreens(t *testing.T) {
	t.Parallel()
	screens := map[string]*verifyReport{
		"verify_same": told(map[verify.Verdict]int64{verify.Same: 1_064_336, verify.HeldBack: 1284}, nil),
		"verify_differences": told(map[verify.Verdict]int64{
			verify.Same: 1_000_000, verify.Missing: 12, verify.Differs: 3, verify.Extra: 2, verify.NeverUploaded: 5, verify.ChangedOnDisk: 1, verify.Exposed: 4,
		}, func(r *verifyReport) {
			r.shrunk, r.Probes, r.Unrecorded = 12, 10, 7
			r.causes = []doubtGroup{
				doubted(ledger.Missing, 12, "moved earlier, not in the bucket now", avatar),
				doubted(ledger.NeverUploaded, 5, "failed: 403 AccessDenied \x1b[2J", hostile),
				doubted(ledger.Differs, 3, "another size than was moved", remote),
				doubted(ledger.Extra, 2, "not recorded by this ledger", "robots\n.txt"),
				doubted(ledger.ChangedOnDisk, 1, "the disk holds other bytes than were moved", avatar),
			}
			r.refusal = "27 differences"
		}),
		"verify_after_the_switch": told(map[verify.Verdict]int64{verify.Same: 900_000, verify.Missing: 40, verify.Removed: 7, verify.Rewritten: 2, verify.Extra: 164_000}, func(r *verifyReport) {
			r.Switched = true
			r.causes = []doubtGroup{doubted(ledger.Missing, 40, "missing, or deleted by Mastodon", avatar), doubted(ledger.Rewritten, 2, "newer", avatar)}
		}),
		"verify_by_rows": told(map[verify.Verdict]int64{verify.Same: 900_000, verify.Missing: 3, verify.Deleted: 37, verify.Removed: 7}, func(r *verifyReport) {
			r.Switched, r.Asked, r.Probes, r.db = true, 47, 10, new(mastodon.Database)
			r.causes = []doubtGroup{doubted(ledger.Deleted, 37, "no row names it: row gone", avatar), doubted(ledger.Missing, 3, "a row names it", avatar)}
		}),
		"verify_another_database": told(map[verify.Verdict]int64{verify.Same: 900_000, verify.Missing: 40}, func(r *verifyReport) {
			r.Switched, r.unasked = true, "the settings name another database than the bucket is bound to"
			r.causes = []doubtGroup{doubted(ledger.Missing, 40, "missing, or deleted by Mastodon", avatar)}
		}),
		"verify_not_told": told(map[verify.Verdict]int64{verify.Same: 900_000, verify.Unread: 1}, func(r *verifyReport) {
			r.Unknown = []string{"unreadable \"media_attachments\": open media_attachments: permission denied", "read back a\x1b: unexpected EOF"}
			r.Read = verify.Reading{Asked: "all", Objects: 12, Equal: 11, Bytes: 1_200_000, Of: 1, Slot: 1, Resumed: 3}
		}),
		"verify_stopped": told(nil, func(r *verifyReport) {
			r.Listing, r.err = false, errors.New("list the bucket: 500 InternalError")
		}),
		"verify_sample": told(map[verify.Verdict]int64{verify.Same: 1_064_336}, func(r *verifyReport) {
			r.Read = verify.Reading{Asked: "sample", Objects: 3041, Equal: 3041, Bytes: 311_000_000, Sample: verify.Sample{Seed: 4711, Population: 1_064_336, Objects: 3041, Share: 0.00282}}
			r.Headers, r.Public, r.Private = verify.Look{Asked: 3041, Fine: 3041}, verify.Look{Asked: 212, Fine: 212}, verify.Look{Asked: 3, Fine: 3}
		}),
		"verify_rotation": told(map[verify.Verdict]int64{verify.Same: 1_064_336}, func(r *verifyReport) {
			r.Read = verify.Reading{Asked: "rotation", Objects: 35_478, Equal: 35_478, Bytes: 3_100_000_000, Of: 30, Slot: 7}
		}),
		"verify_repaired": told(map[verify.Verdict]int64{verify.Same: 1_064_330, verify.Missing: 6}, func(r *verifyReport) {
			r.o.repair, r.repaired = true, 6
			r.causes = []doubtGroup{doubted(ledger.Missing, 6, "moved earlier, not in the bucket now", avatar)}
		}),
		"verify_certificate": told(map[verify.Verdict]int64{verify.Same: 1_064_336}, func(r *verifyReport) {
			r.certificate = &certificateJSON{File: "/root/move.cert", List: "/root/move.cert.sha256"}
		}),
		"verify_against": told(map[verify.Verdict]int64{verify.Same: 1_064_335, verify.Missing: 1}, func(r *verifyReport) {
			r.o.against, r.usd = "/root/move.cert", ""
			r.causes = []doubtGroup{doubted(ledger.Missing, 1, "moved earlier, not in the bucket now", avatar)}
		}),
	}
	for name, r := range screens {
		golden(t, name, r.screen())
	}
}

// A run that could not tell never ends as if it had.
func TestVerifyOutcome(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		r    *verifyReport
		want int
	}{
		{"all the same", told(map[verify.Verdict]int64{verify.Same: 1, verify.HeldBack: 2, verify.OtherHost: 3}, nil), exitOK},
		{"a difference", told(map[verify.Verdict]int64{verify.Missing: 1}, nil), exitLeft},
		{"extra before the switch", told(map[verify.Verdict]int64{verify.Extra: 1}, nil), exitLeft},
		{"extra after the switch", told(map[verify.Verdict]int64{verify.Extra: 1, verify.Rewritten: 1}, func(r *verifyReport) { r.Switched = true }), exitOK},
		{"unread", told(map[verify.Verdict]int64{verify.Unread: 1}, nil), exitStopped},
		{"a difference, and a folder that could not be read", told(map[verify.Verdict]int64{verify.Missing: 1}, func(r *verifyReport) { r.Unknown = []string{"x"} }), exitStopped},
		{"no whole listing", told(nil, func(r *verifyReport) { r.Listing = false }), exitStopped},
		{"all repaired", told(map[verify.Verdict]int64{verify.Missing: 1}, func(r *verifyReport) { r.repaired = 1 }), exitOK},
		{"no certificate", told(map[verify.Verdict]int64{verify.Same: 1}, func(r *verifyReport) { r.refusal = "x" }), exitLeft},
	} {
		if got := exitCode(tt.r.outcome()); got != tt.want {
			t.Errorf("%s: exit %d, want %d", tt.name, got, tt.want)
		}
	}
	if !strings.Contains(told(nil, func(r *verifyReport) { r.Listing = false }).screen(), "COULD NOT TELL") {
		t.Error("an incomplete pass does not say so")
	}
}

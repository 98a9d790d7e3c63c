package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"example.org/mediamove/costs"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
	"example.org/mediamove/uploader"
)

// golden compares with testdata/golden/NAME.txt; -update writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), -update takes it:\n%s", path, diff)
	}
	for line := range strings.Lines(got) {
		if strings.TrimRight(line, " \n") != strings.TrimSuffix(line, "\n") {
			t.Errorf("%s: a line ends with a space: %q", name, line)
		}
	}
}

const (
	avatar  media.Key = "accounts/avatars/109/000/000/000/000/001/original/a.png"
	remote  media.Key = "cache/media_attachments/files/109/123/456/789/012/345/small/b.jpg"
	oddKey  media.Key = "media_attachments/files/000/odd shape.jpg"
	hostile media.Key = "accounts/avatars/\x1b[2J\xff.png"
)

func at(hour int) time.Time { return time.Date(2026, 11, 22, hour, 30, 0, 0, time.UTC) }

// clean is the end of a run with nothing left to do.
func clean() *syncReport {
	r := &syncReport{
		Run: 7, Seconds: 754.3, Complete: true, Requests: costs.Usage{costs.GetObject: 1, costs.PutObject: 1203},
		month: costs.Usage{costs.PutObject: 45_203}, tariff: tariff{PriceList: costs.R2()}, at: at(20), bucket: "media", root: "/home/mastodon/live/public/system", modeUnset: true,
	}
	r.Files = uploader.Files{Seen: 45_000, Moved: 1203, Present: 43_776, HeldBack: 21}
	r.BytesMoved = 43_300_000
	return r
}

func TestSyncScreen(t *testing.T) {
	t.Parallel()
	full := clean()
	full.Files = uploader.Files{Seen: 78, Moved: 1, Replaced: 2, Present: 3, Adopted: 4, HeldBack: 5, Changed: 6, Vanished: 7, Conflict: 8, Left: 9, Failed: 10, Pending: 23}
	full.Exposed, full.Untyped, full.Outside, full.Unreadable, full.Links, full.Special, full.Removed = 1, 2, 3, 4, 5, 6, 7
	full.BytesMoved, full.BytesSaved = 5_000_000_000, 1_500_000
	full.Complete, full.modeUnset, full.switched = false, false, true
	full.cost, full.month = decimal.RequireFromString("4.5"), costs.Usage{costs.PutObject: 1_000_001}
	full.exposed = []ledger.Finding{{Key: avatar, Kind: ledger.Exposed}}
	for i, k := range []ledger.Kind{ledger.HeldBack, ledger.Failed, ledger.Failed, ledger.Conflict, ledger.Changed, ledger.Unreadable} {
		full.causes = append(full.causes, ledger.CauseTotal{Kind: k, Cause: fmt.Sprintf("cause %d", i), Files: int64(i + 1), Example: oddKey})
	}
	full.causes[2].Cause, full.causes[2].Example = "500 \u009b2J", hostile

	exposed := clean()
	exposed.HeldBack, exposed.Exposed = 1234, 1234
	for i := range maxShown {
		exposed.exposed = append(exposed.exposed, ledger.Finding{Key: media.Key(fmt.Sprintf("accounts/avatars/109/000/000/000/000/%03d/original/a.png", i))})
	}

	manyCauses := clean()
	manyCauses.Failed = 66
	for i := range 2 * maxShown {
		manyCauses.causes = append(manyCauses.causes, ledger.CauseTotal{Kind: ledger.Failed, Cause: fmt.Sprintf("cause %02d", i), Files: 1, Example: avatar})
	}

	unfinished := func(err error) *syncReport {
		r := clean()
		r.Complete, r.err, r.Present, r.Pending = false, err, 0, 43_776
		return r
	}
	limited := unfinished(r2.ErrLimit)
	limited.limited, limited.limit = true, brake{classA: 1203, flag: "--max-class-a 1203"}
	dear := unfinished(r2.ErrLimit)
	dear.limited, dear.limit = true, brake{classA: 1203, flag: "--max-cost 0.00", usd: true, until: costs.Date(2026, 12, 15)}
	dear.month, dear.tariff.Cycle, dear.tariff.typed = costs.Usage{costs.PutObject: 1_000_000}, costs.Cycle{Day: 15}, true
	retry := clean()
	retry.retry, retry.Complete, retry.Files = true, false, uploader.Files{Seen: 12, Moved: 9, Failed: 3}
	retry.causes = []ledger.CauseTotal{{Kind: ledger.Failed, Cause: "403 AccessDenied", Files: 3, Example: avatar}}

	hidden := clean()
	hidden.Complete, hidden.Files, hidden.BytesMoved = false, uploader.Files{Seen: 1000, Pending: 1000}, 0
	hidden.Requests, hidden.err = costs.Usage{costs.GetObject: 1}, fmt.Errorf("%w: 1000 of 1000", uploader.ErrHiddenTree)

	for name, r := range map[string]*syncReport{
		"sync_clean": clean(), "sync_full": full, "sync_exposed": exposed, "sync_causes": manyCauses,
		"sync_interrupted": unfinished(&stopped{syscall.SIGINT}), "sync_limited": limited, "sync_dear": dear, "sync_retry": retry,
		"sync_hidden_tree": hidden, "sync_denied": unfinished(&r2.Error{Op: costs.PutObject, Key: avatar, Status: 403, Err: r2.ErrDenied}),
	} {
		golden(t, name, r.screen())
	}
}

// What asks for a person is exit 3; what was held back or vanished is not.
func TestSomethingLeft(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(r *syncReport)
		left   bool
	}{
		"nothing":         {func(*syncReport) {}, false},
		"held back":       {func(r *syncReport) { r.HeldBack = 9 }, false},
		"vanished":        {func(r *syncReport) { r.Vanished = 9 }, false},
		"outside":         {func(r *syncReport) { r.Outside, r.Special, r.Untyped = 1, 1, 1 }, false},
		"a link":          {func(r *syncReport) { r.Links = 1 }, true}, // it may lead to media
		"failed":          {func(r *syncReport) { r.Failed = 1 }, true},
		"conflict":        {func(r *syncReport) { r.Conflict = 1 }, true},
		"changed":         {func(r *syncReport) { r.Changed = 1 }, true},
		"left":            {func(r *syncReport) { r.Left = 1 }, true},
		"removed":         {func(r *syncReport) { r.Left, r.Removed = 2, 2 }, false},
		"removed, left":   {func(r *syncReport) { r.Left, r.Removed = 2, 1 }, true},
		"exposed":         {func(r *syncReport) { r.Exposed = 1 }, true},
		"pending":         {func(r *syncReport) { r.Pending = 1 }, true},
		"unreadable":      {func(r *syncReport) { r.Unreadable = 1 }, true},
		"not a whole one": {func(r *syncReport) { r.Complete = false }, true},
		"a retry":         {func(r *syncReport) { r.Complete, r.retry = false, true }, false},
		"a retry, failed": {func(r *syncReport) { r.Complete, r.retry, r.Failed = false, true, 1 }, true},
	} {
		r := clean()
		if tt.change(r); r.left() != tt.left {
			t.Errorf("%s: left is %t", name, r.left())
		}
	}
}

func TestStatusScreen(t *testing.T) {
	t.Parallel()
	golden(t, "status_empty", (&statusJSON{}).screen())
	golden(t, "status_begun", (&statusJSON{Runs: []runJSON{{Run: 1, Command: "sync", Began: at(1)}}}).screen())

	ran := func(run int64, code int, change func(*runJSON)) runJSON {
		r := runJSON{Run: run, Command: "sync", Began: at(int(run)), Ended: new(at(int(run) + 1)), ExitCode: &code, Bytes: run * 1_234_567, ClassA: run * 1000, ClassB: 1}
		change(&r)
		return r
	}
	s := &statusJSON{
		Bucket: "media", BucketID: "0123456789abcdef0123456789abcdef", Domain: "social.example", Switched: new(at(20)), LastWalk: new(at(6)), Uploads: 1,
		Classes: []totalJSON{
			{Class: "media_attachments", Files: 1_203_327, Bytes: 40_500_000_000, Adopted: 12},
			{Class: "preview_card_providers", Cached: true, Files: 3, Bytes: 999},
		},
		Runs: []runJSON{
			{Run: 8, Command: "sync", Began: at(8)},
			{Run: 7, Command: "sync", Began: at(7), Killed: true},
			ran(6, 0, func(r *runJSON) { r.Complete = true }),
			ran(5, 3, func(r *runJSON) { r.Complete = true }),
			ran(4, 130, func(*runJSON) {}),
			ran(3, 4, func(r *runJSON) { r.Bytes = 0 }),
			ran(2, 0, func(*runJSON) {}),
		},
		Proof: proofsJSON{Recorded: 1_064_336, ReadBack: 38_112, LastPass: &passJSON{Run: 8, At: at(8), Walked: true, Listed: 1_064_350, Same: 1_064_330}},
	}
	for _, k := range []ledger.Kind{
		ledger.Changed, ledger.Conflict, ledger.Exposed, ledger.HeldBack, ledger.Left, ledger.Link,
		ledger.Outside, ledger.Special, ledger.Unreadable, ledger.Vanished,
	} {
		s.Causes = append(s.Causes, causeJSON{Kind: k, Cause: "a cause", Files: 1234, Example: avatar})
	}
	for _, cause := range []string{"403 AccessDenied", "permission denied on disk", "its name can't be a key: invalid UTF-8", "another name beside it is the same to R2 (Unicode NFC)", "500 \x1b[2J"} {
		s.Causes = append(s.Causes, causeJSON{Kind: ledger.Failed, Cause: cause, Files: 1, Example: avatar})
	}
	s.Outlook = outlookJSON{
		Month: monthJSON{ClassA: 31_204, ClassB: 1_200_311, FreeA: 1_000_000}, Bucket: &bucketDayJSON{Objects: 1_064_336, Bytes: 94_800_000_000},
		Growth: &forecastJSON{BytesPerDay: 1_900_000_000, Days: 29, Crosses: new(at(30))},
	}
	golden(t, "status_rich", s.screen())
}

func TestExplainScreen(t *testing.T) {
	t.Parallel()
	stored := func(origin string) *storedJSON {
		return &storedJSON{Size: 12_345, ModTime: at(3).Add(123456789), MD5: strings.Repeat("ab", 16), SHA256: strings.Repeat("cd", 32), ETag: strings.Repeat("ab", 16), Origin: origin}
	}
	stories := map[string]*story{
		"explain_put": {
			Key: string(avatar), Class: "accounts", ID: 109, Style: "original", Created: new(at(1)), Stored: stored("put"),
			Evidence: []proofJSON{
				{Level: proofOf(ledger.Entry{Origin: ledger.Put}), Op: "PutObject", Run: 7, At: at(4)},
				{Level: levelWords(ledger.ReadBack), Op: "GetObject", Run: 9, At: at(6), ETag: strings.Repeat("ab", 16)},
			},
			Verified: &standingJSON{Level: levelWords(ledger.ReadBack), Op: "GetObject", Run: 9, At: new(at(6)), Listings: 31},
		},
		"explain_adopted": {
			Key: string(remote), Class: "media_attachments", Cached: true, ID: 109, Style: "small", Stored: stored("adopted"),
			Evidence: []proofJSON{{Level: proofOf(ledger.Entry{Origin: ledger.Adopted}), Op: "HeadObject", Run: 7, At: at(4)}},
			Verified: &standingJSON{Level: levelWords(0), Fallen: "missing: moved earlier, not in the bucket now"},
			Doubt:    &doubtJSON{Verdict: ledger.Missing, Cause: "moved earlier, not in the bucket now", Since: 8, Run: 10, At: at(7)},
			Finding:  &findingJSON{Kind: ledger.Changed, Cause: "differs from what was adopted", Detail: "the object was left alone: it may be the only good copy", Run: 8, At: at(5)},
		},
		"explain_failed": {
			Key: string(hostile), Class: "accounts",
			Finding: &findingJSON{Kind: ledger.Failed, Cause: "its name can't be a key: control character", Detail: "bad\x1b[2J\nname", Run: 8, At: at(5)},
		},
		"explain_odd":     {Key: string(oddKey), Class: "media_attachments", Stored: stored("put"), Evidence: []proofJSON{{Level: "x", Op: "PutObject", Run: 7, At: at(4)}}},
		"explain_unknown": {Key: "robots.txt"},
	}
	for name, s := range stories {
		golden(t, name, s.screen())
	}
}

// No screen lets a byte of a file's name, or of a server's answer, play tricks on
// the terminal.
func TestScreensAreHarmless(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		for line := range strings.Lines(string(text)) {
			if !harmless(strings.TrimSuffix(line, "\n")) {
				err = errors.Join(err, fmt.Errorf("%q", line))
			}
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

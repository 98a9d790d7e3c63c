package ledger

import (
	"encoding/json"
	"testing"
	"time"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func begin(t *testing.T, l *Ledger, at time.Time) int64 {
	t.Helper()
	id, err := l.Begin(t.Context(), "sync", at)
	must(t, err)
	return id
}

func TestRuns(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	killed := begin(t, l, noon)
	must(t, l.AddUsage(t.Context(), killed, noon, costs.Usage{costs.PutObject: 5}))
	ended := begin(t, l, noon.Add(time.Hour))
	end := RunEnd{
		At: noon.Add(2 * time.Hour), ExitCode: 3, Complete: true,
		Counts: json.RawMessage(`{"moved":7}`), Usage: costs.Usage{costs.PutObject: 7, costs.GetObject: 1}, Bytes: 70,
	}
	must(t, l.Finish(t.Context(), ended, end))
	running := begin(t, l, noon.Add(3*time.Hour))

	got, err := l.Runs(t.Context(), 10)
	must(t, err)
	none := RunEnd{Counts: json.RawMessage("{}")}
	killedEnd := none
	killedEnd.Usage = costs.Usage{costs.PutObject: 5}
	want := []Run{
		{ID: running, Command: "sync", Began: noon.Add(3 * time.Hour), RunEnd: none},
		{ID: ended, Command: "sync", Began: noon.Add(time.Hour), RunEnd: end},
		{ID: killed, Command: "sync", Began: noon, Interrupted: true, RunEnd: killedEnd},
	}
	equal(t, got, want)
	got, err = l.Runs(t.Context(), 1)
	must(t, err)
	equal(t, got, want[:1])
	wantIs(t, l.Finish(t.Context(), 99, end), ErrUnknown)
}

// TestUsage: repeating a day's total changes nothing, the end fills in the
// last day, and months are cut at midnight UTC.
func TestUsage(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	puts := func(n int64) costs.Usage { return costs.Usage{costs.PutObject: n} }
	run := begin(t, l, noon)
	for _, n := range []int64{1, 20, 20} {
		must(t, l.AddUsage(t.Context(), run, noon, puts(n)))
	}
	tomorrow := noon.AddDate(0, 0, 1)
	must(t, l.AddUsage(t.Context(), run, tomorrow, puts(3)))
	must(t, l.Finish(t.Context(), run, RunEnd{At: tomorrow, Usage: puts(30)}))
	must(t, l.Finish(t.Context(), run, RunEnd{At: tomorrow, Usage: puts(30)}))

	tokyo := time.FixedZone("JST", 9*3600)
	for _, tt := range []struct {
		from, to time.Time
		want     int64
	}{
		{noon, tomorrow, 20},
		{noon, tomorrow.AddDate(0, 1, 0), 30},
		{tomorrow, tomorrow.AddDate(0, 1, 0), 10},
		{tomorrow.AddDate(0, 0, 1), tomorrow.AddDate(0, 1, 0), 0},
		{time.Date(2026, 12, 1, 8, 0, 0, 0, tokyo), tomorrow, 20}, // November in UTC
	} {
		got, err := l.MonthUsage(t.Context(), tt.from, tt.to)
		must(t, err)
		if got != puts(tt.want) {
			t.Errorf("%s to %s: %v, want %d", tt.from, tt.to, got, tt.want)
		}
	}
	if err := l.AddUsage(t.Context(), 99, noon, puts(1)); err == nil {
		t.Error("usage of a run that never was")
	}
}

// TestUsageOfALaterVersion: an operation this program can't name costs the most.
func TestUsageOfALaterVersion(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	run := begin(t, l, noon)
	must(t, l.wait(t.Context(), func(s *session) error {
		return s.exec("INSERT INTO usage (run, day, op, count) VALUES (?, '2026-11-30', 'FoldObject', 4)", run)
	}))
	got, err := l.MonthUsage(t.Context(), noon, noon.AddDate(0, 0, 1))
	must(t, err)
	equal(t, got, costs.Usage{costs.Unknown: 4})
}

func TestUploads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	a := Upload{Key: "media_attachments/a", ID: "id/ä+1", Run: 1, At: noon}
	b := Upload{Key: media.Key("media_attachments/\xff"), ID: "2", Run: 1, At: noon.Add(1)}
	for _, u := range []Upload{b, a, b} {
		must(t, l.AddUpload(t.Context(), u))
	}
	got, err := mustOpenReader(t, dir).Uploads(t.Context()) // durable already
	must(t, err)
	equal(t, got, []Upload{a, b})
	must(t, l.RemoveUpload(t.Context(), a.ID))
	must(t, l.RemoveUpload(t.Context(), a.ID))
	got, err = l.Uploads(t.Context())
	must(t, err)
	equal(t, got, []Upload{b})
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	id, err := l.Identity(t.Context())
	must(t, err)
	if len(id.LedgerID) != 32 {
		t.Errorf("ledger id %q, want 128 bits in hex", id.LedgerID)
	}
	equal(t, id, Identity{LedgerID: id.LedgerID})
	want := Identity{
		BucketID: "b", Domain: "example.social", Endpoint: "https://x", Bucket: "media", Prefix: "p",
		Probed: true, SwitchedAt: noon,
	}
	must(t, l.SetIdentity(t.Context(), want))
	want.LedgerID = id.LedgerID
	must(t, l.SetIdentity(t.Context(), want))
	mustClose(t, l)
	l = mustOpen(t, dir)
	got, err := l.Identity(t.Context())
	must(t, err)
	equal(t, got, want)
	got.LedgerID = "another"
	if err := l.SetIdentity(t.Context(), got); err == nil {
		t.Error("a ledger changed its id")
	}
	other, err := mustOpen(t, t.TempDir()).Identity(t.Context())
	must(t, err)
	if other.LedgerID == id.LedgerID {
		t.Error("two ledgers with one id")
	}
}

func TestWalk(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir())
	w, err := l.LastWalk(t.Context())
	must(t, err)
	equal(t, w, Walk{})
	want := Walk{Began: noon, Run: 4, Classes: map[string]int64{"accounts": 100, "cache": 1}}
	must(t, l.SetWalk(t.Context(), Walk{Run: 1}))
	must(t, l.SetWalk(t.Context(), want))
	w, err = l.LastWalk(t.Context())
	must(t, err)
	equal(t, w, want)
}

// TestOneRun: by its number, and the last of a command.
func TestOneRun(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	l := mustOpen(t, t.TempDir())
	for _, command := range []string{"sync", "verify", "sync"} {
		_, err := l.Begin(ctx, command, noon)
		must(t, err)
	}
	must(t, l.Finish(ctx, 2, RunEnd{At: noon, ExitCode: 3, Usage: costs.Usage{costs.ListObjects: 4}}))
	second, err := l.Run(ctx, 2)
	must(t, err)
	if second.Command != "verify" || second.ExitCode != 3 || second.Usage.A() != 4 {
		t.Errorf("%+v", second)
	}
	last, err := l.Latest(ctx, "sync")
	must(t, err)
	equal(t, last.ID, int64(3))
	_, err = l.Run(ctx, 4)
	wantIs(t, err, ErrUnknown)
	_, err = l.Latest(ctx, "plan")
	wantIs(t, err, ErrUnknown)
}

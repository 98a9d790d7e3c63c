package main

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"example.org/mediamove/uploader"
)

func TestCount(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0", 7: "7", 999: "999", 1000: "1,000", 1_032_011: "1,032,011", -5: "-5", -1234: "-1,234",
		math.MaxInt64: "9,223,372,036,854,775,807", math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %q, want %q", n, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64().Draw(t, "n")
		if back, err := strconv.ParseInt(strings.ReplaceAll(count(n), ",", ""), 10, 64); err != nil || back != n {
			t.Fatalf("count(%d) = %q", n, count(n))
		}
	})
}

func TestFilesInWords(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 files", 1: "1 file", 2: "2 files", 1500: "1,500 files"} {
		if got := files(n); got != want {
			t.Errorf("files(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1 kB", 1499: "1.5 kB", 999_499: "999 kB", 999_500: "1 MB", 77_700_000: "77.7 MB",
		100_000_000_000: "100 GB", 1_234_000_000_000: "1.23 TB", 1_234_000_000_000_000: "1.23 PB", math.MaxInt64: "9.22 EB",
	} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
	units := map[string]float64{"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15, "EB": 1e18}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, math.MaxInt64).Draw(t, "n")
		number, unit, _ := strings.Cut(size(n), " ")
		v, err := strconv.ParseFloat(number, 64)
		if err != nil || units[unit] == 0 || v >= 1000 || strings.Contains(number, "e") || len(size(n)) > 7 {
			t.Fatalf("size(%d) = %q", n, size(n))
		}
		if off := math.Abs(v*units[unit] - float64(n)); off > float64(n)*0.006 {
			t.Fatalf("size(%d) = %q: %g off", n, size(n), off)
		}
	})
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0:                        "0.0 s",
		1234 * time.Millisecond:  "1.2 s",
		59940 * time.Millisecond: "59.9 s",
		59960 * time.Millisecond: "1 min 00 s",
		61 * time.Second:         "1 min 01 s",
		time.Hour - 1:            "59 min 59 s",
		25*time.Hour + 3*time.Minute + 59*time.Second: "25 h 03 min",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestParseRate(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int64{
		"": 0, "0": 0, "1": 1, "1000000": 1e6, "20MB": 20e6, "20 MB": 20e6, " 20MB/s ": 20e6, "500kB": 500e3, "500KB": 500e3,
		"1.5GB": 15e8, "1MiB": 1 << 20, "2KiB/s": 2048, "1GiB": 1 << 30, "12B": 12, ".5kB": 500,
	} {
		if got, err := parseRate(s); err != nil || got != want {
			t.Errorf("parseRate(%q) = %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"fast", "-1", "+1", "1e6", "0x10", "-0", "-5MB", "MB", "20Mb", "20M", "0.5", "1e300", "NaN", "Inf", "+Inf", "1MB/h", "1 000", "1,000", "20MBB", "/s/s"} {
		got, err := parseRate(s)
		if !errors.Is(err, errRate) || exitCode(err) != exitUsage || hintFor(err) == "" {
			t.Errorf("parseRate(%q) = %d, %v: want a usage error", s, got, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1e9).Draw(t, "n")
		unit := rapid.SampledFrom([]string{"B", "kB", "MB", "KiB", ""}).Draw(t, "unit")
		factor := map[string]int64{"B": 1, "kB": 1e3, "MB": 1e6, "KiB": 1 << 10, "": 1}[unit]
		if got, err := parseRate(strconv.FormatInt(n, 10) + unit); n*factor <= 1e15 && (err != nil || got != n*factor) {
			t.Fatalf("%d%s: %d, %v", n, unit, got, err)
		}
	})
}

func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"20MB", "1.5GiB/s", "0x1p-2MB", "-0", "", "1_000kB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseRate(s)
		if n < 0 || n > 1e15 || (err != nil && n != 0) {
			t.Errorf("parseRate(%q) = %d, %v", s, n, err)
		}
		if n == 0 && err == nil && strings.ContainsAny(s, "123456789") {
			t.Errorf("parseRate(%q): a bound was typed, and none was set", s)
		}
	})
}

func TestRemaining(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		stats   uploader.Stats
		elapsed time.Duration
		want    time.Duration
		ok      bool
	}{
		{"the walk goes on", uploader.Stats{Done: 5, ToSend: 10, DoneBytes: 5, ToSendBytes: 10}, time.Minute, 0, false},
		{"nothing done", uploader.Stats{WalkDone: true, ToSend: 10, ToSendBytes: 10}, time.Minute, 0, false},
		{"nothing to do", uploader.Stats{WalkDone: true}, time.Minute, 0, false},
		{"half", uploader.Stats{WalkDone: true, Done: 5, ToSend: 10, DoneBytes: 50, ToSendBytes: 100}, time.Minute, time.Minute, true},
		{"files are slower", uploader.Stats{WalkDone: true, Done: 1, ToSend: 4, DoneBytes: 50, ToSendBytes: 100}, time.Minute, 3 * time.Minute, true},
		{"bytes are slower", uploader.Stats{WalkDone: true, Done: 3, ToSend: 4, DoneBytes: 50, ToSendBytes: 100}, time.Minute, time.Minute, true},
		{"empty files only", uploader.Stats{WalkDone: true, Done: 3, ToSend: 4}, time.Minute, 20 * time.Second, true},
		{"files, but no bytes yet", uploader.Stats{WalkDone: true, Done: 3, ToSend: 4, ToSendBytes: 9}, time.Minute, 0, false},
		{"one byte of a lot", uploader.Stats{WalkDone: true, Done: 1, ToSend: 2, DoneBytes: 1, ToSendBytes: math.MaxInt64}, time.Hour, 0, false},
		{"files grew", uploader.Stats{WalkDone: true, Done: 4, ToSend: 4, DoneBytes: 200, ToSendBytes: 100}, time.Minute, 0, true},
	}
	for _, tt := range tests {
		got, ok := remaining(tt.stats, tt.elapsed)
		if got.Round(time.Second) != tt.want || ok != tt.ok {
			t.Errorf("%s: %v, %t, want %v, %t", tt.name, got, ok, tt.want, tt.ok)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, math.MaxInt64)
		s := uploader.Stats{WalkDone: true, Done: n.Draw(t, "done"), ToSend: n.Draw(t, "toSend"), DoneBytes: n.Draw(t, "doneBytes"), ToSendBytes: n.Draw(t, "bytes")}
		if eta, _ := remaining(s, time.Duration(n.Draw(t, "elapsed"))); eta < 0 || eta > longestETA {
			t.Fatalf("%v for %+v", eta, s)
		}
	})
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"plain → text, ünïcödé": "plain → text, ünïcödé",
		"two\nlines":            "two; lines",
		"\x1b[2Jgone":           "?[2Jgone",
		"c1 \u009b2J":           "c1 ?2J",
		"a\rb\tc\x00\x7f":       "a?b?c??",
		"\u202egnp.exe":         "?gnp.exe",
		"line\u2028separator":   "line?separator",
	} {
		if got := oneLine(s); got != want {
			t.Errorf("oneLine(%q) = %q, want %q", s, got, want)
		}
	}
}

// harmless reports whether a terminal shows s as it is, on one line.
func harmless(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
	})
}

func FuzzOneLine(f *testing.F) {
	for _, s := range []string{"", "\x1b]0;title\a", "a\n\nb", "\xff\xfe", "\u202e\u2066", "\u0085"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := oneLine(s); !harmless(got) {
			t.Errorf("oneLine(%q) = %q", s, got)
		}
	})
}

func FuzzQuoteKey(f *testing.F) {
	for _, s := range []string{"", "accounts/avatars/000/000/001/original/a.png", `a"b`, `a\b`, "tab\there", "\xff", "\u202e", "é", `"quoted"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, key string) {
		got := quoteKey(key)
		if !harmless(got) {
			t.Errorf("quoteKey(%q) = %q", key, got)
		}
		if got == key {
			return
		}
		if back, err := strconv.Unquote(got); err != nil || back != key {
			t.Errorf("quoteKey(%q) = %q can't be read back", key, got)
		}
	})
}

func TestQuoteKey(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"accounts/a b/ü.png": "accounts/a b/ü.png",
		`say "x"`:            `"say \"x\""`,
		`back\slash`:         `"back\\slash"`,
		"\x1b[2J":            `"\x1b[2J"`,
		"\xff":               `"\xff"`,
		"tab\t":              `"tab\t"`,
	} {
		if got := quoteKey(key); got != want {
			t.Errorf("quoteKey(%q) = %s, want %s", key, got, want)
		}
	}
}

func TestJoinWords(t *testing.T) {
	t.Parallel()
	for want, words := range map[string][]string{"": nil, "a": {"a"}, "a and b": {"a", "b"}, "a, b and c": {"a", "b", "c"}} {
		if got := joinWords(words); got != want {
			t.Errorf("%v: %q, want %q", words, got, want)
		}
	}
}

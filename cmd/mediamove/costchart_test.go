package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestBar(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		part, whole int64
		want        string
	}{
		{0, 100, ""},
		{-1, 100, ""},
		{1, 0, ""},
		{1, 1_000_000, "▏"},
		{50, 100, "██"},
		{54, 100, "██▏"},
		{99, 100, "███▉"},
		{100, 100, "████"},
		{1 << 62, 1 << 62, "████"},
	} {
		if got := bar(tt.part, tt.whole, 4); got != tt.want {
			t.Errorf("%d of %d: %q, want %q", tt.part, tt.whole, got, tt.want)
		}
	}
}

func TestSpark(t *testing.T) {
	t.Parallel()
	for want, values := range map[string][]int64{
		"":           nil,
		"···":        {0, 0, -1},
		"▁█":         {1, 1_000_000},
		"▁▂▃▄▅▆▇█·█": {1, 2, 3, 4, 5, 6, 7, 8, 0, 1 << 3},
		"█":          {1 << 62},
	} {
		if got := spark(values); got != want {
			t.Errorf("%v: %q, want %q", values, got, want)
		}
	}
}

// Wrapped text has every word, in order, and no line that is too long for a reason.
func TestWrap(t *testing.T) {
	t.Parallel()
	if got := wrap("one two  three", "  ", 9); got != "one two\n  three" {
		t.Errorf("%q", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[a-zé█]{1,12}`), 0, 30).Draw(t, "words")
		indent := strings.Repeat(" ", rapid.IntRange(0, 10).Draw(t, "indent"))
		width := rapid.IntRange(1, 60).Draw(t, "width")
		got := wrap(strings.Join(words, " "), indent, width)
		if strings.Join(strings.Fields(got), " ") != strings.Join(words, " ") {
			t.Fatalf("%q became %q", words, got)
		}
		for line := range strings.Lines(indent + got) {
			line = strings.TrimSuffix(line, "\n")
			if utf8.RuneCountInString(line) > width && len(strings.Fields(line)) > 1 || !strings.HasPrefix(line, indent) || strings.HasSuffix(line, " ") && len(words) > 0 {
				t.Fatalf("%q in %q, %d columns", line, got, width)
			}
		}
	})
}

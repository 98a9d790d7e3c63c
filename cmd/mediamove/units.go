package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// count prints n with thousands separators: 1,032,011.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// size prints bytes in decimal units, as R2 bills them: 1 GB is 10^9 bytes.
func size(n int64) string {
	units := []string{"kB", "MB", "GB", "TB", "PB", "EB"}
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v := float64(n)
	for _, unit := range units {
		if v /= 1000; v < 999.5 || unit == "EB" {
			return fmt.Sprintf("%.3g %s", v, unit)
		}
	}
	return ""
}

// span prints a duration the way people say it.
func span(d time.Duration) string {
	if d < time.Minute {
		d = d.Round(100 * time.Millisecond) // 59.96 s is a minute, not 60.0 s
	}
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
}

// files says how many there are.
func files(n int64) string {
	if n == 1 {
		return "1 file"
	}
	return count(n) + " files"
}

// errRate lets a caller put the flag's own name into the message.
var errRate = errors.New("not a rate in bytes per second")

// parseRate reads a decimal rate: 20MB, 500kB, 1.5GB, 1000000. Zero or "" is no bound.
// Binary units are refused rather than guessed: MiB is 2^20, and says so.
func parseRate(s string) (int64, error) {
	text := strings.TrimSuffix(strings.TrimSpace(s), "/s")
	if text == "" {
		return 0, nil
	}
	units := []struct {
		name   string
		factor float64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1}}
	factor := 1.0
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			text, factor = strings.TrimSpace(number), u.factor
			break
		}
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.Trim(text, "0123456789.") != "" || v*factor > 1e15 || (v > 0 && v*factor < 1) {
		return 0, usagef("decimal bytes per second, for instance --bwlimit 20MB", "--bwlimit %q: %w", s, errRate)
	}
	return int64(v * factor), nil
}

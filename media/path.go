package media

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrUnrecognized marks a key that Mastodon's rules do not explain. Such a
// key may well be moved, as the web server shows it today, but it is never an orphan.
var ErrUnrecognized = errors.New("not a Mastodon media path")

// A Path is what a key says, read by Mastodon's own rules.
type Path struct {
	Cached     bool   // under cache/
	Class      Class  // never Outside
	Attachment string // files, avatars, headers, images, …
	ID         int64  // of the owning row; [Path.Key] has its range
	Style      string // original, small, static, …; later versions may have more
	Name       string // file name, in the style's extension
}

// Parse reads k. It accepts exactly what [Path.Key] prints for an attachment
// that Mastodon has, with an id in 3, 4 or 6 groups of digits. Any style and
// any file name will do; [Path.KnownStyle] and [CheckKey] judge those.
// The error wraps [ErrUnrecognized].
func Parse(k Key) (Path, error) {
	rest, cached := strings.CutPrefix(string(k), cacheFolder+"/")
	seg := strings.Split(rest, "/")
	n := len(seg)
	if n != 7 && n != 8 && n != 10 {
		return Path{}, unrecognized(k, fmt.Sprintf("%d segments", n))
	}
	a, ok := findAttachment(Class(seg[0]), seg[1])
	if !ok || cached && !a.cacheable {
		return Path{}, unrecognized(k, "no such attachment")
	}
	id, err := strconv.ParseInt(strings.Join(seg[2:n-2], ""), 10, 64)
	p := Path{Cached: cached, Class: a.class, Attachment: a.name, ID: id, Style: seg[n-2], Name: seg[n-1]}
	if err != nil || p.Key() != k { // printing it again finds signs and odd groups
		return Path{}, unrecognized(k, "bad id groups")
	}
	if !nameable(p.Style) || !nameable(p.Name) {
		return Path{}, unrecognized(k, "empty or dot segment")
	}
	return p, nil
}

func unrecognized(k Key, why string) error {
	return fmt.Errorf("parse %q: %s: %w", k, why, ErrUnrecognized)
}

func nameable(segment string) bool { return segment != "" && segment != "." && segment != ".." }

// Key prints p as Mastodon does. [Parse] reads it back if the id has at most 12
// digits (serial ids) or 18 (snowflakes from 2018 to 2453). Of other ids
// Mastodon itself drops digits, or prints groups that its tools refuse.
func (p Path) Key() Key {
	b := make([]byte, 0, 128)
	if p.Cached {
		b = append(b, cacheFolder+"/"...)
	}
	b = append(b, p.Class...)
	b = append(b, '/')
	b = append(b, p.Attachment...)
	b = appendPartition(b, p.ID)
	b = append(b, '/')
	b = append(b, p.Style...)
	b = append(b, '/')
	b = append(b, p.Name...)
	return Key(b)
}

// appendPartition is kt-paperclip's id_partition: zero-pad to 9 digits, from
// 10⁹ on to 12, and take every full run of three. What is left over is lost.
func appendPartition(b []byte, id int64) []byte {
	width := 9
	if id >= 1e9 {
		width = 12
	}
	digits := strings.TrimPrefix(fmt.Sprintf("%0*d", width, id), "-")
	for ; len(digits) >= 3; digits = digits[3:] {
		b = append(b, '/')
		b = append(b, digits[:3]...)
	}
	return b
}

// Created is the time in a snowflake id, to the millisecond: when the row was
// made, so never later than its files. It is false for the small ids of old
// rows and of the classes that never had snowflakes (lib/mastodon/snowflake.rb).
func (p Path) Created() (time.Time, bool) {
	if p.ID < 1e17 || p.ID >= 1e18 { // 18 digits are 6 groups
		return time.Time{}, false
	}
	return time.UnixMilli(p.ID >> 16).UTC(), true
}

// KnownStyle reports whether some version from 3.5 to 4.6 writes p.Style for
// p.Attachment. A style may be known for one row and not for another of the
// same attachment: only the row can tell.
func (p Path) KnownStyle() bool {
	a, ok := findAttachment(p.Class, p.Attachment)
	return ok && slices.Contains(a.styles, p.Style)
}

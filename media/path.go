package media

import (
	"bytes"
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
	n := strings.Count(rest, "/") + 1
	if n != 7 && n != 8 && n != 10 {
		return Path{}, unrecognized(k, fmt.Sprintf("%d segments", n))
	}
	class, rest, _ := strings.Cut(rest, "/")
	attachment, rest, _ := strings.Cut(rest, "/")
	a, ok := findAttachment(Class(class), attachment)
	if !ok || cached && !a.cacheable {
		return Path{}, unrecognized(k, "no such attachment")
	}
	at := strings.LastIndexByte(rest, '/')
	groups, name := rest[:at], rest[at+1:]
	at = strings.LastIndexByte(groups, '/')
	groups, style := groups[:at], groups[at+1:]
	id, ok := readPartition(groups)
	if !ok {
		return Path{}, unrecognized(k, "bad id groups")
	}
	if !nameable(style) || !nameable(name) {
		return Path{}, unrecognized(k, "empty or dot segment")
	}
	return Path{Cached: cached, Class: a.class, Attachment: a.name, ID: id, Style: style, Name: name}, nil
}

// readPartition is the inverse of [appendPartition]; false for what that does not print.
func readPartition(groups string) (id int64, ok bool) {
	const digits = 18 // in six groups
	if len(groups) > digits+digits/3-1 {
		return 0, false
	}
	for i := range len(groups) {
		switch c := groups[i]; {
		case i%4 == 3 && c == '/':
		case i%4 != 3 && '0' <= c && c <= '9':
			id = id*10 + int64(c-'0')
		default:
			return 0, false
		}
	}
	var printed [digits + digits/3]byte
	return id, string(appendPartition(printed[:0], id)[1:]) == groups
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
	var buf [20]byte
	digits := bytes.TrimPrefix(strconv.AppendInt(buf[:0], id, 10), []byte("-"))
	zeros := width - len(digits)
	if id < 0 {
		zeros-- // where the sign was
	}
	zeros = max(0, zeros)
	for i := range (zeros + len(digits)) / 3 * 3 {
		if i%3 == 0 {
			b = append(b, '/')
		}
		if i < zeros {
			b = append(b, '0')
		} else {
			b = append(b, digits[i-zeros])
		}
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

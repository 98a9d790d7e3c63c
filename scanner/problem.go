package scanner

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"example.org/mediamove/media"
)

// A Kind groups problems by what they mean for the walk.
type Kind uint8

// The kinds of [Problem].
const (
	Unreadable Kind = iota + 1 // a folder or file could not be read or looked at
	Link                       // a symbolic link, never followed
	Special                    // a FIFO, socket or device, never opened
	Outside                    // not below a folder of Mastodon's; a folder once, for all it holds
	BadName                    // cannot be a key: Err is a *media.KeyError
	Twin                       // names that are one object in R2, which compares in NFC; all of them
	Mount                      // information: another file system begins here, and is walked
)

// String is one or two lower case words.
func (k Kind) String() string {
	names := [...]string{"unknown", "unreadable", "link", "special", "outside", "bad name", "twin", "mount"}
	if int(k) >= len(names) {
		k = 0
	}
	return names[k]
}

// A Problem is something in the tree that is not a file to be moved. It stands
// in the stream in the place of a file; the walk goes on.
type Problem struct {
	Path media.Key // as on disk, bytes as they are; "." is the root itself
	Kind Kind
	Err  error // never nil
}

// Error quotes the path, so that no byte of it reaches a terminal as it is.
func (p *Problem) Error() string { return fmt.Sprintf("%s %q: %v", p.Kind, p.Path, p.Err) }

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }

// Incomplete reports whether there may be files that the walk did not see: it
// could not read, or a link stands in the place of a folder.
func (p *Problem) Incomplete() bool { return p.Kind == Unreadable || p.Folder() }

// Folder reports whether this is a link where Mastodon has only folders (a
// class folder or one directly in it): most likely media on another disk.
func (p *Problem) Folder() bool {
	below := strings.TrimPrefix(string(p.Path), cacheFolder+"/")
	return p.Kind == Link && strings.Count(below, "/") <= 1
}

var (
	errLink    = errors.New("links are not followed")
	errOutside = errors.New("not below a media folder of Mastodon")
	errTwin    = errors.New("another name beside it is the same to R2 (Unicode NFC)")
	errMount   = errors.New("another file system begins here")
	errDevice  = errors.New("a device")
	errFIFO    = errors.New("a FIFO")
	errSocket  = errors.New("a socket")
)

func specialError(typ uint8) error {
	switch typ {
	case unix.DT_FIFO:
		return errFIFO
	case unix.DT_SOCK:
		return errSocket
	default:
		return errDevice
	}
}

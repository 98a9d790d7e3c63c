package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"example.org/mediamove/cleanup"
)

// A nightMissing is what rows need and lack, and what should be hidden.
type nightMissing struct {
	Asked   int64   `json:"asked"`
	Local   int64   `json:"local"`
	Remote  int64   `json:"remote"`
	Hidden  int64   `json:"hidden"`
	Exposed sumJSON `json:"exposed"`
}

// openMissing hooks the look for missing objects into the night's listing.
func (r *nightlyReport) openMissing(ctx context.Context, w *world) (err error) {
	root := &missingOptions{cleanFlags: r.o.cleanFlags}
	if r.c.tree, err = root.root(nil, r.c.settings, w); err != nil {
		r.c.log.WarnContext(ctx, "what the disk still has is not looked at", "err", err)
	}
	r.look, err = r.c.newMissingLook(ctx, r.sweep, cleanup.MinAge)
	return err
}

// misses finds what rows need and lack: a report, also of a night that may remove
// nothing; but a database that is contradicted has nothing to say.
func (r *nightlyReport) misses(ctx, side context.Context, w *world) error {
	if ctx.Err() != nil || r.sweep.doubted() != nil {
		return nil
	}
	brief, stop := context.WithCancel(side)
	progress := w.startProgress(brief, r.c.session, func(time.Duration) frame { return r.c.askFrame() })
	defer progress.wait()
	defer stop()
	if _, err := r.look.Gather(ctx); err != nil {
		return fmt.Errorf("look for missing objects: %w", err)
	}
	found, err := r.look.Find(ctx)
	if err != nil {
		return fmt.Errorf("look for missing objects: %w", err)
	}
	r.missing = &nightMissing{found.Absent, found.Lost(true), found.Lost(false), found.Hidden, sumOf(found.Shown())}
	return nil
}

// closeMissing gives back what openMissing has got.
func (r *nightlyReport) closeMissing() error {
	if r.look == nil {
		return nil
	}
	return r.look.close()
}

// print is one line; one about local users' objects is to be heard.
func (m *nightMissing) print(b *strings.Builder) {
	if m == nil {
		return
	}
	switch {
	case m.Local > 0:
		fmt.Fprintf(b, "MISSING    %s of LOCAL users are not in the bucket; why, and who still has them: mediamove missing --list", objectsOf(m.Local))
		if m.Remote > 0 {
			fmt.Fprintf(b, "; and %s of other servers", count(m.Remote))
		}
	case m.Remote > 0:
		fmt.Fprintf(b, "missing    %s of other servers, none of local users", objectsOf(m.Remote))
	default:
		b.WriteString("missing    nothing that a row needs")
	}
	if m.Exposed.Objects > 0 {
		fmt.Fprintf(b, "; %s should be hidden: mediamove missing --withdraw", objectsOf(m.Exposed.Objects))
	}
	b.WriteString("\n")
}

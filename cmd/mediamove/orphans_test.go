package main

import (
	"testing"

	"example.org/mediamove/fixtures/instance"
	"example.org/mediamove/media"
)

// The whole life of an orphan: seen, bound, seen again, removed, taken back.
func TestOrphansLife(t *testing.T) {
	t.Parallel()
	l := newLiving(t, instance.Small(7, "4.6"), 60)
	var removable int
	for _, o := range l.orphans {
		if o.Kind == instance.KindOrphan {
			removable++
		}
	}

	first := l.orphan(0)
	if first.Orphan.Objects != int64(removable) || first.Candidates.Objects != 0 || first.Owned.Objects == 0 {
		t.Fatalf("%d removable, first scan: %+v", removable, first)
	}
	if b := l.bind(); !b.Bound || b.Percent != 100 {
		t.Fatalf("%+v", b)
	}
	l.night()
	before := l.stands()
	out := l.orphan(0, "--apply")
	if out.Removed.Objects == 0 {
		t.Fatalf("%+v", out)
	}
	l.owned()
	after := l.stands()
	for k := range before {
		if _, ok := after[k]; !ok {
			o, planted := l.orphans[media.Key(k)]
			if !planted || o.Kind != instance.KindOrphan {
				t.Errorf("%s was removed: %+v", k, o)
			}
		}
	}
	t.Logf("%+v", out)
}

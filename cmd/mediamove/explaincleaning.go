package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// maxRemovals bounds how much of one key's journal is told.
const maxRemovals = 100

// cleaned adds what scans and cleanup runs know of k.
func (s *story) cleaned(ctx context.Context, led *ledger.Ledger, k media.Key) error {
	suspect, err := led.SuspectAbout(ctx, k)
	switch {
	case err == nil:
		s.Suspect = new(suspectOf(&suspect))
	case !errors.Is(err, ledger.ErrUnknown):
		return err
	}
	for r, err := range led.Removals(ctx, ledger.RemovalQuery{Key: k}) {
		if err != nil {
			return err
		}
		if s.Removals = append(s.Removals, removalOf(&r)); len(s.Removals) == maxRemovals {
			break
		}
	}
	return nil
}

// suspectOf puts a suspect into the shape that orphans --list has too.
func suspectOf(s *ledger.Suspect) suspectJSON {
	return suspectJSON{
		Kind: string(s.Kind), Key: string(s.Key), Reason: s.Reason, Size: s.Size, ETag: s.ETag, Modified: s.Modified.UTC(),
		FirstRun: s.FirstRun, First: s.First.UTC(), LastRun: s.LastRun, Last: s.Last.UTC(),
	}
}

// printCleaning shows the first and the last sighting, as it takes both to remove anything.
func (s *story) printCleaning(b *strings.Builder) {
	if v := s.Suspect; v != nil {
		fmt.Fprintf(b, "\nowned by no row (%s): %s; first seen so at %s (run %d), last at %s (run %d)\n",
			v.Kind, oneLine(v.Reason), v.First.Format(time.RFC3339), v.FirstRun, v.Last.Format(time.RFC3339), v.LastRun)
	}
	for _, r := range s.Removals {
		fmt.Fprintf(b, "\n%s by run %d, %s: %s\n", r.State, r.Run, r.Intended.Format(time.RFC3339), oneLine(r.Reason))
		if r.Detail != "" {
			fmt.Fprintf(b, "  %s\n", oneLine(r.Detail))
		}
		if r.RestoredAt != nil {
			fmt.Fprintf(b, "  put back by run %d, %s\n", r.RestoredRun, r.RestoredAt.Format(time.RFC3339))
		}
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// wantedKeys are what --list asks for. A word may name both: what a sync found, and what
// a verify did.
type wantedKeys struct {
	kinds    []ledger.Kind
	verdicts []ledger.Verdict
}

// parseKinds takes words as they are stored; one that both know is asked of both.
func parseKinds(names []string) (l wantedKeys, err error) {
	for _, name := range names {
		k, v := ledger.Kind(name), ledger.Verdict(name)
		if !k.Valid() && !v.Valid() {
			return l, usagef("the kinds are listed by: mediamove status --help", "--list %q: no such kind", name)
		}
		if k.Valid() {
			l.kinds = append(l.kinds, k)
		}
		if v.Valid() {
			l.verdicts = append(l.verdicts, v)
		}
	}
	return l, nil
}

// A listItem is one key of a list.
// Size is in bytes. Detail and ETag are of this one key, Cause is shared by many.
type listItem struct {
	Kind   string    `json:"kind"`
	Key    media.Key `json:"key"`
	Size   int64     `json:"size"`
	Cause  string    `json:"cause"`
	Detail string    `json:"detail,omitempty"`
	ETag   string    `json:"etag,omitempty"`
	Run    int64     `json:"run"`
	At     time.Time `json:"at"`
}

// list prints as it reads: a list may have a million keys.
func (l wantedKeys) list(ctx context.Context, out io.Writer, led *ledger.Ledger, asJSON bool) error {
	p := listPrinter{out: out, json: asJSON}
	if err := p.begin("mediamove.list/1", "items"); err != nil {
		return err
	}
	err := l.each(ctx, led, func(i listItem) error {
		return p.print(fmt.Sprintf("%s\t%d\t%s\t%s", i.Kind, i.Size, oneLine(i.Cause), quoteKey(string(i.Key))), i)
	})
	if err != nil {
		return err
	}
	return p.end()
}

// each passes on what syncs found, then what the last verify did.
func (l wantedKeys) each(ctx context.Context, led *ledger.Ledger, tell func(listItem) error) error {
	if len(l.kinds) > 0 {
		for f, err := range led.Findings(ctx, l.kinds...) {
			if err == nil {
				err = tell(listItem{string(f.Kind), f.Key, f.Size, f.Cause, f.Detail, "", f.Run, f.At.UTC()})
			}
			if err != nil {
				return err
			}
		}
	}
	if len(l.verdicts) == 0 {
		return nil
	}
	last, err := led.Latest(ctx, "verify")
	if errors.Is(err, ledger.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	for d, err := range led.Doubts(ctx, last.ID, l.verdicts...) {
		repaired := false
		if err == nil {
			repaired, err = sentSince(ctx, led, d)
		}
		if repaired {
			continue
		}
		if err == nil {
			err = tell(listItem{string(d.Verdict), d.Key, d.Size, d.Cause, d.Detail, d.ETag, d.Run, d.At.UTC()})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sentSince reports whether the object was sent again after it was doubted.
func sentSince(ctx context.Context, led *ledger.Ledger, d ledger.Doubt) (bool, error) {
	e, err := led.Entry(ctx, d.Key)
	if errors.Is(err, ledger.ErrUnknown) {
		return false, nil
	}
	return e.Run >= d.Run && e.At.After(d.At), err
}

package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/cleanup/trash"
	"example.org/mediamove/media"
)

// bins are the trashes of all policies, each opened when it is first asked for. One that
// is not there has no copy.
type bins struct {
	c    *cleaning
	dir  string                    // one more that somebody named; "": none
	open map[string]*cleanup.Trash // by folder
}

// of are the trashes in which a policy may have put its copies.
func (b *bins) of(ctx context.Context, policy string) (all []*cleanup.Trash) {
	typed, own := trashOf(policy), trashOf(policy)
	for typed.dir = b.dir; ; typed = own {
		if bin := b.at(ctx, typed); bin != nil {
			all = append(all, bin)
		}
		if typed.dir == "" {
			return all
		}
	}
}

// at opens a trash; nil if there is none.
func (b *bins) at(ctx context.Context, f trashFlags) *cleanup.Trash {
	dir, err := f.folder(b.c)
	if bin, known := b.open[dir]; known {
		return bin
	}
	if b.open == nil {
		b.open = map[string]*cleanup.Trash{}
	}
	b.open[dir] = nil
	if err == nil {
		_, err = os.Stat(dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	bin, openErr := f.open(ctx, b.c)
	if err = errors.Join(err, openErr); err != nil {
		b.c.log.WarnContext(ctx, "a trash can't be read", "err", err)
		return nil
	}
	b.open[dir] = bin
	return bin
}

// trashOf is where a policy keeps its copies if nobody named a folder.
func trashOf(policy string) trashFlags {
	if policy == cleanup.WithdrawPolicy {
		return trashFlags{max: "20GB", base: withdrawnFolder, keep: cleanup.WithdrawKeep}
	}
	return trashFlags{max: "5GB"}
}

func (b *bins) has(ctx context.Context) func(policy, name string) bool {
	return func(policy, name string) bool {
		return slices.ContainsFunc(b.of(ctx, policy), func(bin *cleanup.Trash) bool { return bin.Store.Has(name) })
	}
}

// returner puts back what is needed, and nothing else.
func (b *bins) returner(ctx context.Context, needed func(ctx context.Context, k media.Key) error) func(policy string) cleanup.Returner {
	return func(policy string) cleanup.Returner {
		if all := b.of(ctx, policy); len(all) > 0 {
			return returning{all, needed}
		}
		return nil
	}
}

// returning is the one of several trashes that has a copy.
type returning struct {
	bins   []*cleanup.Trash
	needed func(ctx context.Context, k media.Key) error
}

// PutBack puts the copy called name back where it was.
func (r returning) PutBack(ctx context.Context, name string) (trash.Restored, error) {
	bin := r.bins[0]
	if i := slices.IndexFunc(r.bins, func(bin *cleanup.Trash) bool { return bin.Store.Has(name) }); i >= 0 {
		bin = r.bins[i]
	}
	return bin.Asking(r.needed).PutBack(ctx, name)
}

func (b *bins) close() (err error) {
	for _, bin := range b.open {
		if bin != nil {
			err = errors.Join(err, bin.Store.Close())
		}
	}
	b.open = nil
	return err
}

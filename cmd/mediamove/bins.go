package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/media"
)

// bins are the trashes of all policies, each opened when it is first asked for. One that
// is not there has no copy.
type bins struct {
	c    *cleaning
	open map[string]*cleanup.Trash // by folder
}

// of is the trash into which a policy puts its copies; nil if there is none.
func (b *bins) of(ctx context.Context, policy string) *cleanup.Trash {
	f := trashOf(policy)
	if bin, known := b.open[f.base]; known {
		return bin
	}
	if b.open == nil {
		b.open = map[string]*cleanup.Trash{}
	}
	b.open[f.base] = nil
	dir, err := f.folder(b.c)
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
	b.open[f.base] = bin
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
		bin := b.of(ctx, policy)
		return bin != nil && bin.Store.Has(name)
	}
}

// returner puts back what is needed, and nothing else.
func (b *bins) returner(ctx context.Context, needed func(ctx context.Context, k media.Key) error) func(policy string) cleanup.Returner {
	return func(policy string) cleanup.Returner {
		if bin := b.of(ctx, policy); bin != nil {
			return bin.Asking(needed)
		}
		return nil
	}
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

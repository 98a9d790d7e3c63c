package main

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"example.org/mediamove/bench/gentree"
	"example.org/mediamove/bench/sink"
	"example.org/mediamove/ledger"
	"example.org/mediamove/media"
)

// runFill is the subcommand that makes a ledger and a sink agree on objects that
// nobody has uploaded. It is a process of its own for the same reason as
// [runGentree].
func runFill(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("bench fill", flag.ContinueOnError)
	var s gentree.Spec
	state := fs.String("state", "", "state `DIR` of the ledger")
	to := fs.String("sink", "", "`URL` of the sink")
	bucket := fs.String("bucket", "bench", "`NAME` of the bucket in the sink")
	specFlags(fs, &s)
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *state == "" || *to == "" {
		return errors.New("fill needs -state and -sink")
	}
	at := time.Now()
	if err := fillLedger(ctx, *state, at, s.All()); err != nil {
		return err
	}
	return fillSink(ctx, *to+"/_fill?bucket="+url.QueryEscape(*bucket), objects(s, at))
}

// fillLedger records files as a sync would that had just moved them, in the order
// given: rows that come in key order would make a tidier file than any instance has.
func fillLedger(ctx context.Context, dir string, at time.Time, files iter.Seq[media.File]) error {
	l, err := ledger.Open(ctx, dir, ledger.Options{})
	if err != nil {
		return err
	}
	return errors.Join(record(ctx, l, at, files), l.Close())
}

func record(ctx context.Context, l *ledger.Ledger, at time.Time, files iter.Seq[media.File]) error {
	run, err := l.Begin(ctx, "sync", at)
	if err != nil {
		return err
	}
	for f := range files {
		sum := invented(f.Key)
		if err := l.Store(ctx, ledger.Entry{
			File: f, MD5: sum, SHA256: sha256.Sum256([]byte(f.Key)),
			ETag: hex.EncodeToString(sum[:]), Run: run, At: at,
		}); err != nil {
			return err
		}
	}
	return l.Finish(ctx, run, ledger.RunEnd{At: at, Complete: true})
}

// invented is the MD5 of a file that has no bytes: that of its name.
func invented(k media.Key) [md5.Size]byte { return md5.Sum([]byte(k)) }

// fillSink sends objects in one request that the sink doesn't count.
func fillSink(ctx context.Context, to string, objs iter.Seq[sink.Object]) error {
	body, w := io.Pipe()
	defer body.Close() // ends the writer, should the sink not want all of it
	go func() { w.CloseWithError(sink.WriteObjects(w, objs)) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, body)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("fill sink: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("fill sink: %s", resp.Status)
	}
	return nil
}

func objects(s gentree.Spec, at time.Time) iter.Seq[sink.Object] {
	return func(yield func(sink.Object) bool) {
		for f := range s.All() {
			if !yield(sink.Object{Key: string(f.Key), Size: f.Size, MD5: invented(f.Key), At: at}) {
				return
			}
		}
	}
}

// fill runs [runFill] on the state folder and the bucket of j.
func (h *harness) fill(ctx context.Context, j job, s gentree.Spec) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	argv := append([]string{"fill", "-state", filepath.Join(j.home, "state"), "-sink", j.url, "-bucket", j.bucket}, treeFlags(s)...)
	cmd := exec.CommandContext(ctx, self, argv...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("fill: %w: %s", err, out)
	}
	return nil
}

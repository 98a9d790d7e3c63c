package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"example.org/mediamove/costs"
	"example.org/mediamove/fixtures"
	"example.org/mediamove/media"
)

// newDemo makes the command for whoever wants to see it before trusting it.
func newDemo(w *world) *cobra.Command {
	keep := ""
	c := &cobra.Command{
		Use:   "demo",
		Short: "The whole journey on a sample instance: no account, no network",
		Long: `Demo makes a sample Mastodon media tree in a temporary folder and a bucket in
memory that behaves like R2, and runs the real commands against them: plan, a sync
that is interrupted, its continuation, a run with nothing to do, a verify that reads
everything back, one that finds and mends a bit that rotted, and the bill.`,
		Args: wantArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return runDemo(c.Context(), w, keep) },
	}
	c.Flags().StringVar(&keep, "keep", "", "make the sample instance in this empty `DIR` and leave it there")
	return c
}

// A demo is a sample instance with its bucket.
type demo struct {
	w      *world
	dir    string
	bucket *fixtures.Bucket
	stop   func(key string, n int) // called after every stored object
	tree   fixtures.Manifest
}

func runDemo(ctx context.Context, w *world, keep string) (err error) {
	d := &demo{w: w, dir: keep}
	if keep == "" {
		if d.dir, err = os.MkdirTemp("", "mediamove-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	}
	d.bucket = fixtures.NewBucket(fixtures.Options{
		KeyInterval: time.Second, Latency: 2 * time.Millisecond,
		OnStored: func(key string, n int) {
			if d.stop != nil {
				d.stop(key, n)
			}
		},
	})
	for _, step := range []func(context.Context) error{d.build, d.plan, d.interrupted, d.resumed, d.idle, d.verify, d.prove, d.rot, d.bill} {
		if err := step(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

func (d *demo) root() string { return filepath.Join(d.dir, "public", "system") }

// say tells the story between the commands' own output.
func (d *demo) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.w.stdout, "\n"+format+"\n", args...)
}

// mediamove runs a command as a user would, with the network replaced by the
// bucket in memory.
func (d *demo) mediamove(ctx context.Context, out io.Writer, args ...string) int {
	inner := &world{
		args: append(args, "--state", filepath.Join(d.dir, "state")), stdout: out, stderr: d.w.stderr, calm: true,
		terminal: d.w.terminal, width: d.w.width, transport: d.bucket.Transport(),
		environ: []string{
			"LOCAL_DOMAIN=demo.example", "S3_BUCKET=" + d.bucket.Name(), "S3_ENDPOINT=" + fixtures.Endpoint, "S3_PERMISSION=",
			"AWS_ACCESS_KEY_ID=" + fixtures.AccessKey, "AWS_SECRET_ACCESS_KEY=" + fixtures.Secret,
		},
	}
	shown := strings.ReplaceAll(strings.Join(args, " "), d.root(), "public/system")
	d.say("$ mediamove %s", strings.ReplaceAll(shown, d.dir+string(filepath.Separator), ""))
	return run(ctx, inner)
}

// build makes the sample instance. A part of it is hidden, so that the demo shows what is
// not moved as well.
func (d *demo) build(context.Context) (err error) {
	if d.tree, err = fixtures.Tree(d.root(), fixtures.Demo()); err != nil {
		return fmt.Errorf("make the sample instance: %w", err)
	}
	all := d.tree.Moved.Files + d.tree.HeldBack.Files
	d.say("A sample instance: %s files, %s, of every class; local and cached; some hidden,\nas Mastodon hides the media of suspended accounts. The bucket is in memory and\nbehaves like R2. Nothing leaves this machine.", count(int64(all)), size(d.tree.Moved.Bytes+d.tree.HeldBack.Bytes))
	return nil
}

func (d *demo) plan(ctx context.Context) error {
	return d.expect(d.mediamove(ctx, d.w.stdout, "plan", d.root()), exitOK)
}

// interrupted stops a sync by the same cause that a signal has, at a place that is the same
// in every demo.
func (d *demo) interrupted(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	at := d.tree.Moved.Files * 2 / 5
	d.stop = func(_ string, n int) {
		if n == at {
			cancel(&stopped{syscall.SIGINT})
		}
	}
	defer func() { d.stop = nil }()
	d.say("Now the move; somebody presses Ctrl-C after %s objects:", count(int64(at)))
	return d.expect(d.mediamove(ctx, d.w.stdout, "sync", d.root()), signalCode(syscall.SIGINT))
}

func (d *demo) resumed(ctx context.Context) error {
	d.say("The same command again continues. What is proven is not asked about, and not sent again:")
	return d.expect(d.mediamove(ctx, d.w.stdout, "sync", d.root()), exitOK)
}

// idle shows by the bucket's own counters that a run with nothing to do asks for nothing
// but the mark.
func (d *demo) idle(ctx context.Context) error {
	before := d.bucket.Usage()
	d.say("And once more, with nothing to do:")
	if err := d.expect(d.mediamove(ctx, d.w.stdout, "sync", d.root()), exitOK); err != nil {
		return err
	}
	sent := d.bucket.Usage().Sub(before)
	d.say("That run sent %d request: the GET of the owner mark.", sent.A()+sent.B())
	return nil
}

// verify reads everything back.
func (d *demo) verify(ctx context.Context) error {
	d.say("Is everything there, to the last byte? One listing, and every object read back:")
	return d.expect(d.mediamove(ctx, d.w.stdout, "verify", "--read", d.root()), exitOK)
}

// rot flips one bit in the bucket, which no listing can see.
func (d *demo) rot(ctx context.Context) error {
	objects := d.bucket.Objects()
	d.bucket.Corrupt(objects[len(objects)/2].Key)
	d.say("Now one bit of one object rots in the bucket. Its ETag stays, so no listing can tell;\nreading back finds it, and the copy on disk replaces it if it is the one that was moved:")
	return d.expect(d.mediamove(ctx, d.w.stdout, "verify", "--read", "--repair", "--replace-differing", d.root()), exitOK)
}

// prove compares the bucket with the disk byte for byte, without mediamove's own
// evidence.
func (d *demo) prove(context.Context) error {
	var same int
	var bytesSame int64
	for _, o := range d.bucket.Objects() {
		if media.Key(o.Key).Reserved() {
			continue
		}
		want, err := os.ReadFile(filepath.Join(d.root(), filepath.FromSlash(o.Key)))
		if err != nil {
			return fmt.Errorf("the bucket holds what the disk does not: %w", err)
		}
		got, ok := d.bucket.Body(o.Key)
		if !ok || !bytes.Equal(got, want) {
			return fmt.Errorf("%s differs between disk and bucket", o.Key)
		}
		if n := d.bucket.Writes(o.Key); n != 1 {
			return fmt.Errorf("%s was written %d times", o.Key, n)
		}
		same, bytesSame = same+1, bytesSame+int64(len(got))
	}
	if same != d.tree.Moved.Files {
		return fmt.Errorf("the bucket holds %d files, expected %d", same, d.tree.Moved.Files)
	}
	d.say("Compared without mediamove's help: %s objects, %s, byte for byte as on disk.\nNone missing, none different, none written twice; %s held back.",
		count(int64(same)), size(bytesSame), files(int64(d.tree.HeldBack.Files)))
	return nil
}

// bill prices what the bucket has counted, which is not what mediamove says of itself.
func (d *demo) bill(context.Context) error {
	prices := costs.Standard()
	gb := func(bytes int64) decimal.Decimal { return decimal.New(bytes, -9) }
	used := d.bucket.Usage()
	storage := gb(d.tree.Moved.Bytes)
	bill := prices.Bill(used, storage)
	d.say("The bill (%s, prices of %s):", prices.Name, prices.AsOf)
	for _, row := range []struct {
		what, used string
		free       decimal.Decimal
		usd        decimal.Decimal
	}{
		{"storage", storage.Round(3).String() + " GB-months", prices.Storage.Free, bill.Lines[0].USD},
		{"Class A", count(used.A()) + " requests", prices.ClassA.Free, bill.Lines[1].USD},
		{"Class B", count(used.B()) + " requests", prices.ClassB.Free, bill.Lines[2].USD},
	} {
		_, _ = fmt.Fprintf(d.w.stdout, "  %-8s %16s   of %10s free   $%s\n", row.what, row.used, count(row.free.IntPart()), costs.FormatUSD(row.usd))
	}
	const manyFiles, manyBytes = 2_000_000, 100_000_000_000
	many := prices.Bill(costs.Usage{costs.PutObject: manyFiles}, gb(manyBytes))
	_, _ = fmt.Fprintf(d.w.stdout, "An instance with %s and %s: $%s for the first month, the move included.\n",
		files(manyFiles), size(manyBytes), costs.FormatUSD(many.Total))
	d.say("Now yours; this sends nothing:\n  mediamove plan --env-file /home/mastodon/live/.env.production /home/mastodon/live/public/system")
	return nil
}

// expect ends the demo where a command did not end as the story says: it is a test too.
func (d *demo) expect(got, want int) error {
	if got != want {
		return fmt.Errorf("the demo expected exit status %d here, got %d", want, got)
	}
	return nil
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"example.org/mediamove/cleanup"
	"example.org/mediamove/fixtures/pgtest"
	"example.org/mediamove/r2"
)

// firstOf takes whole rows from the beginning of a plan, up to so many objects.
func firstOf(plan iter.Seq2[cleanup.Candidate, error], most int) (*choice, error) {
	ch := &choice{rows: map[int64]struct{}{}, objects: map[string]struct{}{}}
	var row []cleanup.Candidate
	take := func() bool {
		if len(ch.objects)+len(row) > most {
			return false
		}
		for _, c := range row {
			ch.rows[c.Row] = struct{}{}
			ch.objects[string(c.Key)] = struct{}{}
			ch.bytes += c.Size
		}
		row = row[:0]
		return true
	}
	for c, err := range plan {
		switch {
		case err != nil:
			return nil, err
		case c.Key.Class() != "media_attachments":
			return nil, fmt.Errorf("%s is to go among the first %d", c.Key, most) // attachments go first
		case len(row) > 0 && row[0].Row != c.Row && !take():
			return ch, nil
		}
		row = append(row, c)
	}
	take()
	return ch, nil
}

// An application is one --apply, with what it did.
type application struct {
	sample
	pruned
	*choice
	rest float64 // seconds without the wait
}

// applied lets a twentieth of the objects go, in one run, which clears rows and waits ten
// minutes for Mastodon's caches before it deletes. It fails unless exactly the rows and the
// objects that a plan named are cleared and gone.
func (h *harness) applied(ctx context.Context, m measure, w *pruning) error {
	ch, said, err := h.choose(ctx, w, w.keys/20)
	if err != nil {
		return err
	}
	before, after := filepath.Join(h.work, "rows-before"), filepath.Join(h.work, "rows-after")
	if err := w.dump(ctx, before); err != nil {
		return err
	}
	// Orphans count apart: with them the bucket is within its budget when it is done.
	c := w.client(pruneApply, "prune", "--json", "--apply",
		"--budget", sizeFlag(said.Bytes-ch.bytes), "--target", sizeFlag(said.Bytes-said.Orphans.Bytes-ch.bytes))
	a := application{choice: ch}
	fmt.Fprintln(os.Stderr, "bench: clearing", len(ch.rows), "rows; then it waits", cleanup.CacheLife, "and deletes", len(ch.objects), "objects")
	if a.sample, err = h.weighed(ctx, w, c); err != nil {
		return err
	}
	a.Measure, a.Client = m.name, c.name
	a.rest = max(0, a.Wall-cleanup.CacheLife.Seconds())
	if err := h.report.sample(a.sample); err != nil {
		return err
	}
	if a.pruned, err = w.said(c, w.keys-w.marks, w.bytes); err != nil {
		return err
	}
	if err := w.dump(ctx, after); err != nil {
		return err
	}
	if err := errors.Join(sameBut(before, after, ch.rows), w.goneFrom(ctx, ch.objects)); err != nil {
		return err
	}
	h.reportApply(&a)
	return nil
}

// dump writes a line for each row that prune may clear: its class and id, how many of the
// columns that it clears hold something, a sum of these and a sum of all others.
func (w *pruning) dump(ctx context.Context, file string) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := bufio.NewWriter(f)
	for _, t := range []struct {
		table       string
		attachments []string
	}{{"media_attachments", []string{"file", "thumbnail"}}, {"preview_cards", []string{"image"}}} {
		var columns []string
		for _, a := range t.attachments {
			columns = append(columns, a+"_file_name", a+"_content_type", a+"_file_size", a+"_updated_at")
		}
		all := strings.Join(columns, ", ")
		sql := fmt.Sprintf(`COPY (SELECT '%[1]s', id, num_nonnulls(%[2]s), md5(ROW(%[2]s)::text), md5((to_jsonb(t) - '{%[3]s}'::text[])::text)
			FROM %[1]s t ORDER BY id) TO STDOUT`, t.table, all, strings.Join(columns, ","))
		if _, err := pgtest.CopyOut(ctx, w.mastodon.DSN, sql, out); err != nil {
			return err
		}
	}
	return out.Flush()
}

// sameBut compares two dumps: of these attachments every column that prune clears is empty
// now and was not before, and nothing else differs.
func sameBut(before, after string, cleared map[int64]struct{}) error {
	a, err1 := os.Open(before)
	b, err2 := os.Open(after)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	defer a.Close()
	defer b.Close()
	return compareDumps(a, b, cleared)
}

func compareDumps(before, after io.Reader, cleared map[int64]struct{}) error {
	was, is := bufio.NewScanner(before), bufio.NewScanner(after)
	n := 0
	for was.Scan() {
		if !is.Scan() {
			return fmt.Errorf("a row is gone: %s", was.Text())
		}
		old, now := strings.Fields(was.Text()), strings.Fields(is.Text())
		id, err := strconv.ParseInt(old[1], 10, 64)
		if err != nil {
			return err
		}
		if _, planned := cleared[id]; planned && old[0] == "media_attachments" {
			n++
			if old[2] == "0" || now[2] != "0" || old[1] != now[1] || old[4] != now[4] {
				return fmt.Errorf("to be cleared was %s, and it is %s", was.Text(), is.Text())
			}
		} else if was.Text() != is.Text() {
			return fmt.Errorf("not to be touched was %s, and it is %s", was.Text(), is.Text())
		}
	}
	if is.Scan() || n != len(cleared) {
		return fmt.Errorf("%d rows of %d were looked at, and there is one more: %q", n, len(cleared), is.Text())
	}
	return errors.Join(was.Err(), is.Err())
}

// goneFrom lists the bucket: none of these is there any more, and all others are.
func (w *pruning) goneFrom(ctx context.Context, objects map[string]struct{}) error {
	j := w.home
	b, err := r2.Open(r2.Config{Endpoint: j.url, Region: j.region, Bucket: j.bucket, AccessKeyID: j.accessKey, SecretAccessKey: r2.Secret(j.secretKey)})
	if err != nil {
		return err
	}
	left := 0
	for o, err := range b.List(ctx, "") {
		if err != nil {
			return err
		}
		if _, planned := objects[string(o.Key)]; planned {
			return fmt.Errorf("%s is still there", o.Key)
		}
		left++
	}
	if want := w.keys - len(objects); left != want {
		return fmt.Errorf("%d objects are left of %d, %d were to go", left, w.keys, len(objects))
	}
	return nil
}

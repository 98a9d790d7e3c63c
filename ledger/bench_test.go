package ledger

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"example.org/mediamove/media"
)

// cpu is what the process used, in user and kernel, on all threads.
func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// perRow reports what work cost in CPU and in time for each of rows.
func perRow(b *testing.B, rows int, work func()) {
	b.Helper()
	before, began := cpu(), time.Now()
	work()
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/1e3/float64(rows), "cpu-µs/row")
	b.ReportMetric(float64(time.Since(began).Nanoseconds())/1e3/float64(rows), "wall-µs/row")
	b.ReportMetric(0, "ns/op")
}

// entries makes rows whose keys are as long and as ordered as a walk's.
func entries(rows int) []Entry {
	all := make([]Entry, rows)
	for n := range all {
		e := sample(n % 1000)
		id := fmt.Sprintf("%018d", 114_000_000_000_000_000+n*7919)
		e.File.Key = media.Key(fmt.Sprintf("media_attachments/files/%s/%s/%s/%s/%s/%s/original/%x.jpeg",
			id[:3], id[3:6], id[6:9], id[9:12], id[12:15], id[15:], e.MD5[:8]))
		all[n] = e
	}
	return all
}

var sizes = []int{100_000, 1_000_000}

// BenchmarkStore stores in the order of the keys, and in the order of a file
// system that hashes names: at random among each thousand neighbours.
func BenchmarkStore(b *testing.B) {
	for _, rows := range sizes {
		for _, order := range []string{"sorted", "hashed"} {
			b.Run(fmt.Sprintf("%d/%s", rows, order), func(b *testing.B) {
				all := entries(rows)
				if order == "hashed" {
					for part := range slices.Chunk(all, 1000) {
						rand.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
					}
				}
				for b.Loop() {
					l := mustOpen(b, b.TempDir())
					perRow(b, rows, func() { storeAll(b, l, all) })
				}
			})
		}
	}
}

func storeAll(b *testing.B, l *Ledger, all []Entry) {
	for _, e := range all {
		if err := l.Store(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
	must(b, l.Flush(b.Context()))
}

// BenchmarkPending looks up a tree that is not recorded, all the same, or all
// touched.
func BenchmarkPending(b *testing.B) {
	for _, rows := range sizes {
		l := mustOpen(b, b.TempDir())
		all := entries(rows)
		storeAll(b, l, all)
		for _, state := range []State{Same, New, Touched} {
			files := make([]media.File, rows)
			for n, e := range all {
				files[n] = e.File
				switch state {
				case New:
					files[n].Key += "x"
				case Touched:
					files[n].Inode++
				}
			}
			b.Run(fmt.Sprintf("%d/%v", rows, []string{"new", "same", "touched"}[state]), func(b *testing.B) {
				for b.Loop() {
					perRow(b, rows, func() { pendAll(b, l, files, state) })
				}
			})
		}
	}
}

func pendAll(b *testing.B, l *Ledger, files []media.File, want State) {
	source := func(yield func(media.File, error) bool) {
		for _, f := range files {
			if !yield(f, nil) {
				return
			}
		}
	}
	for c, err := range l.Pending(b.Context(), source) {
		if err != nil || c.State != want {
			b.Fatal(c, err)
		}
	}
}

// BenchmarkRead reads a ledger of a million rows in the ways that status and
// verify do, and opens it after a crash.
func BenchmarkRead(b *testing.B) {
	const rows = 1_000_000
	dir := b.TempDir()
	l := mustOpen(b, dir)
	storeAll(b, l, entries(rows))
	b.Run("entries", func(b *testing.B) {
		for b.Loop() {
			perRow(b, rows, func() {
				for _, err := range l.Entries(b.Context()) {
					must(b, err)
				}
			})
		}
	})
	b.Run("summary", func(b *testing.B) {
		for b.Loop() {
			perRow(b, rows, func() {
				_, err := l.Summary(b.Context())
				must(b, err)
			})
		}
	})
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			perRow(b, rows, func() {
				must(b, l.wait(b.Context(), func(s *session) error { return s.quickCheck(b.Context(), slog.New(slog.DiscardHandler)) }))
			})
		}
	})
}

// BenchmarkScratch adds a disk and half a ledger in no order, and reads all
// back in order. The memory is what Go took from the system for it.
func BenchmarkScratch(b *testing.B) {
	for _, rows := range sizes {
		b.Run(strconv.Itoa(rows), func(b *testing.B) {
			rnd := rand.New(rand.NewPCG(1, 2))
			order := rnd.Perm(rows)
			all := entries(1000)
			before := taken()
			for b.Loop() {
				s, err := NewScratch(b.Context(), b.TempDir())
				must(b, err)
				perRow(b, rows, func() { sortAll(b, s, order, all) })
				must(b, s.Close())
			}
			b.ReportMetric(float64(taken()-before)/(1<<20), "MiB")
		})
	}
}

func taken() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys
}

func sortAll(b *testing.B, s *Scratch, order []int, all []Entry) {
	key := make([]byte, 0, 200)
	for _, n := range order {
		e := &all[n%len(all)]
		id := 114_000_000_000_000_000 + n*7919
		key = fmt.Appendf(key[:0], "media_attachments/files/%018d", id)
		key = append(key, e.File.Key[len(key):]...)
		f := e.File
		f.Key = media.Key(key)
		must(b, s.Add(b.Context(), Loose{Side: OnDisk, Key: f.Key, File: f}))
	}
	n := int64(0)
	for _, err := range s.Sorted(b.Context()) {
		must(b, err)
		n++
	}
	if n != s.Len() {
		b.Fatal(n)
	}
}

package trash

import (
	"fmt"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"example.org/mediamove/media"
)

// Copies as a cleanup makes them, without the bucket: three syncs each.
func BenchmarkAdd(b *testing.B) {
	s := open(b, Options{Dir: filepath.Join(b.TempDir(), "trash"), Max: 1 << 50})
	var n atomic.Int64
	b.SetParallelism(4) // 8 on two processors, as many as a cleanup has
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			o := memory{}.object(media.Key(fmt.Sprintf("key %d", n.Add(1))))
			if _, err := s.Add(b.Context(), memory{}, Item{Run: 1, Object: o}); err != nil {
				b.Error(err)
			}
		}
	})
}

// Measuring a trash of 10,000 objects.
func BenchmarkOpen(b *testing.B) {
	o := Options{Dir: filepath.Join(b.TempDir(), "trash")}
	s := open(b, o)
	for i := range 10_000 {
		if _, err := s.Add(b.Context(), memory{}, Item{Run: 1, Object: memory{}.object(media.Key(strconv.Itoa(i)))}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		must(b, open(b, o).Close())
	}
}

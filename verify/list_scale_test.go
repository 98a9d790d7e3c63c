package verify

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"testing"

	"example.org/mediamove/media"
)

// synthetic yields n objects as an instance has them, one at a time.
func synthetic(n int, add func(Certified) error) error {
	c := Certified{ETag: "d41d8cd98f00b204e9800998ecf8427e", SHA256: [32]byte{1}}
	for i := range n {
		c.Key = media.Key(fmt.Sprintf("media_attachments/files/114/%03d/%03d/%03d/000/000/original/0123456789abcdef.png", i/1e6, i/1e3%1e3, i%1e3))
		c.Size = int64(i)
		if err := add(c); err != nil {
			return err
		}
	}
	return nil
}

// pipeList streams a synthetic list that is nowhere as a whole.
func pipeList(ctx context.Context, n int) io.ReadCloser {
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { _ = r.Close() })
	go func() {
		l := NewListWriter(w)
		err := synthetic(n, l.Add)
		if err == nil {
			_, _, err = l.Close()
		}
		_ = w.CloseWithError(err)
	}()
	return r
}

// A list that is larger than the memory allowed is written and read at once. Not
// parallel: it looks at the heap of the whole process.
func TestCertListMemory(t *testing.T) {
	const n = 40_000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, most, i := heap(), uint64(0), 0
	for _, err := range ReadList(pipeList(t.Context(), n)) {
		if err != nil {
			t.Fatal(err)
		}
		if i++; i%(n/5) == 0 {
			most = max(most, heap())
		}
	}
	if i != n || most > before+1<<20 {
		t.Errorf("%d objects, heap %d to %d", i, before, most)
	}
}

func TestCertListAddAllocatesNothing(t *testing.T) {
	l := NewListWriter(io.Discard)
	keys, c, i := make([]media.Key, 2000), certified("a", "x"), 0
	for i := range keys {
		keys[i] = media.Key(fmt.Sprintf(`cache/accounts/\%06d`, i))
	}
	if n := testing.AllocsPerRun(1000, func() {
		c.Key = keys[i]
		i++
		if err := l.Add(c); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations per object", n)
	}
}

func BenchmarkListWriter(b *testing.B) {
	l := NewListWriter(io.Discard)
	b.ReportAllocs()
	if err := synthetic(b.N, l.Add); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkReadList(b *testing.B) {
	var list bytes.Buffer
	l := NewListWriter(&list)
	const n = 100_000
	if err := synthetic(n, l.Add); err != nil {
		b.Fatal(err)
	}
	if _, _, err := l.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range ReadList(bytes.NewReader(list.Bytes())) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/object")
}

package cleanup_test

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"testing"

	"example.org/mediamove/mastodon"
	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// manyRows are the attachments 1 to n, none of which is there.
type manyRows struct {
	*town
	n int64
}

func (m manyRows) row(id int64) mastodon.Standing {
	return aRow(media.MediaAttachments, id, media.Filed{Attachment: "files", Name: fmt.Sprintf("%016x.mp3", id), ContentType: "audio/mpeg", Schema: 1, Size: id})
}

func (m manyRows) All(_ context.Context, c media.Class) iter.Seq2[media.Row, error] {
	return func(yield func(media.Row, error) bool) {
		for id := range m.n {
			if c != media.MediaAttachments || !yield(m.row(id+1).Row, nil) {
				return
			}
		}
	}
}

func (m manyRows) Standing(_ context.Context, ids map[media.Class][]int64) (map[media.Class]map[int64]mastodon.Standing, error) {
	out := map[int64]mastodon.Standing{}
	for _, id := range ids[media.MediaAttachments] {
		out[id] = m.row(id)
	}
	return map[media.Class]map[int64]mastodon.Standing{media.MediaAttachments: out}, nil
}

// What is lost takes no memory, however much it is.
func TestMissingMemory(t *testing.T) {
	if raceDetector {
		t.Skip("the detector's own memory")
	}
	const n = 200_000
	w := newTown()
	m := w.missing(t)
	m.Catalog, m.Rows = manyRows{w, n}, manyRows{w, n}
	must(t, m.Each(t.Context(), r2.Object{Key: "media_attachments/files/000/000/009/original/orphan.jpeg"}))
	before := heapNow()
	absent, err := m.Gather(t.Context())
	must(t, err)
	gathered := heapNow()
	r, err := m.Find(t.Context())
	must(t, err)
	found := heapNow()
	most, count := uint64(0), 0
	for _, err := range m.Found(t.Context()) {
		must(t, err)
		if count++; count%50_000 == 0 {
			most = max(most, heapNow())
		}
	}
	if absent != n || count != n || r.Lost(false) != n {
		t.Fatalf("%d absent, %d found of %d", absent, count, n)
	}
	t.Logf("%d KB, then %d, %d, %d", before>>10, gathered>>10, found>>10, most>>10)
	// The sorter gathers a fixed number of bytes before it writes them away, twice here.
	if grown := max(gathered, found, most) - min(before, gathered, found, most); grown > 24<<20 {
		t.Errorf("the heap grew by %d MB over %d losses", grown>>20, n)
	}
}

func heapNow() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

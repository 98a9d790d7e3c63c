package uploader

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// The SIMD lanes compute what the standard library computes, also with many
// streams of different length side by side.
func TestHashesAgreeWithStandardLibrary(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := newHasher(rapid.Bool().Draw(t, "plain"))
		defer h.close()
		var wg sync.WaitGroup
		for range rapid.IntRange(1, 40).Draw(t, "files") {
			data := make([]byte, rapid.IntRange(0, 3*chunk).Draw(t, "size"))
			rng := rand.NewChaCha8([32]byte{byte(len(data))})
			_, _ = rng.Read(data)
			part := rapid.Int64Range(1, chunk).Draw(t, "part")
			wg.Go(func() {
				wantMD5, wantSHA := md5.Sum(data), sha256.Sum256(data)
				if d := h.bytes(data); d.md5 != wantMD5 || d.sha256 != wantSHA {
					t.Errorf("bytes: %d bytes hash differently", len(data))
				}
				d, err := h.stream(context.Background(), bytes.NewReader(data), int64(len(data)))
				if err != nil || d.md5 != wantMD5 || d.sha256 != wantSHA {
					t.Errorf("stream: %d bytes hash differently (%v)", len(data), err)
				}
				if part < 1000 {
					return
				}
				d, err = h.inParts(context.Background(), bytes.NewReader(data), int64(len(data)), part)
				if err != nil || d.sha256 != wantSHA {
					t.Errorf("parts: %d bytes hash differently (%v)", len(data), err)
				}
				for i, sum := range d.parts {
					lo := int64(i) * part
					if sum != md5.Sum(data[lo:min(lo+part, int64(len(data)))]) {
						t.Errorf("part %d of %d differs", i, len(d.parts))
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestShortFileIsAnError(t *testing.T) {
	t.Parallel()
	h := newHasher(false)
	defer h.close()
	r := bytes.NewReader(make([]byte, 1000))
	if _, err := h.stream(t.Context(), r, 1001); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if _, err := h.inParts(t.Context(), r, 5000, 1000); err == nil {
		t.Error("a file that shrank was hashed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.inParts(ctx, r, 1000, 100); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Every size up to the largest has a buffer with room for one byte more.
func TestBuffersHoldOneByteMore(t *testing.T) {
	t.Parallel()
	b := newBuffers()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, maxInMemory).Draw(t, "size")
		c := class(n)
		if got := int64(len(*b.pools[c].Get().(*[]byte))); got <= n || got != bufferSize(c) || got > bufferBudget {
			t.Fatalf("%d bytes go in a buffer of %d", n, got)
		}
		if c > 0 && n < bufferSize(c-1) {
			t.Fatalf("%d bytes would fit in less than class %d", n, c)
		}
	})
}

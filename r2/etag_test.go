package r2

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// partSums cuts data as an uploader would.
func partSums(data []byte, size int64) (sums [][16]byte) {
	for p := range slices.Chunk(data, int(size)) {
		sums = append(sums, md5.Sum(p))
	}
	if len(data) == 0 {
		sums = [][16]byte{md5.Sum(nil)}
	}
	return sums
}

// Cloudflare's own example (r2/objects/multipart-objects).
func TestCompositeETag(t *testing.T) {
	t.Parallel()
	var parts [][16]byte
	for _, s := range []string{"bce6bf66aeb76c7040fdd5f4eccb78e6", "8165449fc15bbf43d3b674595cbcc406"} {
		b, _ := hex.DecodeString(s)
		parts = append(parts, [16]byte(b))
	}
	if got := CompositeETag(parts); got != "f77dc0eecdebcd774a2a22cb393ad2ff-2" {
		t.Error(got)
	}
}

func TestPartSize(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 5<<40).Draw(t, "size")
		p := PartSize(size)
		if p%mib != 0 || p < minPart || (size+p-1)/p > maxParts {
			t.Errorf("%d bytes in parts of %d", size, p)
		}
	})
}

// Whatever whole-MiB part size somebody used, the same bytes are recognised
// whenever it is among those tried, and other bytes never are.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	data := make([]byte, 3*mib+3)
	for i := range data {
		data[i] = byte(i * 7 >> 9)
	}
	rapid.Check(t, func(t *rapid.T) {
		d := data[:rapid.IntRange(0, len(data)).Draw(t, "size")]
		size, sum := int64(len(d)), md5.Sum(d)
		p := rapid.Int64Range(1, 4).Draw(t, "part MiB") * mib
		etag := CompositeETag(partSums(d, p))
		same, certain, err := SameBytes(etag, size, sum, bytes.NewReader(d))
		if err != nil || !same || !certain {
			t.Fatalf("%d bytes in parts of %d MiB: %v %v %v", size, p/mib, same, certain, err)
		}
		if size == 0 {
			return
		}
		d = slices.Clone(d)
		d[rapid.IntRange(0, len(d)-1).Draw(t, "at")]++
		same, certain, err = SameBytes(etag, size, md5.Sum(d), bytes.NewReader(d))
		if same || certain || err != nil {
			t.Fatalf("other bytes: %v %v %v", same, certain, err)
		}
	})
}

func TestSameBytesForms(t *testing.T) {
	t.Parallel()
	sum := md5.Sum([]byte("abc"))
	plain := hex.EncodeToString(sum[:])
	for etag, want := range map[string][2]bool{
		plain:                                  {true, true},
		`"` + plain + `"`:                      {true, true},
		strings.ToUpper(plain):                 {true, true},
		etagOf("abd"):                          {false, true},
		CompositeETag([][16]byte{sum}):         {true, true},
		CompositeETag([][16]byte{sum, {}}):     {false, false}, // 3 bytes are never two parts
		plain + "-":                            {false, false},
		plain + "-0":                           {false, false},
		plain + "-x":                           {false, false},
		plain + "-10001":                       {false, false},
		"":                                     {false, false},
		"not hex":                              {false, false},
		"9df6c4b4a0e6d4f9d1c9f2c2a1b0e3d4-old": {false, false},
	} {
		same, certain, err := SameBytes(etag, 3, sum, strings.NewReader("abc"))
		if same != want[0] || certain != want[1] || err != nil {
			t.Errorf("%q: %v %v %v", etag, same, certain, err)
		}
	}
	_, _, err := SameBytes(CompositeETag([][16]byte{sum, sum}), 11*mib, sum, strings.NewReader("abc"))
	if !errors.Is(err, ErrSource) {
		t.Errorf("short file: %v", err)
	}
}

// At most 16 sizes, none twice, all of which yield n parts.
func TestPartSizes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(0, 1<<40).Draw(t, "size")
		n := rapid.Int64Range(1, 10_000).Draw(t, "n")
		sizes := partSizes(size, n)
		if len(sizes) > maxSizes {
			t.Errorf("%d sizes", len(sizes))
		}
		for i, p := range sizes {
			if max((size+p-1)/p, 1) != n || p%mib != 0 || slices.Contains(sizes[:i], p) {
				t.Errorf("%d bytes, %d parts: %d", size, n, p)
			}
		}
	})
	if got := partSizes(101*mib, 7); !slices.Equal(got, []int64{16 * mib, 15 * mib}) {
		t.Error(got)
	}
}

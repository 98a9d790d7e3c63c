package trash

import (
	"crypto/md5"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"example.org/mediamove/r2"
)

const (
	mib     = 1 << 20
	minPart = 5 * mib // R2's, for all parts but the last
	// maxSizes bounds the part sizes that are tried, a read of the file each.
	maxSizes = 16
)

// partsFor returns the parts that an object of that ETag is sent in, so that its
// ETag comes out the same. There are none (nil) if it goes in one piece. An ETag that
// no size explains is lost: then it goes as an object of its size would.
func partsFor(etag string, size int64, r io.ReaderAt) (partSize int64, sums [][16]byte, err error) {
	for _, p := range partSizes(etag, size) {
		if sums, err = hashParts(p, size, r); err != nil || r2.CompositeETag(sums) == strings.ToLower(etag) {
			return p, sums, err
		}
	}
	if size <= r2.SinglePutMax {
		return 0, nil, nil
	}
	p := r2.PartSize(size)
	sums, err = hashParts(p, size, r)
	return p, sums, err
}

// partSizes returns the sizes of whole MiB that cut size bytes into as many parts as
// etag says, and that an upload may have: ours, those of common tools, then the rest.
func partSizes(etag string, size int64) (sizes []int64) {
	_, count, _ := strings.Cut(etag, "-")
	n, err := strconv.ParseInt(count, 10, 32)
	if err != nil || n < 2 || n > 10_000 {
		return nil
	}
	add := func(p int64) {
		if len(sizes) < maxSizes && p >= minPart && (size+p-1)/p == n && !slices.Contains(sizes, p) {
			sizes = append(sizes, p)
		}
	}
	for _, m := range []int64{16, 5, 8, 15, 10, 32, 50, 64, 100, 128, 256, 512, 20, 25} {
		add(m * mib)
	}
	first := (size + n - 1) / n
	first = max((first+mib-1)/mib*mib, mib)
	for p := first; len(sizes) < maxSizes && (size+p-1)/p == n; p += mib {
		add(p)
	}
	return sizes
}

func hashParts(partSize, size int64, r io.ReaderAt) (sums [][16]byte, err error) {
	h := md5.New()
	for off := int64(0); off < size; off += partSize {
		h.Reset()
		n := min(partSize, size-off)
		if _, err := io.CopyN(h, io.NewSectionReader(r, off, n), n); err != nil {
			return nil, fmt.Errorf("hash parts: %w", err)
		}
		sums = append(sums, [16]byte(h.Sum(nil)))
	}
	return sums, nil
}

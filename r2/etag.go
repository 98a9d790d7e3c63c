package r2

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
)

const (
	mib = 1 << 20

	minPart  = 5 * mib // R2's, for all parts but the last
	usedPart = 16 * mib
	// maxParts stays below R2's 10,000: at exactly that number the SDK's
	// manager changes the part size to odd bytes.
	maxParts = 9999
	// maxSizes bounds the part sizes that SameBytes hashes for at once.
	maxSizes = 16
)

// PartSize returns the size of the parts that a file of size bytes is sent
// in: equal ones, as R2 demands, of whole MiB, so that others can recompute
// the ETag; the last may be smaller.
func PartSize(size int64) int64 {
	p := int64(usedPart)
	if need := (size + maxParts - 1) / maxParts; need > p {
		p = (need + mib - 1) / mib * mib
	}
	return p
}

// CompositeETag returns the ETag of an object that was uploaded in parts:
// the MD5 of the parts' MD5s, a dash, their number (R2 since 2023-06-21).
func CompositeETag(parts [][16]byte) string {
	h := md5.New()
	for _, p := range parts {
		h.Write(p[:])
	}
	return fmt.Sprintf("%x-%d", h.Sum(nil), len(parts))
}

// SameBytes reports whether etag, of an object of size bytes, belongs to the
// bytes of r, whose MD5 is sum. A plain ETag is the MD5. One that ends in -n
// is recomputed, in one read, for up to 16 part sizes of whole MiB that yield
// n parts; if none fits, only a GET can tell (certain is false).
func SameBytes(etag string, size int64, sum [16]byte, r io.ReaderAt) (same, certain bool, err error) {
	digest, count, multi := strings.Cut(strings.ToLower(unquote(etag)), "-")
	if !isMD5(digest) {
		return false, false, nil
	}
	if !multi {
		return digest == hex.EncodeToString(sum[:]), true, nil
	}
	n, _ := strconv.ParseInt(count, 10, 32) // 0 if it is none
	tries := partHashes(size, n)
	if len(tries) == 0 {
		return false, false, nil
	}
	if err := hashParts(tries, size, r); err != nil {
		return false, false, err
	}
	for _, t := range tries {
		if t.composite() == digest {
			return true, true, nil
		}
	}
	return false, false, nil
}

// isMD5 reports whether s has the form of one in hex.
func isMD5(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 2*md5.Size
}

// partSizes returns the whole-MiB sizes that cut size bytes into n parts,
// those that common tools use first.
func partSizes(size, n int64) (sizes []int64) {
	if n < 1 || n > 10_000 {
		return nil
	}
	first := (size + n - 1) / n // smallest size that gives at most n parts
	first = max((first+mib-1)/mib*mib, mib)
	fits := func(p int64) bool { return max((size+p-1)/p, 1) == n }
	for _, m := range []int64{16, 5, 8, 15, 10, 32, 50, 64, 100, 128, 256, 512, 20, 25} {
		if fits(m * mib) {
			sizes = append(sizes, m*mib)
		}
	}
	for p := first; len(sizes) < maxSizes && fits(p); p += mib {
		if !slices.Contains(sizes, p) {
			sizes = append(sizes, p)
		}
	}
	return sizes
}

// A partHash is one part size being tried.
type partHash struct {
	size  int64
	part  hash.Hash
	whole hash.Hash // of the parts' sums
	in    int64     // bytes in part
}

func partHashes(size, n int64) (hs []*partHash) {
	for _, p := range partSizes(size, n) {
		hs = append(hs, &partHash{size: p, part: md5.New(), whole: md5.New()})
	}
	return hs
}

// add takes the next bytes, which never cross a MiB and so never a part.
func (h *partHash) add(b []byte) {
	h.part.Write(b)
	if h.in += int64(len(b)); h.in == h.size {
		h.end()
	}
}

func (h *partHash) end() {
	h.whole.Write(h.part.Sum(nil))
	h.part.Reset()
	h.in = 0
}

func (h *partHash) composite() string { return hex.EncodeToString(h.whole.Sum(nil)) }

// hashParts reads r once, for all sizes.
func hashParts(hs []*partHash, size int64, r io.ReaderAt) error {
	buf := make([]byte, mib)
	for off := int64(0); off < size; off += mib {
		b := buf[:min(mib, size-off)]
		if n, err := r.ReadAt(b, off); n < len(b) {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("%w: %w", ErrSource, err)
		}
		for _, h := range hs {
			h.add(b)
		}
	}
	for _, h := range hs {
		if h.in > 0 || size == 0 {
			h.end()
		}
	}
	return nil
}

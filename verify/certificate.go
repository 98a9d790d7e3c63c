package verify

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// ErrCertificate marks a page that mediamove did not write, or that was altered.
var ErrCertificate = errors.New("not a certificate as mediamove writes it")

// MaxCertificate bounds the page, in bytes. What grows with the number of objects
// is in the list.
const MaxCertificate = 64 << 10

const (
	certificateWord = "mediamove certificate "
	certificateLine = certificateWord + "1"
)

// A Certificate says what a run proved, for a person to read and for any program to
// check again. [SaveCertificate] fills in what only the list can tell.
type Certificate struct {
	MadeAt  time.Time // kept in UTC and whole seconds, like the other times
	Version string    // of mediamove
	Run     int64

	Domain     string
	Root       string    // the media root; "" if the disk was not compared
	SwitchedAt time.Time // since when Mastodon writes to the bucket; zero before that

	Bucket   string
	BucketID string
	Endpoint string // an account's address, no secret
	Prefix   string // S3_KEY_PREFIX; may be ""
	LedgerID string

	// What the list names, as the run counted it; a list that holds anything else
	// is not saved. Exceptions are in neither Objects nor Bytes.
	Objects, Bytes    int64
	Rewritten, Absent int64
	Removed           int64 // by cleanup runs; neither in the bucket nor in the list
	Differences       int64 // must be 0

	// How it was proven.
	ListedRun int64     // the run whose listing showed every object
	ListedAt  time.Time // when that listing began
	ReadBack  int64     // of Objects: fetched again, with the SHA-256 that was moved
	Seed      *uint64   // of the sample that was read back; nil if it was none

	// What SaveCertificate finds in the list.
	Put, Adopted int64 // of Objects: acknowledged to mediamove; there before it came
	Classes      []ClassTotal
	List         ListFile
}

// A ListFile is the list that stands beside a certificate.
type ListFile struct {
	Name   string // in the certificate's folder
	Lines  int64  // as wc -l counts them
	SHA256 [32]byte
}

// A field is one "name: value" of the page.
type field struct {
	name  string
	value value
}

// fields is all of the page but the classes: printing and parsing go by this one
// table, in three blocks.
func (c *Certificate) fields() (words, counts, list []field) {
	words = []field{
		{"made at", timeValue{&c.MadeAt, ""}},
		{"made by", textValue{&c.Version, "mediamove ", ""}},
		{"run", numberValue{&c.Run}},
		{"listed", runValue{&c.ListedRun, &c.ListedAt}},
		{"domain", textValue{&c.Domain, "", ""}},
		{"media root", textValue{&c.Root, "", "not compared"}},
		{"switched", timeValue{&c.SwitchedAt, "not yet"}},
		{"bucket", textValue{&c.Bucket, "", ""}},
		{"bucket id", textValue{&c.BucketID, "", ""}},
		{"prefix", textValue{&c.Prefix, "", "no prefix"}},
		{"endpoint", textValue{&c.Endpoint, "", ""}},
		{"ledger", textValue{&c.LedgerID, "", ""}},
	}
	counts = []field{
		{"objects", numberValue{&c.Objects}},
		{"bytes", numberValue{&c.Bytes}},
		{"differences", numberValue{&c.Differences}},
		{"rewritten", numberValue{&c.Rewritten}},
		{"absent", numberValue{&c.Absent}},
		{"removed", removedValue{&c.Removed}},
		{"put", numberValue{&c.Put}},
		{"adopted", numberValue{&c.Adopted}},
		{"read back", readValue{&c.ReadBack, &c.Objects, &c.Seed}},
	}
	list = []field{
		{"list", textValue{&c.List.Name, "", ""}},
		{"list lines", numberValue{&c.List.Lines}},
		{"list sha256", sumValue{&c.List.SHA256}},
	}
	return words, counts, list
}

// explained ends every page. It is part of the format.
const explained = `
What it says
  objects      in the bucket with the size and ETag they were moved with; in the list
  differences  none, or this page would not exist
  rewritten    by Mastodon itself, since it writes to the bucket; named in the list
  absent       gone from the bucket, and no row names them; named in the list
  put          the bucket answered the upload with the MD5 of the bytes
  adopted      in the bucket before mediamove came, with the bytes of the disk
  listed       the listing of the whole bucket that showed the objects
  read back    fetched again to the last byte, with the SHA-256 of what was moved
  A listing can't see bytes that changed at rest; only reading back can.

How to check it again
  a disk       in public/system: sha256sum --quiet -c THE-LIST
  the bucket   mediamove verify --against THIS-FILE

File names are personal data: keep both files to yourself.
`

// Encode prints the page. Whatever a name holds, it stays one line, and the same
// certificate is the same text on every machine.
func (c Certificate) Encode() []byte {
	words, counts, list := c.fields()
	b := []byte(certificateLine + "\n\n")
	b = appendFields(b, words, 0)
	b = append(b, '\n')
	b = appendFields(b, counts, widest(counts))
	b = append(b, '\n')
	b = c.appendClasses(b)
	b = append(b, '\n')
	b = appendFields(b, list, 0)
	return append(b, explained...)
}

// appendFields aligns the numbers at their ends, digits wide. What prints as nothing
// has no line.
func appendFields(b []byte, fs []field, digits int) []byte {
	for _, f := range fs {
		v := f.value.print()
		if v == "" {
			continue
		}
		b = fmt.Appendf(b, "%-14s%*s%s\n", f.name+":", max(0, digits-leading(v)), "", v)
	}
	return b
}

func widest(fs []field) (n int) {
	for _, f := range fs {
		n = max(n, leading(f.value.print()))
	}
	return n
}

// leading counts the digits that s begins with.
func leading(s string) int { return len(s) - len(strings.TrimLeft(s, "0123456789")) }

// ParseCertificate is the exact inverse of [Certificate.Encode], for certificates
// that [SaveCertificate] would save: whatever does not print again as it is, or
// contradicts itself, is an [ErrCertificate].
func ParseCertificate(data []byte) (Certificate, error) {
	c, err := parseCertificate(data)
	if err == nil {
		err = c.check()
	}
	if err == nil && !bytes.Equal(c.Encode(), data) {
		err = errors.New("altered by hand, or a line too many or too few")
	}
	if err != nil {
		return Certificate{}, fmt.Errorf("read certificate: %w: %w", err, ErrCertificate)
	}
	return c, nil
}

// parseCertificate takes whatever has the form of a value. That nothing else is on
// the page shows when it is printed again.
func parseCertificate(data []byte) (c Certificate, err error) {
	if len(data) > MaxCertificate {
		return c, fmt.Errorf("longer than %d bytes", MaxCertificate)
	}
	first, rest, _ := strings.Cut(string(data), "\n")
	if later, ok := strings.CutPrefix(first, certificateWord); ok && first != certificateLine {
		return c, fmt.Errorf("its format is %.20q, this version knows only 1", later)
	} else if !ok {
		return c, fmt.Errorf("the first line is not %q", certificateLine)
	}
	values := make(map[string]string)
	for line := range strings.SplitSeq(rest, "\n") {
		name, v, ok := strings.Cut(line, ":")
		if v = strings.TrimLeft(v, " "); ok && values[name] == "" {
			values[name] = v
			c.addClass(name, v)
		}
	}
	words, counts, list := c.fields()
	for _, fs := range [][]field{words, counts, list} {
		for _, f := range fs {
			if err := f.value.parse(values[f.name]); err != nil {
				return c, fmt.Errorf("%s %.60q: %w", f.name, values[f.name], err)
			}
		}
	}
	return c, nil
}

// maxCount is more objects than any bucket has, and few enough to be added up.
const maxCount = 1 << 50

// check finds what contradicts itself.
func (c *Certificate) check() error {
	for _, n := range []int64{c.Objects, c.Rewritten, c.Absent, c.Removed, c.Put, c.Adopted, c.ReadBack} {
		if n < 0 || n > maxCount {
			return fmt.Errorf("a count of %d", n)
		}
	}
	exceptions := c.Rewritten + c.Absent
	switch {
	case c.Differences != 0:
		return fmt.Errorf("%d differences", c.Differences)
	case c.Objects < 1:
		return errors.New("no object to certify")
	case c.Run < 1, c.ListedRun < 1:
		return errors.New("no run")
	case c.Put+c.Adopted != c.Objects:
		return fmt.Errorf("%d put and %d adopted are not %d objects", c.Put, c.Adopted, c.Objects)
	case c.ReadBack > c.Objects:
		return fmt.Errorf("%d read back of %d objects", c.ReadBack, c.Objects)
	case exceptions > 0 && c.SwitchedAt.IsZero():
		return errors.New("objects rewritten or absent before the switch")
	case c.List.Lines != listLines(c.Objects, exceptions):
		return fmt.Errorf("a list of %d lines for %d objects and %d exceptions", c.List.Lines, c.Objects, exceptions)
	case c.List.Name == ".", c.List.Name == "..", c.List.Name != filepath.Base(c.List.Name):
		return fmt.Errorf("the list's name %q is none of a file beside it", c.List.Name)
	}
	return c.checkClasses()
}

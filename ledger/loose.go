package ledger

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"io/fs"
	"time"

	"example.org/mediamove/media"
)

// A Side is one of the three that are compared.
type Side uint8

// The sides, in the order in which a [Scratch] has them for one key.
const (
	OnDisk Side = iota + 1
	Recorded
	InBucket
)

// A Loose is one side of a comparison, waiting to be sorted.
type Loose struct {
	Side   Side
	Key    media.Key    // any bytes
	File   media.File   // of OnDisk and Recorded; its key is Key
	Object ListedObject // of InBucket and Recorded; its key is Key
	Data   []byte       // the caller's own
}

// A record is a Loose in bytes: its length and that of its normal key, four
// bytes each, the normal key, the side, what the key is, and the rest.
type record []byte

const recordHead = 8

// appendRecord appends v to dst.
func appendRecord(dst []byte, v Loose) []byte {
	at := len(dst)
	normal := media.Normal(string(v.Key))
	dst = append(dst, make([]byte, recordHead)...)
	dst = append(dst, normal...)
	dst = append(dst, byte(v.Side))
	if normal == string(v.Key) {
		dst = append(dst, 0)
	} else {
		dst = binary.AppendUvarint(dst, uint64(len(v.Key))+1)
		dst = append(dst, v.Key...)
	}
	if v.Side != InBucket {
		dst = binary.AppendVarint(dst, v.File.Size)
		dst = appendTime(dst, v.File.ModTime)
		dst = binary.AppendUvarint(dst, uint64(v.File.Mode))
		dst = binary.AppendUvarint(dst, v.File.Inode)
	}
	if v.Side != OnDisk {
		dst = binary.AppendVarint(dst, v.Object.Size)
		dst = appendTime(dst, v.Object.LastModified)
		dst = binary.AppendUvarint(dst, uint64(len(v.Object.ETag)))
		dst = append(dst, v.Object.ETag...)
	}
	dst = append(dst, v.Data...)
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	binary.LittleEndian.PutUint32(dst[at+4:], uint32(len(normal)))
	return dst
}

// appendTime keeps what UnixNano doesn't: years beyond 2262, and the zero Time.
func appendTime(dst []byte, t time.Time) []byte {
	dst = binary.AppendVarint(dst, t.Unix())
	return binary.AppendUvarint(dst, uint64(t.Nanosecond()))
}

func (r record) normal() []byte { return r[recordHead:][:binary.LittleEndian.Uint32(r[4:])] }

// rest is the side and what follows it.
func (r record) rest() reader {
	return reader{data: r[recordHead+binary.LittleEndian.Uint32(r[4:]):]}
}

// compareRecords orders as [Scratch.Sorted] promises.
func compareRecords(a, b record) int {
	if c := bytes.Compare(a.normal(), b.normal()); c != 0 {
		return c
	}
	ra, rb := a.rest(), b.rest()
	return cmp.Or(cmp.Compare(ra.byte(), rb.byte()), bytes.Compare(ra.key(a), rb.key(b)))
}

func (r record) loose() (Loose, error) {
	in := r.rest()
	v := Loose{Side: Side(in.byte())}
	v.Key = media.Key(in.key(r))
	if v.Side != InBucket {
		v.File = media.File{Key: v.Key, Size: in.varint(), ModTime: in.time(), Mode: fs.FileMode(in.uvarint()), Inode: in.uvarint()}
	}
	if v.Side != OnDisk {
		v.Object = ListedObject{Key: v.Key, Size: in.varint(), LastModified: in.time().UTC()}
		v.Object.ETag = string(in.bytes(in.uvarint()))
	}
	if len(in.data) > 0 {
		v.Data = bytes.Clone(in.data)
	}
	if in.bad {
		return Loose{}, errNonsense
	}
	return v, nil
}

// A reader takes values off the front of data. Past its end, or where it makes
// no sense, they are 0, and bad says so.
type reader struct {
	data []byte
	bad  bool
}

func (r *reader) byte() byte {
	if len(r.data) == 0 {
		r.bad = true
		return 0
	}
	b := r.data[0]
	r.data = r.data[1:]
	return b
}

// key is that of rec; most are normal themselves.
func (r *reader) key(rec record) []byte {
	n := r.uvarint()
	if n == 0 {
		return rec.normal()
	}
	return r.bytes(n - 1)
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.data)) {
		r.data, r.bad = nil, true
		return nil
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	r.skip(n)
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.data)
	r.skip(n)
	return v
}

func (r *reader) skip(n int) {
	if n <= 0 {
		r.data, r.bad = nil, true
		return
	}
	r.data = r.data[n:]
}

func (r *reader) time() time.Time { return time.Unix(r.varint(), int64(r.uvarint())) }

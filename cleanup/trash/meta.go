package trash

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"example.org/mediamove/media"
	"example.org/mediamove/r2"
)

// Schema names the form of the facts beside an object's bytes. Within it, fields
// are only added.
const Schema = "mediamove.trash/1"

const (
	// maxMeta bounds an object's facts, in bytes: R2 takes 8 KiB of metadata and keys
	// of 1 KiB, and JSON writes some bytes as six.
	maxMeta = 128 << 10
	// usualMeta is what is set aside for them before they are known.
	usualMeta = 4 << 10
)

// A Meta is all that is known of an object in the trash.
type Meta struct {
	Run     int64     // that trashed it
	Object  r2.Object // as it was in the bucket
	MD5     [16]byte
	SHA256  [32]byte    // of the bytes in the trash
	Header  http.Header // what was stored beside the bytes, and comes back with them
	Trashed time.Time   // by the server's clock
}

// A sealed meta says what its own bytes must be: nothing else would show that a
// header rotted.
type sealed struct {
	Schema string          `json:"schema"`
	SHA256 string          `json:"sha256"` // of Item as it is written
	Item   json.RawMessage `json:"item"`
}

type item struct {
	Run      int64       `json:"run"`
	Key      media.Key   `json:"key"`
	Size     int64       `json:"size"`
	ETag     string      `json:"etag"`
	Modified time.Time   `json:"modified"`
	MD5      string      `json:"md5"`
	SHA256   string      `json:"sha256"`
	Header   http.Header `json:"header"`
	Trashed  time.Time   `json:"trashed"`
}

// encode refuses what would not come back as it is.
func (m *Meta) encode() ([]byte, error) {
	for name, values := range m.Header {
		if !utf8.ValidString(name + strings.Join(values, "")) {
			return nil, fmt.Errorf("%w: header %q can't be kept", ErrUnproven, name)
		}
	}
	body, err := json.Marshal(item{
		Run: m.Run, Key: m.Object.Key, Size: m.Object.Size, ETag: m.Object.ETag, Modified: m.Object.LastModified.UTC(),
		MD5: hex.EncodeToString(m.MD5[:]), SHA256: hex.EncodeToString(m.SHA256[:]), Header: m.Header, Trashed: m.Trashed.UTC(),
	})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	b, err := json.Marshal(sealed{Schema, hex.EncodeToString(sum[:]), body})
	if err == nil && len(b) >= maxMeta {
		err = fmt.Errorf("%w: %d bytes of headers can't be kept", ErrUnproven, len(b))
	}
	return append(b, '\n'), err
}

// parseMeta reads what encode wrote for the object of that name. Its error wraps ErrDamaged.
func parseMeta(name string, b []byte) (Meta, error) {
	var s sealed
	var i item
	if err := json.Unmarshal(b, &s); err != nil {
		return Meta{}, fmt.Errorf("%w: its facts can't be read: %w", ErrDamaged, err)
	}
	sum := sha256.Sum256(s.Item)
	switch {
	case s.Schema != Schema:
		return Meta{}, fmt.Errorf("%w: its facts are of the form %q, not %q", ErrDamaged, s.Schema, Schema)
	case hex.EncodeToString(sum[:]) != s.SHA256:
		return Meta{}, fmt.Errorf("%w: its facts have changed", ErrDamaged)
	}
	if err := json.Unmarshal(s.Item, &i); err != nil {
		return Meta{}, fmt.Errorf("%w: its facts can't be read: %w", ErrDamaged, err)
	}
	m := Meta{
		Run:    i.Run,
		Object: r2.Object{Key: i.Key, Size: i.Size, ETag: i.ETag, LastModified: i.Modified},
		Header: i.Header, Trashed: i.Trashed,
	}
	if !unhex(m.MD5[:], i.MD5) || !unhex(m.SHA256[:], i.SHA256) || i.Size < 0 || Name(i.Run, i.Key) != name {
		return Meta{}, fmt.Errorf("%w: its facts are another object's", ErrDamaged)
	}
	if m.Header == nil {
		m.Header = http.Header{}
	}
	return m, nil
}

// unhex fills sum.
func unhex(sum []byte, s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && copy(sum, b) == len(sum) && len(b) == len(sum)
}

// Meta returns the facts of an object in the trash: ErrUnknown if there are none,
// ErrDamaged if they are not as they were written.
func (s *Store) Meta(name string) (Meta, error) {
	m, err := s.meta(name)
	if err != nil {
		return Meta{}, fmt.Errorf("look into trash: %w", err)
	}
	return m, nil
}

func (s *Store) meta(name string) (Meta, error) {
	if err := checkName(name); err != nil {
		return Meta{}, err
	}
	f, err := s.root.Open(name + metaSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return Meta{}, fmt.Errorf("%s: %w", name, ErrUnknown)
	}
	if err != nil {
		return Meta{}, unreadable(name, err)
	}
	var b bytes.Buffer
	_, err = b.ReadFrom(io.LimitReader(f, maxMeta+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return Meta{}, unreadable(name, err)
	}
	m, err := parseMeta(name, b.Bytes())
	if err != nil {
		return Meta{}, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// unreadable is one bad object, not a broken trash: the others may still be put back.
func unreadable(name string, err error) error {
	return fmt.Errorf("%s: %w: %w", name, ErrDamaged, err)
}

// Has tells whether the trash has that object, facts and as many bytes as they say;
// that the bytes are the right ones only [Store.PutBack] finds out.
func (s *Store) Has(name string) bool {
	m, err := s.meta(name)
	if err != nil {
		return false
	}
	info, err := s.root.Lstat(name)
	return err == nil && info.Mode().IsRegular() && info.Size() == m.Object.Size
}

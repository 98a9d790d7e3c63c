package verify

import (
	"fmt"
	"iter"

	"example.org/mediamove/media"
)

// A stream is one side of the comparison, in the order of the keys' bytes, with the
// next one in view.
//
// R2 normalises keys to NFC and shows the spelling that was sent last; other servers
// keep each spelling apart. In which place of a listing an odd spelling stands
// differs too, so whatever is not spelled in NFC leaves the stream and is compared
// later, sorted.
type stream[T any] struct {
	next  func() (T, error, bool)
	stop  func()
	key   func(*T) media.Key
	aside func(*T) error // takes what is not spelled in NFC

	head T
	at   media.Key // head's key
	more bool
}

func newStream[T any](seq iter.Seq2[T, error], key func(*T) media.Key, aside func(*T) error) *stream[T] {
	s := &stream[T]{key: key, aside: aside}
	s.next, s.stop = iter.Pull2(seq)
	return s
}

// advance brings the next key into view.
func (s *stream[T]) advance() error {
	for {
		v, err, ok := s.next()
		if !ok {
			s.more = false
			return nil
		}
		if err != nil {
			s.more = false
			return err
		}
		k := s.key(&v)
		if !inNFC(k) {
			if err := s.aside(&v); err != nil {
				return err
			}
			continue
		}
		if s.more && k <= s.at {
			return fmt.Errorf("compare: key %q comes after %q", k, s.at)
		}
		s.head, s.at, s.more = v, k, true
		return nil
	}
}

// view is the key that comes next; nil at the end.
func (s *stream[T]) view() *media.Key {
	if !s.more {
		return nil
	}
	return &s.at
}

// take returns what comes next and moves on, if its key is k.
func (s *stream[T]) take(k media.Key) (v T, ok bool, err error) {
	if !s.more || s.at != k {
		return v, false, nil
	}
	v = s.head
	return v, true, s.advance()
}

// inNFC reports whether k is spelled as R2 compares it.
func inNFC(k media.Key) bool {
	for i := range len(k) {
		if k[i] >= 0x80 {
			return media.Normal(string(k)) == string(k)
		}
	}
	return true
}

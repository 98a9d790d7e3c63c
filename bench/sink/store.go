package sink

import (
	"crypto/md5"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// An object is what the sink remembers of one upload.
type object struct {
	size  int64
	at    time.Time
	md5   [md5.Size]byte // the ETag's, also when invented
	parts int            // of a multipart upload; 0: one PUT
	head  string         // header lines to repeat
	body  []byte         // small documents only
}

// A condition says what must be true of a key before it is written.
type condition struct {
	absent bool   // If-None-Match: *
	etag   string // If-Match, unquoted; empty: none
}

// A verdict is how a conditional write ended.
type verdict int

const (
	stored verdict = iota
	present
	differs
	absent
)

// A store holds every bucket. One lock is enough: the work under it is a map access.
type store struct {
	mu      sync.Mutex
	buckets map[string]*bucket
	uploads map[string]*upload
	serial  uint64
}

type bucket struct {
	objects map[string]object
	sorted  []string // keys in order
	fresh   []string // keys not merged into sorted yet
	stale   bool     // sorted holds deleted keys
}

// wipe forgets every object and upload.
func (s *store) wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets = make(map[string]*bucket)
	s.uploads = make(map[string]*upload)
}

// size returns the number of objects and of unfinished uploads.
func (s *store) size() (objects, uploads int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.buckets {
		objects += len(b.objects)
	}
	return objects, len(s.uploads)
}

// names returns the buckets that were written to, in order.
func (s *store) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.buckets))
}

// bucket is called with the lock held.
func (s *store) bucket(name string) *bucket {
	b := s.buckets[name]
	if b == nil {
		b = &bucket{objects: make(map[string]object)}
		s.buckets[name] = b
	}
	return b
}

// get returns what is remembered of a key.
func (s *store) get(bucket, key string) (object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.bucket(bucket).objects[key]
	return o, ok
}

// put stores o unless the condition fails. existed reports whether the key
// was there before, whatever came of it.
func (s *store) put(bucket, key string, o object, cond condition) (v verdict, existed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bucket(bucket)
	old, existed := b.objects[key]
	if v := cond.check(old, existed); v != stored {
		return v, existed
	}
	if !existed {
		b.fresh = append(b.fresh, key)
	}
	b.objects[key] = o
	return stored, existed
}

// check judges the condition against what is there.
func (c condition) check(old object, existed bool) verdict {
	switch {
	case c.absent && existed:
		return present
	case c.etag != "" && !existed:
		return absent
	case c.etag != "" && string(appendETag(nil, old)) != c.etag:
		return differs
	}
	return stored
}

// remove forgets a key; one that is not there is no error.
func (s *store) remove(bucket, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bucket(bucket)
	delete(b.objects, key)
	b.stale = true
}

// invent returns bytes for an ETag that is nobody's MD5.
func (s *store) invent() (sum [md5.Size]byte) {
	s.mu.Lock()
	s.serial++
	n := s.serial
	s.mu.Unlock()
	copy(sum[:], "invented")
	binary.BigEndian.PutUint64(sum[8:], n)
	return sum
}

// keys returns every key in order. A sort per page would be slow while clients
// list and write at the same time, so it merges what is new.
func (b *bucket) keys() []string {
	if len(b.fresh) == 0 && !b.stale {
		return b.sorted
	}
	slices.Sort(b.fresh)
	merged := make([]string, 0, len(b.sorted)+len(b.fresh))
	old, fresh := b.sorted, b.fresh
	for len(old) > 0 || len(fresh) > 0 {
		from := &old
		if len(old) == 0 || len(fresh) > 0 && fresh[0] < old[0] {
			from = &fresh
		}
		key := (*from)[0]
		*from = (*from)[1:]
		if _, ok := b.objects[key]; ok && (len(merged) == 0 || merged[len(merged)-1] != key) {
			merged = append(merged, key)
		}
	}
	b.sorted, b.fresh, b.stale = merged, nil, false
	return merged
}

// sort does now what the next listing would have to.
func (s *store) sort(bucket string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bucket(bucket)
	b.keys()
}

// A query is what a listing asks for.
type query struct {
	prefix, delimiter, after string
	max                      int
}

// A page is its answer. next is empty on the last one.
type page struct {
	keys     []string
	objects  []object
	prefixes []string
	next     string
}

// list returns one page. Everything happens under the lock, so a page is never
// torn.
func (s *store) list(name string, q query) (p page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bucket(name)
	keys := b.keys()
	i, found := slices.BinarySearch(keys, max(q.after, q.prefix))
	if found && q.after >= q.prefix && q.after != "" {
		i++
	}
	if q.delimiter != "" && strings.HasSuffix(q.after, q.delimiter) {
		i = pass(keys, i, q.after) // the page before ended with this common prefix
	}
	p.keys, p.objects = make([]string, 0, q.max), make([]object, 0, q.max)
	for last := ""; i < len(keys) && strings.HasPrefix(keys[i], q.prefix); {
		if len(p.keys)+len(p.prefixes) == q.max {
			p.next = last
			return p
		}
		key := keys[i]
		if rest := key[len(q.prefix):]; q.delimiter != "" && strings.Contains(rest, q.delimiter) {
			n := len(q.prefix) + strings.Index(rest, q.delimiter) + len(q.delimiter)
			last = key[:n]
			p.prefixes = append(p.prefixes, last)
			i = pass(keys, i, last)
			continue
		}
		i++
		last = key
		p.keys = append(p.keys, key)
		p.objects = append(p.objects, b.objects[key])
	}
	return p
}

// pass returns the index of the first key from i on that does not begin with prefix.
func pass(keys []string, i int, prefix string) int {
	n, _ := slices.BinarySearchFunc(keys[i:], prefix, func(key, prefix string) int {
		if key < prefix || strings.HasPrefix(key, prefix) {
			return -1
		}
		return 1
	})
	return i + n
}

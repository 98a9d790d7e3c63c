package sink

import (
	"crypto/md5"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"
)

// An Object is one that [Server.Fill] puts there.
type Object struct {
	Key   string
	Size  int64 // bytes
	MD5   [md5.Size]byte
	Parts int // of a multipart upload; 0: one PUT
	At    time.Time
}

// Fill stores objects as if they had been uploaded, without a request that
// counts: a million PUTs would take longer than the listing that is to be
// measured. It also sorts the keys, so that the first listing is no slower than
// the others. What came before the first error of objs stays.
func (s *Server) Fill(bucket string, objs iter.Seq2[Object, error]) error {
	defer s.store.sort(bucket)
	for o, err := range objs {
		if err != nil {
			return fmt.Errorf("fill bucket: %w", err)
		}
		if o.Key == "" || o.Size < 0 || o.Parts < 0 {
			return fmt.Errorf("fill bucket: object %.80q of %d bytes in %d parts: %w", o.Key, o.Size, o.Parts, errMalformed)
		}
		s.store.put(bucket, o.Key, object{size: o.Size, at: o.At, md5: o.MD5, parts: o.Parts}, condition{})
	}
	return nil
}

// WriteObjects writes objects in the form that POST /_fill?bucket=NAME takes.
func WriteObjects(w io.Writer, objs iter.Seq[Object]) error {
	enc := gob.NewEncoder(w)
	for o := range objs {
		if err := enc.Encode(&o); err != nil {
			return fmt.Errorf("write object: %w", err)
		}
	}
	return nil
}

// readObjects is the inverse of [WriteObjects].
func readObjects(r io.Reader) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for dec := gob.NewDecoder(r); ; {
			var o Object // a fresh one: gob leaves out what is zero
			err := dec.Decode(&o)
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

// fill takes the objects off the connection. One that sends nonsense is of no
// more use, since nobody knows where the next request begins; but what it has sent
// is taken off first, for closing on unread bytes would reset the connection before
// the answer is read.
func (c *conn) fill() (status int) {
	bucket := c.req.get("bucket")
	if err := c.proceed(); err != nil {
		c.req.closing = true
		return http.StatusBadRequest
	}
	body := c.unwrap()
	err := errMalformed
	if bucket != "" {
		if err = c.srv.Fill(bucket, readObjects(body)); err == nil {
			err = c.drain(body)
		}
	}
	if err != nil {
		_ = c.drain(io.LimitReader(body, lingered))
		c.req.closing = true
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// lingered is how much of a bad body is taken off, in bytes.
const lingered = 1 << 20

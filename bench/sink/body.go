package sink

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"math"
	"net/http/httputil"
	"strconv"
)

// A payload is what is left of a body once it is read.
type payload struct {
	size int64
	md5  [md5.Size]byte // only if it was asked for
	data []byte         // only if it was asked for
}

// discard takes the body off the connection without looking into it.
func (c *conn) discard() (payload, error) {
	if err := c.proceed(); err != nil {
		return payload{}, err
	}
	if c.req.chunked || c.req.awsChunked && c.req.decoded < 0 {
		return c.decode(io.Discard)
	}
	for left := c.req.length; left > 0; {
		n, err := c.br.Discard(int(min(left, math.MaxInt32)))
		if err != nil {
			return payload{}, err
		}
		left -= int64(n)
	}
	if c.req.awsChunked {
		return payload{size: c.req.decoded}, nil
	}
	return payload{size: c.req.length}, nil
}

// hash reads the body and its MD5.
func (c *conn) hash() (payload, error) {
	if err := c.proceed(); err != nil {
		return payload{}, err
	}
	h := md5.New()
	p, err := c.decode(h)
	h.Sum(p.md5[:0])
	return p, err
}

// slurp reads the body into memory; more than most bytes of it is an error.
func (c *conn) slurp(most int64) (payload, error) {
	if c.req.length > most || c.req.decoded > most {
		return payload{}, fmt.Errorf("body of %d bytes: %w", c.req.length, errMalformed)
	}
	if err := c.proceed(); err != nil {
		return payload{}, err
	}
	var b bytes.Buffer
	p, err := c.decode(&b)
	p.data, p.md5 = b.Bytes(), md5.Sum(b.Bytes())
	return p, err
}

// proceed answers Expect: 100-continue and marks the body as taken.
func (c *conn) proceed() error {
	c.taken = true
	if !c.req.expect {
		return nil
	}
	_, err := io.WriteString(c.w, "HTTP/1.1 100 Continue\r\n\r\n")
	return err
}

// unwrap reads the body as HTTP frames it.
func (c *conn) unwrap() io.Reader {
	if c.req.chunked {
		return httputil.NewChunkedReader(c.br)
	}
	return io.LimitReader(c.br, c.req.length)
}

// decode copies the payload to w, out of whatever it is wrapped in.
func (c *conn) decode(w io.Writer) (payload, error) {
	outer := c.unwrap()
	inner := outer
	if c.req.awsChunked {
		inner = &awsReader{br: bufio.NewReader(outer)}
	}
	n, err := io.Copy(w, inner)
	if err != nil {
		return payload{}, err
	}
	if err := c.drain(outer); err != nil {
		return payload{}, err
	}
	if !c.req.chunked && !c.req.awsChunked && n != c.req.length {
		return payload{}, io.ErrUnexpectedEOF
	}
	return payload{size: n}, nil
}

// drain takes what is left of a body, to where the next request begins.
func (c *conn) drain(body io.Reader) error {
	if _, err := io.Copy(io.Discard, body); err != nil || !c.req.chunked {
		return err
	}
	_, err := readLine(c.br) // the chunked reader leaves the trailer's empty line
	return err
}

// An awsReader decodes aws-chunked: "<hex size>;chunk-signature=…\r\n", data,
// "\r\n", until a chunk of size 0 and trailing headers, which are not checked.
type awsReader struct {
	br   *bufio.Reader
	left int64 // of the current chunk
	done bool
	any  bool // a chunk was read, so its data is followed by a line end
}

// Read reads payload bytes. Data that ends in the middle is
// [io.ErrUnexpectedEOF].
func (a *awsReader) Read(p []byte) (int, error) {
	for a.left == 0 {
		if a.done {
			return 0, io.EOF
		}
		if err := a.chunk(); err != nil {
			return 0, err
		}
	}
	n, err := a.br.Read(p[:min(int64(len(p)), a.left)])
	a.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// chunk reads the header of the next chunk, and the line end after the data of
// the one before.
func (a *awsReader) chunk() error {
	if a.any {
		if _, err := readLine(a.br); err != nil {
			return io.ErrUnexpectedEOF
		}
	}
	line, err := readLine(a.br)
	if err != nil {
		return io.ErrUnexpectedEOF
	}
	size, _, _ := bytes.Cut(line, []byte(";"))
	a.left, err = strconv.ParseInt(string(size), 16, 64)
	if err != nil || a.left < 0 {
		return fmt.Errorf("chunk header %.40q: %w", line, errMalformed)
	}
	a.any, a.done = true, a.left == 0
	return nil
}

package sink

import (
	"bufio"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"example.org/mediamove/costs"
)

// A conn is one client connection and all the memory its requests need.
type conn struct {
	srv   *Server
	w     net.Conn
	br    *bufio.Reader
	req   request
	taken bool   // the body of the current request has been read
	out   []byte // the answer under construction
	zeros int64  // bytes of zeros that follow it
}

// next answers one request. An error ends the connection: the client is gone,
// or what it says is no HTTP.
func (c *conn) next() error {
	if _, err := c.br.Peek(1); err != nil {
		return err
	}
	if err := c.req.read(c.br); err != nil {
		return err
	}
	c.taken, c.out, c.zeros = false, c.out[:0], 0
	if len(c.req.path) > 1 && c.req.path[1] == '_' {
		c.control()
		return c.send()
	}
	c.srv.enter()
	defer c.srv.leave()
	if err := c.route(); err != nil {
		return err
	}
	if !c.taken {
		if _, err := c.discard(); err != nil {
			return err
		}
	}
	c.srv.counts.bytesIn.Add(c.req.length)
	if d := c.srv.latency.Load(); d > 0 {
		time.Sleep(time.Duration(d))
	}
	return c.send()
}

// send writes the answer in one go, and then the zeros of a large object. It
// ends the connection if the client has asked for that.
func (c *conn) send() error {
	if _, err := c.w.Write(c.out); err != nil {
		return err
	}
	if c.zeros > 0 {
		block := make([]byte, min(c.zeros, 256<<10))
		for c.zeros > 0 {
			n, err := c.w.Write(block[:min(c.zeros, int64(len(block)))])
			if err != nil {
				return err
			}
			c.zeros -= int64(n)
		}
	}
	if c.req.closing {
		return io.EOF
	}
	return nil
}

// begin writes the status line and what every answer has.
func (c *conn) begin(op costs.Op, status int) {
	c.srv.count(op)
	c.start(status)
}

// start is begin for answers that S3 does not have, and so are not counted.
func (c *conn) start(status int) {
	c.out = append(c.out, "HTTP/1.1 "...)
	c.out = strconv.AppendInt(c.out, int64(status), 10)
	c.out = append(c.out, ' ')
	c.out = append(c.out, http.StatusText(status)...)
	c.out = append(c.out, "\r\nDate: "...)
	c.out = append(c.out, c.srv.date()...)
	c.out = append(c.out, "\r\n"...)
	if c.req.closing { // or the client would use the connection again
		c.header("Connection", "close")
	}
}

// header adds one header line.
func (c *conn) header(name, value string) {
	c.out = append(c.out, name...)
	c.out = append(c.out, ": "...)
	c.out = append(c.out, value...)
	c.out = append(c.out, "\r\n"...)
}

// etag adds the ETag of o, quoted as S3 quotes it.
func (c *conn) etag(o object) {
	c.out = append(c.out, "ETag: \""...)
	c.out = appendETag(c.out, o)
	c.out = append(c.out, "\"\r\n"...)
}

// finish ends the head and, unless the method is HEAD, adds body.
func (c *conn) finish(body []byte) {
	c.endHead(int64(len(body)))
	if string(c.req.method) != http.MethodHead {
		c.out = append(c.out, body...)
	}
}

// endHead ends the head of an answer with length bytes to follow.
func (c *conn) endHead(length int64) {
	c.out = append(c.out, "Content-Length: "...)
	c.out = strconv.AppendInt(c.out, length, 10)
	c.out = append(c.out, "\r\n\r\n"...)
}

// empty answers without a body. 204 has no length either, or clients would wait
// for bytes.
func (c *conn) empty(op costs.Op, status int) {
	c.begin(op, status)
	if status == http.StatusNoContent {
		c.out = append(c.out, "\r\n"...)
		return
	}
	c.finish(nil)
}

// xml answers with a document.
func (c *conn) xml(op costs.Op, body []byte) {
	c.begin(op, http.StatusOK)
	c.header("Content-Type", "application/xml")
	c.finish(body)
}

// refuse answers with an S3 error document.
func (c *conn) refuse(op costs.Op, status int, code string) {
	c.begin(op, status)
	c.header("Content-Type", "application/xml")
	c.finish([]byte(xmlHead + "<Error><Code>" + code + "</Code><Message>" + code + "</Message></Error>"))
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// appendETag prints the ETag of o without quotes.
func appendETag(b []byte, o object) []byte {
	b = hex.AppendEncode(b, o.md5[:])
	if o.parts > 0 {
		b = append(b, '-')
		b = strconv.AppendInt(b, int64(o.parts), 10)
	}
	return b
}

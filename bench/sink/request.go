package sink

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

var errMalformed = errors.New("malformed request")

// A request is one parsed head. A connection reuses it for all its requests,
// so that reading one allocates nothing; what is kept must be copied.
type request struct {
	method, path, query []byte

	length     int64 // of the body as sent; 0 without one
	decoded    int64 // of the payload inside aws-chunked; -1: not said
	chunked    bool  // Transfer-Encoding: chunked
	awsChunked bool
	expect     bool
	closing    bool

	contentMD5, ifMatch, ifNoneMatch, byteRange, copySource []byte

	kept []byte // header lines that HEAD and GET repeat
}

// read parses the next head off br.
func (r *request) read(br *bufio.Reader) error {
	r.reset()
	line, err := readLine(br)
	if err != nil {
		return err
	}
	method, rest, ok1 := bytes.Cut(line, []byte(" "))
	target, proto, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok1 || !ok2 || !bytes.HasPrefix(proto, []byte("HTTP/1.")) || len(target) == 0 || target[0] != '/' {
		return fmt.Errorf("request line %.80q: %w", line, errMalformed)
	}
	path, query, _ := bytes.Cut(target, []byte("?"))
	r.method = append(r.method, method...)
	r.path = append(r.path, path...)
	r.query = append(r.query, query...)
	for {
		line, err := readLine(br)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		if err := r.header(line); err != nil {
			return err
		}
	}
}

// reset empties the request and keeps its memory.
func (r *request) reset() {
	*r = request{
		method: r.method[:0], path: r.path[:0], query: r.query[:0],
		decoded:    -1,
		contentMD5: r.contentMD5[:0], ifMatch: r.ifMatch[:0], ifNoneMatch: r.ifNoneMatch[:0],
		byteRange: r.byteRange[:0], copySource: r.copySource[:0], kept: r.kept[:0],
	}
}

// header reads one header line and remembers what the sink cares about.
func (r *request) header(line []byte) (err error) {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return fmt.Errorf("header %.80q: %w", line, errMalformed)
	}
	lower(name)
	value = bytes.TrimSpace(value)
	switch string(name) {
	case "content-length":
		r.length, err = number(value)
	case "x-amz-decoded-content-length":
		r.decoded, err = number(value)
	case "transfer-encoding":
		r.chunked = bytes.EqualFold(value, []byte("chunked"))
	case "x-amz-content-sha256":
		r.awsChunked = bytes.HasPrefix(value, []byte("STREAMING-"))
	case "expect":
		r.expect = true
	case "connection":
		r.closing = bytes.EqualFold(value, []byte("close"))
	case "content-md5":
		r.contentMD5 = append(r.contentMD5, value...)
	case "if-match":
		r.ifMatch = append(r.ifMatch, value...)
	case "if-none-match":
		r.ifNoneMatch = append(r.ifNoneMatch, value...)
	case "range":
		r.byteRange = append(r.byteRange, value...)
	case "x-amz-copy-source":
		r.copySource = append(r.copySource, value...)
	case "content-type", "cache-control":
		r.keep(name, value)
	default:
		if bytes.HasPrefix(name, []byte("x-amz-meta-")) {
			r.keep(name, value)
		}
	}
	return err
}

// keep remembers a header line, its name in lower case.
func (r *request) keep(name, value []byte) {
	r.kept = append(r.kept, name...)
	r.kept = append(r.kept, ": "...)
	r.kept = append(r.kept, value...)
	r.kept = append(r.kept, "\r\n"...)
}

// bucketKey splits the path. The key is unescaped and a copy.
func (r *request) bucketKey() (bucket, key string, err error) {
	path := string(r.path[1:])
	if strings.Contains(path, "%") {
		if path, err = url.PathUnescape(path); err != nil {
			return "", "", fmt.Errorf("path: %w", errMalformed)
		}
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key, nil
}

// has reports whether the query names a parameter, with a value or without.
func (r *request) has(name string) bool {
	_, ok := r.param(name)
	return ok
}

// get returns the unescaped value of a query parameter, empty without one.
func (r *request) get(name string) string {
	raw, _ := r.param(name)
	v, err := url.QueryUnescape(string(raw))
	if err != nil {
		return ""
	}
	return v
}

// param finds a query parameter by its name as it is on the wire: none that the
// sink knows needs escaping.
func (r *request) param(name string) (value []byte, ok bool) {
	for rest := r.query; len(rest) > 0; {
		var pair []byte
		pair, rest, _ = bytes.Cut(rest, []byte("&"))
		k, v, _ := bytes.Cut(pair, []byte("="))
		if string(k) == name {
			return v, true
		}
	}
	return nil, false
}

// readLine returns a line that is valid until the next read. One that does
// not fit the buffer is an error.
func readLine(br *bufio.Reader) ([]byte, error) {
	line, err := br.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

// number reads a decimal length.
func number(b []byte) (int64, error) {
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("number %.40q: %w", b, errMalformed)
	}
	return n, nil
}

// lower turns ASCII to lower case in place.
func lower(b []byte) {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
}

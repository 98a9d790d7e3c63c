package r2

import (
	"bytes"
	"time"
)

// maxPage is the longest list answer that is read: 1,000 keys of 1,024 bytes, each
// byte as an entity of XML.
const maxPage = 8 << 20

// A page is one answer to ListObjectsV2. It shares memory with the text that it
// was read from.
type page struct {
	name, token []byte
	encoded     []byte // how keys are; nil: as they are
	truncated   []byte
	count       int64 // -1: not told
	contents    []content
}

// A content is one listed object, as it stands in the page.
type content struct {
	key, etag []byte
	size      int64     // -1: not told
	modified  time.Time // zero: not told
}

// parse reads a page; what p and text held is gone afterwards. It takes what S3
// servers write, and refuses the rest of XML: comments, CDATA, document types. An
// element that it doesn't know is passed over, for a server may add some.
//
// It exists because service/s3 costs thirteen times the CPU per object (BenchmarkList),
// and takes any document for an empty bucket.
func (p *page) parse(text []byte) error {
	*p = page{count: -1, contents: p.contents[:0]}
	x := &xmlReader{rest: text}
	root := x.root()
	if x.err == nil && string(root) != "ListBucketResult" {
		x.fail("a document that is no listing")
	}
	for tag := range x.children(root) {
		p.element(x, tag)
	}
	x.end()
	return x.err
}

// element reads one of the page's own.
func (p *page) element(x *xmlReader, tag []byte) {
	switch string(tag) {
	case "Contents":
		c := content{size: -1}
		for part := range x.children(tag) {
			c.element(x, part)
		}
		p.contents = append(p.contents, c)
	case "Name":
		x.once(tag, &p.name)
	case "NextContinuationToken":
		x.once(tag, &p.token)
	case "EncodingType":
		x.once(tag, &p.encoded)
	case "IsTruncated":
		x.once(tag, &p.truncated)
	case "KeyCount":
		x.number(tag, &p.count)
	default:
		x.skip(tag, maxDepth)
	}
}

// element reads one of an object's.
func (c *content) element(x *xmlReader, tag []byte) {
	switch string(tag) {
	case "Key":
		x.once(tag, &c.key)
	case "ETag":
		x.once(tag, &c.etag)
	case "Size":
		x.number(tag, &c.size)
	case "LastModified":
		text := x.text(tag)
		if !c.modified.IsZero() || x.err == nil && c.modified.UnmarshalText(text) != nil {
			x.fail("a date that is none")
		}
	default:
		x.skip(tag, maxDepth)
	}
}

// check refuses a page that contradicts itself or what was asked for: a listing
// of bucket, after the page that ended with the token after.
func (p *page) check(bucket, after string) error {
	var more bool
	switch string(p.truncated) {
	case "true":
		more = true
	case "false":
	default:
		return oddAnswer("page doesn't tell whether it is the last")
	}
	switch enc := string(p.encoded); {
	case string(p.name) != bucket:
		return oddAnswer("page doesn't name the bucket")
	case p.count != int64(len(p.contents)):
		return oddAnswer("%d keys came, KeyCount says another number", len(p.contents))
	case more != (len(p.token) > 0):
		return oddAnswer("page has a next page without a token, or a token without one")
	case more && string(p.token) == after:
		return oddAnswer("page is its own next page")
	case more && len(p.contents) == 0:
		return oddAnswer("page without keys has a next page")
	case enc != "" && enc != "url":
		return oddAnswer("keys are encoded in a way that wasn't asked for")
	}
	return nil
}

// plainKey is the key as it is in the bucket; the page's own text is overwritten.
func (p *page) plainKey(c *content) (key []byte, ok bool) {
	if string(p.encoded) != "url" || bytes.IndexByte(c.key, '%') < 0 && bytes.IndexByte(c.key, '+') < 0 {
		return c.key, true
	}
	key = c.key[:0]
	for i := 0; i < len(c.key); i++ {
		b := c.key[i]
		switch b {
		case '+':
			b = ' '
		case '%':
			if i+2 >= len(c.key) || !isHex(c.key[i+1]) || !isHex(c.key[i+2]) {
				return nil, false
			}
			b = fromHex(c.key[i+1])<<4 | fromHex(c.key[i+2])
			i += 2
		}
		key = append(key, b)
	}
	return key, true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func fromHex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

package sink

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"net/url"
	"strconv"
	"strings"

	"example.org/mediamove/costs"
)

// listTime is how listings and copies print a time.
const listTime = "2006-01-02T15:04:05.000Z"

// listBuckets lists the buckets that were asked for so far: every name exists,
// but a list has to end.
func (c *conn) listBuckets() {
	var b bytes.Buffer
	b.WriteString(xmlHead + "<ListAllMyBucketsResult " + xmlns + "><Buckets>")
	for _, name := range c.srv.store.names() {
		b.WriteString("<Bucket>")
		element(&b, "Name", name)
		b.WriteString("<CreationDate>2025-01-01T00:00:00.000Z</CreationDate></Bucket>")
	}
	b.WriteString("</Buckets></ListAllMyBucketsResult>")
	c.xml(costs.ListBuckets, b.Bytes())
}

// listed is about how many bytes of a listing one key takes.
const listed = 384

// list answers ListObjects and ListObjectsV2, which differ in the names of the
// paging fields only.
func (c *conn) list(bucket string) {
	v2 := c.req.get("list-type") == "2"
	q := query{prefix: c.req.get("prefix"), delimiter: c.req.get("delimiter"), max: c.srv.page}
	if n, err := strconv.Atoi(c.req.get("max-keys")); err == nil && n >= 0 {
		q.max = min(n, q.max)
	}
	q.after = c.req.get("marker")
	if v2 {
		q.after = c.req.get("start-after")
		if token := c.req.get("continuation-token"); token != "" {
			raw, _ := base64.URLEncoding.DecodeString(token)
			q.after = string(raw)
		}
	}
	p := c.srv.store.list(bucket, q)
	encode := func(s string) string { return s }
	if c.req.get("encoding-type") == "url" {
		encode = escape
	}
	var b bytes.Buffer
	b.Grow(1024 + listed*(len(p.keys)+len(p.prefixes)))
	b.WriteString(xmlHead + "<ListBucketResult " + xmlns + ">")
	element(&b, "Name", bucket)
	element(&b, "Prefix", encode(q.prefix))
	element(&b, "MaxKeys", strconv.Itoa(q.max))
	element(&b, "Delimiter", encode(q.delimiter))
	element(&b, "EncodingType", c.req.get("encoding-type"))
	element(&b, "IsTruncated", strconv.FormatBool(p.next != ""))
	if v2 {
		element(&b, "KeyCount", strconv.Itoa(len(p.keys)+len(p.prefixes)))
		element(&b, "NextContinuationToken", base64.URLEncoding.EncodeToString([]byte(p.next)))
	} else {
		element(&b, "Marker", encode(q.after))
		element(&b, "NextMarker", encode(p.next))
	}
	entries(&b, p, encode)
	b.WriteString("</ListBucketResult>")
	c.xml(costs.ListObjects, b.Bytes())
}

// entries prints objects and common prefixes as both versions of the listing
// have them.
func entries(b *bytes.Buffer, p page, encode func(string) string) {
	for i, o := range p.objects {
		b.WriteString("<Contents>")
		element(b, "Key", encode(p.keys[i]))
		b.WriteString("<LastModified>")
		b.Write(o.at.UTC().AppendFormat(b.AvailableBuffer(), listTime))
		b.WriteString("</LastModified><ETag>&quot;")
		b.Write(appendETag(b.AvailableBuffer(), o))
		b.WriteString("&quot;</ETag><Size>")
		b.Write(strconv.AppendInt(b.AvailableBuffer(), o.size, 10))
		b.WriteString("</Size><StorageClass>STANDARD</StorageClass></Contents>")
	}
	for _, prefix := range p.prefixes {
		b.WriteString("<CommonPrefixes>")
		element(b, "Prefix", encode(prefix))
		b.WriteString("</CommonPrefixes>")
	}
}

// element writes <name>text</name>, or nothing for an empty text other than
// Prefix, which clients expect to see.
func element(b *bytes.Buffer, name, text string) {
	if text == "" && name != "Prefix" {
		return
	}
	b.WriteByte('<')
	b.WriteString(name)
	b.WriteByte('>')
	if plain(text) {
		b.WriteString(text)
	} else {
		_ = xml.EscapeText(b, []byte(text)) // a bytes.Buffer takes everything
	}
	b.WriteString("</")
	b.WriteString(name)
	b.WriteByte('>')
}

// plain reports whether text is the same in a key, in a URL and in XML, as
// nearly every key is. Escaping it all the same takes most of a listing's time.
func plain(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '/', 'A' <= c && c <= 'Z', c == '.', c == '_', c == '-', c == '~':
		default:
			return false
		}
	}
	return true
}

// escape is S3's encoding-type=url: slashes stay.
func escape(key string) string {
	if plain(key) {
		return key
	}
	return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/")
}

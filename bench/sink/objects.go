package sink

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"

	"example.org/mediamove/costs"
)

// xmlns is the namespace that some clients insist on.
const xmlns = `xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`

// put stores an object. The condition is judged once the body is there, as R2
// does: of two who write the same key at the same time one is refused.
func (c *conn) put(bucket, key string) error {
	p, code, err := c.receive(strings.HasPrefix(key, keptPrefix))
	if err != nil {
		return err
	}
	if code != "" {
		c.refuse(costs.PutObject, http.StatusBadRequest, code)
		return nil
	}
	o := object{size: p.size, at: c.srv.now(), md5: p.md5, head: string(c.req.kept), body: p.data}
	v, existed := c.srv.store.put(bucket, key, o, c.condition())
	if existed {
		c.srv.counts.existing.Add(1)
	}
	switch v {
	case stored:
		c.begin(costs.PutObject, http.StatusOK)
		c.etag(o)
		c.finish(nil)
	case absent:
		c.refuse(costs.PutObject, http.StatusNotFound, "NoSuchKey")
	case present, differs:
		c.refuse(costs.PutObject, http.StatusPreconditionFailed, "PreconditionFailed")
	}
	return nil
}

// receive takes the body and decides what its ETag is. code is what S3 would
// refuse it with.
func (c *conn) receive(keep bool) (p payload, code string, err error) {
	var said [md5.Size]byte
	claimed := len(c.req.contentMD5) > 0
	if claimed {
		// DecodedLen of 24 characters is 18: room for the padding's worth.
		var raw [32]byte
		n, err := base64.StdEncoding.Decode(raw[:], c.req.contentMD5[:min(len(c.req.contentMD5), 40)])
		if err != nil || n != md5.Size {
			return payload{}, "InvalidDigest", nil
		}
		copy(said[:], raw[:])
	}
	switch {
	case keep:
		p, err = c.slurp(keptMost)
	case c.srv.etags == ETagMD5:
		p, err = c.hash()
	default:
		p, err = c.discard()
		p.md5 = said
		if !claimed || c.srv.etags == ETagFake {
			p.md5 = c.srv.store.invent()
		}
		return p, "", err
	}
	if err == nil && claimed && said != p.md5 {
		return p, "BadDigest", nil
	}
	return p, "", err
}

// condition reads the two headers that make a write conditional.
func (c *conn) condition() condition {
	return condition{
		absent: string(c.req.ifNoneMatch) == "*",
		etag:   string(bytes.Trim(c.req.ifMatch, `"`)),
	}
}

// head answers with what is known of an object.
func (c *conn) head(bucket, key string) {
	o, ok := c.srv.store.get(bucket, key)
	if !ok {
		c.refuse(costs.HeadObject, http.StatusNotFound, "NoSuchKey")
		return
	}
	c.begin(costs.HeadObject, http.StatusOK)
	c.describe(o)
	c.endHead(o.size)
}

// describe adds the headers that HEAD and GET share.
func (c *conn) describe(o object) {
	c.etag(o)
	c.header("Last-Modified", o.at.UTC().Format(http.TimeFormat))
	c.header("Accept-Ranges", "bytes")
	c.out = append(c.out, o.head...)
}

// get answers with the document that was kept, or with as many zeros.
func (c *conn) get(bucket, key string) {
	o, ok := c.srv.store.get(bucket, key)
	switch {
	case !ok:
		c.refuse(costs.GetObject, http.StatusNotFound, "NoSuchKey")
		return
	case string(bytes.Trim(c.req.ifNoneMatch, `"`)) == string(appendETag(nil, o)):
		c.begin(costs.GetObject, http.StatusNotModified)
		c.etag(o)
		c.out = append(c.out, "\r\n"...)
		return
	}
	first, last, ranged := c.span(o.size)
	status := http.StatusOK
	if ranged {
		status = http.StatusPartialContent
	}
	c.begin(costs.GetObject, status)
	c.describe(o)
	if ranged {
		c.header("Content-Range", "bytes "+strconv.FormatInt(first, 10)+"-"+
			strconv.FormatInt(last, 10)+"/"+strconv.FormatInt(o.size, 10))
	}
	c.endHead(last + 1 - first)
	if o.body != nil {
		c.out = append(c.out, o.body[first:last+1]...)
		return
	}
	c.zeros = last + 1 - first
}

// span reads "bytes=a-b" and "bytes=a-"; any other range means the whole.
func (c *conn) span(size int64) (first, last int64, ranged bool) {
	from, to, ok := strings.Cut(strings.TrimPrefix(string(c.req.byteRange), "bytes="), "-")
	first, err := strconv.ParseInt(from, 10, 64)
	if !ok || err != nil || first < 0 || first >= size {
		return 0, size - 1, false
	}
	last, err = strconv.ParseInt(to, 10, 64)
	if err != nil || last < first || last >= size {
		last = size - 1
	}
	return first, last, true
}

// copy stores what is remembered of one key under another, without conditions.
func (c *conn) copy(bucket, key string) {
	source := request{path: c.req.copySource}
	if source.path[0] != '/' {
		source.path = append([]byte("/"), source.path...)
	}
	fromBucket, fromKey, err := source.bucketKey()
	o, ok := c.srv.store.get(fromBucket, fromKey)
	if err != nil || !ok {
		c.refuse(costs.CopyObject, http.StatusNotFound, "NoSuchKey")
		return
	}
	c.srv.store.put(bucket, key, o, condition{})
	c.xml(costs.CopyObject, []byte(xmlHead+`<CopyObjectResult `+xmlns+`><ETag>"`+string(appendETag(nil, o))+
		`"</ETag><LastModified>`+o.at.UTC().Format(listTime)+`</LastModified></CopyObjectResult>`))
}

// requestMost is the most bytes of an XML request: S3's limit for DeleteObjects.
const requestMost = 2 << 20

// removeMany answers DeleteObjects. As with S3, a key that was not there is
// deleted.
func (c *conn) removeMany(bucket string) error {
	p, err := c.slurp(requestMost)
	if err != nil {
		return err
	}
	var names struct {
		Object []struct{ Key string }
	}
	if xml.Unmarshal(p.data, &names) != nil || len(names.Object) > 1000 {
		c.refuse(costs.DeleteObjects, http.StatusBadRequest, "MalformedXML")
		return nil
	}
	var b bytes.Buffer
	b.WriteString(xmlHead + "<DeleteResult " + xmlns + ">")
	for _, o := range names.Object {
		c.srv.store.remove(bucket, o.Key)
		b.WriteString("<Deleted>")
		element(&b, "Key", o.Key)
		b.WriteString("</Deleted>")
	}
	b.WriteString("</DeleteResult>")
	c.xml(costs.DeleteObjects, b.Bytes())
	return nil
}

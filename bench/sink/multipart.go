package sink

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"example.org/mediamove/costs"
)

// An upload is a multipart upload that is not complete yet.
type upload struct {
	bucket, key, head string
	parts             map[int]object
}

// create begins an upload. Its id is an invented ETag: as unique as one.
func (c *conn) create(bucket, key string) {
	sum := c.srv.store.invent()
	id := hex.EncodeToString(sum[:])
	c.srv.store.mu.Lock()
	c.srv.store.uploads[id] = &upload{bucket, key, string(c.req.kept), make(map[int]object)}
	c.srv.store.mu.Unlock()
	var b bytes.Buffer
	b.WriteString(xmlHead + "<InitiateMultipartUploadResult " + xmlns + ">")
	element(&b, "Bucket", bucket)
	element(&b, "Key", key)
	element(&b, "UploadId", id)
	b.WriteString("</InitiateMultipartUploadResult>")
	c.xml(costs.CreateMultipartUpload, b.Bytes())
}

// uploadPart takes one part. A part sent again replaces the first, as it does
// with S3.
func (c *conn) uploadPart() error {
	id := c.req.get("uploadId")
	number, err := strconv.Atoi(c.req.get("partNumber"))
	if err != nil || number < 1 || number > 10000 {
		c.refuse(costs.UploadPart, http.StatusBadRequest, "InvalidArgument")
		return nil
	}
	p, code, err := c.receive(false)
	if err != nil {
		return err
	}
	if code != "" {
		c.refuse(costs.UploadPart, http.StatusBadRequest, code)
		return nil
	}
	part := object{size: p.size, at: time.Now(), md5: p.md5}
	c.srv.store.mu.Lock()
	u := c.srv.store.uploads[id]
	if u != nil {
		u.parts[number] = part
	}
	c.srv.store.mu.Unlock()
	if u == nil {
		c.refuse(costs.UploadPart, http.StatusNotFound, "NoSuchUpload")
		return nil
	}
	c.begin(costs.UploadPart, http.StatusOK)
	c.etag(part)
	c.finish(nil)
	return nil
}

// complete makes one object of the parts named. A refused condition leaves the
// upload as it is, to be aborted.
func (c *conn) complete() error {
	condition := c.condition()
	id := c.req.get("uploadId")
	p, err := c.slurp(requestMost)
	if err != nil {
		return err
	}
	var list struct {
		Part []struct {
			PartNumber int
			ETag       string
		}
	}
	if xml.Unmarshal(p.data, &list) != nil || len(list.Part) == 0 {
		c.refuse(costs.CompleteMultipartUpload, http.StatusBadRequest, "MalformedXML")
		return nil
	}
	numbers := make([]int, len(list.Part))
	for i, part := range list.Part {
		numbers[i] = part.PartNumber
	}
	u, o, code := c.srv.store.assemble(id, numbers)
	if code != "" {
		status := http.StatusBadRequest
		if code == "NoSuchUpload" {
			status = http.StatusNotFound
		}
		c.refuse(costs.CompleteMultipartUpload, status, code)
		return nil
	}
	v, existed := c.srv.store.put(u.bucket, u.key, o, condition)
	if existed {
		c.srv.counts.existing.Add(1)
	}
	if v != stored {
		c.refuse(costs.CompleteMultipartUpload, http.StatusPreconditionFailed, "PreconditionFailed")
		return nil
	}
	c.srv.store.forget(id)
	var b bytes.Buffer
	b.WriteString(xmlHead + "<CompleteMultipartUploadResult " + xmlns + ">")
	element(&b, "Bucket", u.bucket)
	element(&b, "Key", u.key)
	b.WriteString("<ETag>&quot;" + string(appendETag(nil, o)) + "&quot;</ETag></CompleteMultipartUploadResult>")
	c.xml(costs.CompleteMultipartUpload, b.Bytes())
	return nil
}

// assemble makes the object of an upload from the parts named, in that order.
func (s *store) assemble(id string, numbers []int) (u *upload, o object, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u = s.uploads[id]
	if u == nil {
		return nil, object{}, "NoSuchUpload"
	}
	o = object{at: time.Now(), parts: len(numbers), head: u.head}
	sums := md5.New()
	for _, n := range numbers {
		part, ok := u.parts[n]
		if !ok {
			return nil, object{}, "InvalidPart"
		}
		o.size += part.size
		sums.Write(part.md5[:])
	}
	sums.Sum(o.md5[:0])
	return u, o, ""
}

// forget ends an upload. One that is not there is ended too, so that a second
// abort is no error.
func (s *store) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.uploads, id)
}

// abort answers 204 whether the upload was there or not.
func (c *conn) abort() {
	c.srv.store.forget(c.req.get("uploadId"))
	c.empty(costs.AbortMultipartUpload, http.StatusNoContent)
}

// listParts lists the parts of an upload on one page: 10,000 are 1 MB.
func (c *conn) listParts(bucket, key string) {
	id := c.req.get("uploadId")
	var b bytes.Buffer
	b.WriteString(xmlHead + "<ListPartsResult " + xmlns + ">")
	element(&b, "Bucket", bucket)
	element(&b, "Key", key)
	element(&b, "UploadId", id)
	b.WriteString("<IsTruncated>false</IsTruncated>")
	c.srv.store.mu.Lock()
	u := c.srv.store.uploads[id]
	if u != nil {
		for _, n := range slices.Sorted(maps.Keys(u.parts)) {
			part := u.parts[n]
			b.WriteString("<Part>")
			element(&b, "PartNumber", strconv.Itoa(n))
			element(&b, "ETag", `"`+string(appendETag(nil, part))+`"`)
			element(&b, "Size", strconv.FormatInt(part.size, 10))
			b.WriteString("</Part>")
		}
	}
	c.srv.store.mu.Unlock()
	if u == nil {
		c.refuse(costs.ListParts, http.StatusNotFound, "NoSuchUpload")
		return
	}
	b.WriteString("</ListPartsResult>")
	c.xml(costs.ListParts, b.Bytes())
}

// listUploads lists the uploads of a bucket on one page, as no benchmark leaves
// a thousand.
func (c *conn) listUploads(bucket string) {
	var b bytes.Buffer
	b.WriteString(xmlHead + "<ListMultipartUploadsResult " + xmlns + ">")
	element(&b, "Bucket", bucket)
	b.WriteString("<IsTruncated>false</IsTruncated>")
	c.srv.store.mu.Lock()
	for _, id := range slices.Sorted(maps.Keys(c.srv.store.uploads)) {
		if u := c.srv.store.uploads[id]; u.bucket == bucket {
			b.WriteString("<Upload>")
			element(&b, "Key", u.key)
			element(&b, "UploadId", id)
			b.WriteString("</Upload>")
		}
	}
	c.srv.store.mu.Unlock()
	b.WriteString("</ListMultipartUploadsResult>")
	c.xml(costs.ListMultipartUploads, b.Bytes())
}

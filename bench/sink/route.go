package sink

import (
	"net/http"

	"example.org/mediamove/costs"
)

// keptPrefix marks the small documents whose bodies are kept: mediamove reads
// its owner mark back before anything else.
const keptPrefix = ".mediamove/"

// keptMost is the most bytes of such a document.
const keptMost = 64 << 10

// route calls the handler of the request. An error means that the connection
// is of no use any more; what S3 would refuse is an answer.
func (c *conn) route() error {
	bucket, key, err := c.req.bucketKey()
	if err != nil {
		return err
	}
	switch {
	case bucket == "":
		c.listBuckets()
		return nil
	case key == "":
		return c.routeBucket(bucket)
	}
	switch string(c.req.method) {
	case http.MethodPut:
		return c.routePut(bucket, key)
	case http.MethodHead:
		c.head(bucket, key)
		return nil
	case http.MethodGet:
		if c.req.has("uploadId") {
			c.listParts(bucket, key)
			return nil
		}
		c.get(bucket, key)
		return nil
	case http.MethodPost:
		return c.routePost(bucket, key)
	case http.MethodDelete:
		if c.req.has("uploadId") {
			c.abort()
			return nil
		}
		c.srv.store.remove(bucket, key)
		c.empty(costs.DeleteObject, http.StatusNoContent)
		return nil
	}
	c.refuse(costs.Unknown, http.StatusMethodNotAllowed, "MethodNotAllowed")
	return nil
}

// routePut tells the writes of a key apart.
func (c *conn) routePut(bucket, key string) error {
	switch {
	case c.req.has("uploadId"):
		return c.uploadPart()
	case len(c.req.copySource) > 0:
		c.copy(bucket, key)
		return nil
	case c.req.has("acl"), c.req.has("tagging"):
		c.refuse(costs.Unknown, http.StatusNotImplemented, "NotImplemented")
		return nil
	}
	return c.put(bucket, key)
}

// routePost tells the two steps of a multipart upload apart that are POSTs.
func (c *conn) routePost(bucket, key string) error {
	switch {
	case c.req.has("uploads"):
		c.create(bucket, key)
		return nil
	case c.req.has("uploadId"):
		return c.complete()
	}
	c.refuse(costs.Unknown, http.StatusNotImplemented, "NotImplemented")
	return nil
}

// routeBucket answers what is asked of a whole bucket. What a client only
// wants to know before it starts gets the answer of a plain, fresh bucket.
func (c *conn) routeBucket(name string) error {
	switch string(c.req.method) {
	case http.MethodHead:
		c.empty(costs.HeadBucket, http.StatusOK)
	case http.MethodPut:
		c.empty(costs.PutBucket, http.StatusOK)
	case http.MethodDelete:
		c.empty(costs.DeleteBucket, http.StatusNoContent)
	case http.MethodPost:
		if c.req.has("delete") {
			return c.removeMany(name)
		}
		c.refuse(costs.Unknown, http.StatusNotImplemented, "NotImplemented")
	case http.MethodGet:
		c.bucketInfo(name)
	default:
		c.refuse(costs.Unknown, http.StatusMethodNotAllowed, "MethodNotAllowed")
	}
	return nil
}

// bucketInfo answers the GETs of a bucket: a listing, unless the query names
// something else.
func (c *conn) bucketInfo(name string) {
	switch {
	case c.req.has("location"):
		c.xml(costs.GetBucketLocation, []byte(xmlHead+`<LocationConstraint `+xmlns+`></LocationConstraint>`))
	case c.req.has("uploads"):
		c.listUploads(name)
	case c.req.has("versioning"):
		c.xml(costs.Unknown, []byte(xmlHead+`<VersioningConfiguration `+xmlns+`/>`))
	case c.req.has("object-lock"):
		c.refuse(costs.Unknown, http.StatusNotFound, "ObjectLockConfigurationNotFoundError")
	case c.req.has("encryption"), c.req.has("lifecycle"), c.req.has("cors"), c.req.has("policy"),
		c.req.has("acl"), c.req.has("tagging"), c.req.has("notification"), c.req.has("replication"):
		c.refuse(costs.Unknown, http.StatusNotImplemented, "NotImplemented")
	default:
		c.list(name)
	}
}

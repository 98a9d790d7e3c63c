package r2

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// A fault is a refusal as it stood on the wire.
type fault struct {
	status        int
	code, message string
	s3            bool          // well-formed S3 error; false for a proxy's HTML, and for every HEAD
	after         time.Duration // Retry-After
	host          string        // where a redirect points
}

// maxFault bounds what is read of a refusal; S3's are a few hundred bytes.
const maxFault = 64 << 10

// readFault reads the refusal and puts its bytes back for the SDK.
func readFault(resp *http.Response) *fault {
	data, _ := io.ReadAll(io.LimitReader(resp.Body, maxFault))
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(data))
	f := &fault{status: resp.StatusCode, after: retryAfter(resp.Header)}
	var doc struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}
	if xml.Unmarshal(data, &doc) == nil && doc.Code != "" {
		f.s3, f.code, f.message = true, doc.Code, doc.Message
	}
	// Only the host is kept: the rest of a redirect may hold a signed query.
	if u, err := url.Parse(resp.Header.Get("Location")); err == nil {
		f.host = u.Host
	}
	return f
}

// retryAfter reads both forms of the header, bounded: an hour and more is the
// breaker's business.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return 0
	}
	d := time.Duration(0)
	if s, err := strconv.Atoi(v); err == nil {
		d = time.Duration(min(s, 3600)) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		d = time.Until(t)
	}
	return min(max(d, 0), 5*time.Minute)
}

// impliedStatus is the status that an error sent after a 200 would have had.
func impliedStatus(code string) int {
	switch code {
	case "AccessDenied", "ObjectLockedByBucketPolicy":
		return http.StatusForbidden
	case "TooManyRequests":
		return http.StatusTooManyRequests
	case "NoSuchBucket", "NoSuchUpload", "NoSuchKey":
		return http.StatusNotFound
	case "PreconditionFailed":
		return http.StatusPreconditionFailed
	case "InvalidPart", "InvalidPartOrder", "EntityTooSmall", "MalformedXML", "InvalidArgument":
		return http.StatusBadRequest
	case "NotImplemented":
		return http.StatusNotImplemented
	case "SlowDown":
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

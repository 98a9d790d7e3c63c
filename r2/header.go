package r2

import (
	"net/http"
	"slices"
	"strings"
)

// metaPrefix begins the names of user metadata.
const metaPrefix = "X-Amz-Meta-"

// isStored reports whether a header, by its canonical name, is stored beside an
// object's bytes: what R2 takes on a write (r2/api/s3/api, PutObject) and gives
// back on a read.
func isStored(name string) bool {
	switch name {
	case "Content-Type", "Cache-Control", "Content-Encoding", "Content-Disposition", "Content-Language", "Expires", "X-Amz-Storage-Class":
		return true
	}
	return strings.HasPrefix(name, metaPrefix) && len(name) > len(metaPrefix)
}

// storedHeader copies what of an answer is stored beside the bytes, as it stood on
// the wire: text that isn't ASCII stays encoded (RFC 2047) and is taken so again.
func storedHeader(h http.Header) http.Header {
	kept := make(http.Header, 6)
	for name, values := range h {
		if name = http.CanonicalHeaderKey(name); isStored(name) {
			kept[name] = slices.Clone(values)
		}
	}
	return kept
}

// restored returns what of h may be sent with an object that is put back: nothing
// but what isStored, so that no header of a request can come from a file. aws-chunked
// is a way of sending, which some servers keep as if it were the object's encoding.
func restored(h http.Header) http.Header {
	sent := storedHeader(h)
	const name = "Content-Encoding"
	if strings.Contains(sent.Get(name), "aws-chunked") {
		var rest []string
		for part := range strings.SplitSeq(sent.Get(name), ",") {
			if part = strings.TrimSpace(part); part != "" && part != "aws-chunked" {
				rest = append(rest, part)
			}
		}
		if sent.Set(name, strings.Join(rest, ",")); len(rest) == 0 {
			sent.Del(name)
		}
	}
	return sent
}

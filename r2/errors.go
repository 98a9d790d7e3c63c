package r2

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// What callers decide on, with errors.Is. Each reaches them inside an [*Error].
var (
	// ErrNotFound: a well-formed 404 for the key, from the right bucket.
	ErrNotFound = errors.New("no such object")
	// ErrExists: the key is taken (412 on If-None-Match: *).
	ErrExists = errors.New("the key is taken")
	// ErrFound: [Bucket.PutDoc] lost its answer and found the document there, so it
	// is stored, but nothing is known of how the server treats conditions.
	ErrFound = errors.New("stored, as a look has shown")
	// ErrChanged: the object isn't the one named by If-Match any more
	// (412, or 404: then it wraps ErrNotFound too).
	ErrChanged = errors.New("the object has changed")
	// ErrDenied: 401 or 403; the text says what to fix.
	ErrDenied = errors.New("access denied")
	// ErrLocked: a lock rule of the bucket protects the key (R2's 10069), which is
	// neither overwritten nor deleted.
	ErrLocked = errors.New("a lock rule of the bucket protects this key")
	// ErrNoBatch: the server doesn't take this [Bucket.DeleteBatch], or none;
	// nothing is deleted.
	ErrNoBatch = errors.New("no deletion in batches")
	// ErrNoBucket: the bucket doesn't exist at this endpoint.
	ErrNoBucket = errors.New("no such bucket")
	// ErrEndpoint: what answers can't be the endpoint that was meant: unknown
	// host name, wrong certificate, a redirect.
	ErrEndpoint = errors.New("endpoint unusable")
	// ErrLimit is [costs.ErrLimit]: nothing was sent.
	ErrLimit = costs.ErrLimit
	// ErrBadDigest: the server received other bytes than the digests promised;
	// nothing is stored. The file may have changed: hash again, once.
	ErrBadDigest = errors.New("bytes differ from their digest")
	// ErrNonsense: a success that can't be one (no ETag, a foreign ETag, HTML).
	ErrNonsense = errors.New("answer makes no sense")
	// ErrOutage: the bucket did not recover for as long as the run may wait.
	ErrOutage = errors.New("bucket unavailable for too long")
	// ErrTransient: the tries for one object are used up.
	ErrTransient = errors.New("tries used up")
	// ErrSource: the caller's own bytes couldn't be read in full (file shrank,
	// disk failed). Wraps what the reader said.
	ErrSource = errors.New("local bytes can't be read")
)

var (
	// errUntrusted ends a run: not one answer is odd, they all are.
	errUntrusted = fmt.Errorf("%w, several times in a row", ErrNonsense)
	// errNoUpload: the multipart upload is gone (expired, aborted or completed).
	errNoUpload = errors.New("no such upload")
	// errCalledOff: the caller didn't want this attempt made; earlier ones may
	// have taken effect.
	errCalledOff = errors.New("called off")
)

// Stops reports whether err concerns the whole run and not one object:
// no access, no bucket, wrong endpoint, the limit, an outage outwaited, or
// nonsense three times in a row.
func Stops(err error) bool {
	for _, s := range []error{ErrDenied, ErrNoBucket, ErrEndpoint, ErrLimit, ErrOutage, errUntrusted} {
		if errors.Is(err, s) {
			return true
		}
	}
	return false
}

// An Error is one operation that failed. Its text never holds a credential,
// a signature or a query string.
type Error struct {
	Op      costs.Op
	Key     media.Key // "" for the bucket
	Status  int       // HTTP; 0 without an answer
	Code    string    // S3's; "" if it gave none
	Message string    // for people; if empty, Err says it
	Err     error     // cause or one of the sentinels above; may be nil
}

// Error returns "upload KEY: 403 AccessDenied: what to do".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(verb(e.Op))
	if e.Key != "" {
		b.WriteByte(' ')
		b.WriteString(shown(string(e.Key)))
	}
	if e.Status != 0 {
		b.WriteString(": " + strconv.Itoa(e.Status))
		if e.Code != "" {
			b.WriteString(" " + e.Code)
		}
	}
	switch {
	case e.Message != "":
		b.WriteString(": " + e.Message)
	case e.Err != nil:
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Cause is a short name for grouping failures, such as "403 AccessDenied" or
// "no answer".
func (e *Error) Cause() string {
	switch {
	case e.Status != 0:
		return strings.TrimSpace(strconv.Itoa(e.Status) + " " + e.Code)
	case errors.Is(e.Err, ErrSource):
		return ErrSource.Error()
	default:
		return "no answer"
	}
}

// because adds a sentinel to a cause without saying it twice.
type because struct {
	error       // shown
	is    error // for errors.Is only
}

func (b because) Unwrap() []error { return []error{b.is, b.error} }

// verb says in plain words what op was about to do.
func verb(op costs.Op) string {
	switch op {
	case costs.PutObject:
		return "upload"
	case costs.GetObject:
		return "read"
	case costs.HeadObject:
		return "look at"
	case costs.ListObjects:
		return "list bucket"
	case costs.CreateMultipartUpload:
		return "start upload of"
	case costs.UploadPart:
		return "upload part of"
	case costs.CompleteMultipartUpload:
		return "complete upload of"
	case costs.AbortMultipartUpload:
		return "abort upload of"
	case costs.DeleteObject, costs.DeleteObjects:
		return "delete"
	default:
		return op.String()
	}
}

// shown quotes what a terminal would not show as it is.
func shown(s string) string {
	if q := strconv.Quote(s); len(q) != len(s)+2 {
		return q
	}
	return s
}

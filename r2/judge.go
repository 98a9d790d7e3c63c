package r2

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"

	smithyhttp "github.com/aws/smithy-go/transport/http"

	"example.org/mediamove/costs"
	"example.org/mediamove/media"
)

// maxNonsense answers in a row, over all workers, and the server isn't one.
const maxNonsense = 3

// judge decides what an attempt came to; nil is success. It trusts what the
// wire saw over what the SDK makes of it.
func (b *Bucket) judge(ctx context.Context, j *job, x *exchange, err error) *failure {
	e := &Error{Op: j.op, Key: j.key, Status: x.status}
	f := &failure{err: e, outcome: outcomeNeutral}
	// The order matters: a refusal that arrived is news even if the SDK failed on
	// it, and a cancelled run is nobody's fault, however its requests ended.
	switch {
	case x.fault != nil:
		b.refused(j, x.fault, f)
	case err == nil:
		b.nonsense.Store(0)
		return nil
	case ctx.Err() != nil:
		e.Status, e.Err = 0, context.Cause(ctx)
		f.lost = x.tried
	case errors.Is(err, ErrLimit):
		e.Err, f.outcome = ErrLimit, outcomeNothing
	case errors.Is(err, ErrSource):
		e.Status, e.Err, f.outcome = 0, err, outcomeNothing
	case !x.tried:
		e.Err, f.outcome = b.told(err), outcomeNothing // the SDK refused to build it
	case x.status == 0 || x.cut != nil:
		b.unanswered(x, err, f)
	default:
		b.odd(err, f)
	}
	return f
}

// odd is a success that can't be one. It isn't repeated: a write may have
// happened, and the next run will see.
func (b *Bucket) odd(err error, f *failure) {
	f.unsure = true
	f.err.Err = ErrNonsense
	f.err.Message = b.hush.text(err.Error())
	if !errors.Is(err, ErrNonsense) {
		f.err.Message = ErrNonsense.Error() + ": " + f.err.Message
	}
	if b.nonsense.Add(1) >= maxNonsense {
		f.err.Err = errUntrusted
		f.err.Message += "; is this really the S3 endpoint?"
	}
}

// unanswered is a connection that failed before, during or after the request.
func (b *Bucket) unanswered(x *exchange, err error, f *failure) {
	if send, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		err = send.Err
	}
	if x.cut != nil {
		err = x.cut
	}
	f.err.Status = 0
	f.err.Err = b.told(err)
	if hint := misdirected(err, b.host, "S3_ENDPOINT", b.wire.met.Load()); hint != "" {
		f.err.Message = hint
		f.err.Err = because{f.err.Err, ErrEndpoint}
		return
	}
	f.retry, f.outcome = true, outcomeFailed
	// A connection that was never made can't have carried anything.
	op, ok := errors.AsType[*net.OpError](err)
	f.lost = !ok || op.Op != "dial"
}

// misdirected tells errors that no retry can help from those it may: "" are the
// latter. The host is named by setting; met means that it has answered before.
func misdirected(err error, host, setting string, met bool) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound && !met {
		return fmt.Sprintf("host %s does not exist: check %s", dns.Name, setting)
	}
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Sprintf("%s can't prove who it is: %v", host, cert.Err)
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return host + " can't prove who it is: unknown authority"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fmt.Sprintf("%s does not speak TLS: check %s", host, setting)
	}
	return ""
}

// refused sorts an answer that is an error, by status first: codes differ
// between servers (R2's 429 comes with more than one).
func (b *Bucket) refused(j *job, q *fault, f *failure) {
	e := f.err
	e.Status, e.Code, e.Message = q.status, q.code, b.hush.text(q.message)
	f.after = q.after
	if q.s3 {
		b.nonsense.Store(0)
	} else if j.op != costs.HeadObject { // whose answers have no body
		e.Message = "answered by something in front of S3"
	}
	switch s := q.status; {
	case s == http.StatusTooManyRequests, q.code == "SlowDown":
		f.retry, f.outcome = true, outcomeThrottled
	case s < 400:
		e.Message = fmt.Sprintf("%s redirects to %q, which isn't followed: check S3_ENDPOINT", b.host, b.hush.text(q.host))
		e.Err = ErrEndpoint
	case s == http.StatusUnauthorized, s == http.StatusForbidden, q.code == "ExpiredRequest",
		q.code == "XAdminUserNotFound": // versitygw's unknown key: a 404
		b.denied(j, q, e)
	case b.conditionFailed(j, q, f):
	case s == http.StatusNotFound:
		b.absent(j, q, f)
	case q.code == "BadDigest", q.code == "XAmzContentSHA256Mismatch":
		e.Err = ErrBadDigest
	case retryable(q), j.op == costs.HeadObject && s == http.StatusBadRequest: // a HEAD's 400 has no code: it may be any
		f.retry, f.outcome, f.unsure = true, outcomeFailed, s >= 500
	}
}

// conditionFailed handles the answers to If-Match and If-None-Match.
func (b *Bucket) conditionFailed(j *job, q *fault, f *failure) bool {
	if q.code == "ConditionalRequestConflict" || q.code == "OperationAborted" {
		f.retry = true
		return true
	}
	if j.condition == nil || q.status == http.StatusNotFound && q.code != "NoSuchKey" {
		return false
	}
	f.err.Err = j.condition(q.status)
	if f.err.Err != nil {
		f.err.Message = ""
	}
	return f.err.Err != nil
}

// absent believes a 404 only if S3 itself speaks of the key.
func (b *Bucket) absent(j *job, q *fault, f *failure) {
	switch {
	case q.code == "NoSuchBucket":
		f.err.Err = ErrNoBucket
		f.err.Message = fmt.Sprintf("there is no bucket %s at %s: check S3_BUCKET, and S3_ENDPOINT (a bucket in a jurisdiction has its own)", b.name, b.host)
	case q.code == "NoSuchKey", j.op == costs.HeadObject:
		f.err.Err, f.err.Message = ErrNotFound, ""
	case q.code == "NoSuchUpload":
		f.err.Err = errNoUpload
	case !q.s3:
		b.odd(errors.New("404 that doesn't come from S3"), f)
	}
}

// retryable reports whether a refusal may be gone in a moment. 501 never is,
// though it is a 5xx; one that isn't S3's comes from something in between.
func retryable(q *fault) bool {
	switch s := q.status; {
	case s == http.StatusNotImplemented:
		return false
	case s == 500, s == 502, s == 503, s == 504, s >= 520 && s <= 527, s == 530:
		return true
	case s >= 500:
		return !q.s3
	case s == http.StatusRequestTimeout:
		return true
	}
	switch q.code {
	case "ClientDisconnect", "IncompleteBody", "RequestTimeout":
		return true
	}
	return false
}

// denied says what to fix. The server's own words stay out: it echoes what
// was signed.
func (b *Bucket) denied(j *job, q *fault, e *Error) {
	e.Err = ErrDenied
	switch q.code {
	case "SignatureDoesNotMatch":
		e.Message = fmt.Sprintf("AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID (%s)", &b.wire.clock)
	case "RequestTimeTooSkewed", "ExpiredRequest":
		e.Message = fmt.Sprintf("%s: set it right", &b.wire.clock)
	case "Unauthorized", "InvalidAccessKeyId", "XAdminUserNotFound":
		e.Message = b.host + " does not know this AWS_ACCESS_KEY_ID: check it, and S3_ENDPOINT"
	case "NotEntitled":
		e.Message = "R2 is not enabled for this account"
	case "ObjectLockedByBucketPolicy":
		e.Err, e.Message = ErrLocked, ""
	case "AccessDenied":
		e.Message = b.lacks(j.op)
	default:
		e.Message = b.lacks(j.op)
		if !q.s3 && j.op != costs.HeadObject {
			e.Message = fmt.Sprintf("something other than S3 answered at %s: a proxy or firewall?", b.host)
		} else if q.status == http.StatusUnauthorized {
			e.Message = b.host + " does not accept AWS_ACCESS_KEY_ID: check it, and S3_ENDPOINT"
		}
	}
}

func (b *Bucket) lacks(op costs.Op) string {
	right := "Object Read"
	if op.Class() != costs.ClassB && op != costs.ListObjects {
		right = "Object Read & Write"
	}
	return fmt.Sprintf("token lacks %s on bucket %s", right, b.name)
}

func (b *Bucket) told(err error) error { return b.hush.told(err) }

// oddAnswer is what send returns for an answer whose content can't be right.
func oddAnswer(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNonsense, fmt.Sprintf(format, args...))
}

// objectKey is the key's full name in the bucket.
func (b *Bucket) objectKey(k media.Key) string {
	if b.prefix == "" {
		return string(k)
	}
	return b.prefix + "/" + string(k)
}

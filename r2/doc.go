// Package r2 speaks S3 to Cloudflare R2, and is the only package that does.
//
// Every request goes the same way: a slot of the bucket's pace, one attempt
// (counted by a [costs.Meter] below everything else), a look whether the answer
// makes sense, then a verdict: done, try again, only this object, or the whole
// run (see [Stops]). Nothing is followed to another host, nothing is read from
// AWS_* variables or ~/.aws, and no error ever holds a credential.
//
// A deletion names exactly what it means: single ones by URL, in batches only keys
// that no XML can change ([Batchable]), and each must be echoed.
//
// [Public] and [Bucket.AnonymousList] ask as strangers do, without credentials.
//
// New keys are written with If-None-Match: *, so an object that is there is
// never written over; a lost answer is settled by a HEAD, not by hope.
package r2

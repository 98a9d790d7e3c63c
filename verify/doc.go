// Package verify answers one question: is every object that should be in the
// bucket there, with the right bytes; and if not, which and why.
//
// Three sides are compared: the bucket's listing, the ledger's records and, if it
// is walked, the disk. All three come as ordered streams, so a million objects take
// no more memory than a thousand. Nothing is called missing before the listing has
// come to a good end, and an incomplete pass is an error, never a result.
//
// A listing proves that an object is there with the size and ETag that were stored
// with it. Bytes that rotted at rest show only when they are read back; what each
// way can't see, its report says.
//
// Nothing here changes an object: verify adds evidence and doubts to the ledger.
package verify

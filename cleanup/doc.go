// Package cleanup removes from the bucket what nobody owns, and takes it back.
//
// It is written for the wrong day: the database restored from last week, the copy of a
// machine that woke up, the upload that is not committed yet. A scan only marks. What is
// removed was marked by an earlier run, is old by the server's clock, and belongs to no
// row on a fresh look at the primary right before it goes; it is journalled before, kept
// in a trash, and only in a run that no guard refuses. Every error makes the run do less.
package cleanup

package costs_test

import (
	"testing"

	"example.org/mediamove/costs"
)

// TestClassOf holds the table to R2's price list, name by name.
func TestClassOf(t *testing.T) {
	t.Parallel()
	for class, names := range map[costs.OpClass][]string{
		costs.ClassA: {
			"ListBuckets", "PutBucket", "ListObjects", "PutObject", "CopyObject", "CompleteMultipartUpload",
			"CreateMultipartUpload", "LifecycleStorageTierTransition", "ListMultipartUploads", "UploadPart",
			"UploadPartCopy", "ListParts", "PutBucketEncryption", "PutBucketCors", "PutBucketLifecycleConfiguration",
			"DeleteObjects", // not on the list
		},
		costs.ClassB: {
			"HeadBucket", "HeadObject", "GetObject", "UsageSummary", "GetBucketEncryption", "GetBucketLocation",
			"GetBucketCors", "GetBucketLifecycleConfiguration",
		},
		costs.Free: {"DeleteObject", "DeleteBucket", "AbortMultipartUpload"},
	} {
		for _, name := range names {
			op, ok := costs.ParseOp(name)
			if !ok || op == costs.Unknown || op.String() != name || op.Class() != class {
				t.Errorf("%s: %v, %v, %v; want %v", name, op, ok, op.Class(), class)
			}
		}
	}
}

func TestOpNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i := range 256 {
		op := costs.Op(i)
		name := op.String()
		if name == "Unknown" {
			if op.Class() != costs.ClassA {
				t.Errorf("op %d: unknown is %v", i, op.Class())
			}
			continue
		}
		if back, ok := costs.ParseOp(name); !ok || back != op || seen[name] {
			t.Errorf("op %d is called %q, which is op %d, %v", i, name, back, ok)
		}
		seen[name] = true
	}
	if len(seen) != 27 {
		t.Errorf("%d operations, want 27", len(seen))
	}
}

func TestParseOp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		want costs.Op
		ok   bool
	}{
		{"PutObject", costs.PutObject, true},
		{"ListObjectsV2", costs.ListObjects, true},
		{"CreateBucket", costs.PutBucket, true},
		{"Unknown", costs.Unknown, true},
		{"", costs.Unknown, false},
		{"putobject", costs.Unknown, false},
		{"DeleteObjectsByPrefix", costs.Unknown, false},
	} {
		if got, ok := costs.ParseOp(tt.name); got != tt.want || ok != tt.ok {
			t.Errorf("ParseOp(%q) = %v, %v; want %v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

func TestOpClassString(t *testing.T) {
	t.Parallel()
	for class, want := range map[costs.OpClass]string{costs.ClassA: "Class A", costs.ClassB: "Class B", costs.Free: "free"} {
		if class.String() != want {
			t.Errorf("class %d is called %q, want %q", class, class, want)
		}
	}
}

func FuzzParseOp(f *testing.F) {
	for _, s := range []string{"PutObject", "ListObjectsV2", "CreateBucket", "Unknown", "", "DeleteObjectsByPrefix"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		op, ok := costs.ParseOp(name)
		if back, again := costs.ParseOp(op.String()); !again || back != op {
			t.Errorf("%q is %v, which is %v, %v", name, op, back, again)
		}
		if !ok && (op != costs.Unknown || op.Class() != costs.ClassA) {
			t.Errorf("%q: %v of %v without being known", name, op, op.Class())
		}
	})
}

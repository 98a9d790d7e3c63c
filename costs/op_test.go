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
			// not on the list
			"DeleteObjects", "DeleteObjectsByPrefix", "DeleteBucketCors", "DeleteBucketEncryption",
			"DeleteBucketLifecycleConfiguration", "GetBucketVersioning", "GetBucketNotificationConfiguration",
			"GetBucketSippyConfiguration",
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
	if len(seen) != 34 {
		t.Errorf("%d operations, want 34", len(seen))
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
		{"ListObjectsV1", costs.ListObjects, true},
		{"DeleteBucketLifecycle", costs.DeleteBucketLifecycleConfiguration, true},
		{"LifecycleDeletion", costs.Unknown, false},
	} {
		if got, ok := costs.ParseOp(tt.name); got != tt.want || ok != tt.ok {
			t.Errorf("ParseOp(%q) = %v, %v; want %v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

// TestListed counts what the price list names: 15 of Class A, 8 of Class B, 3 free.
func TestListed(t *testing.T) {
	t.Parallel()
	listed := map[costs.OpClass]int{}
	for i := range 256 {
		if op := costs.Op(i); op.Listed() {
			listed[op.Class()]++
		}
	}
	if listed[costs.ClassA] != 15 || listed[costs.ClassB] != 8 || listed[costs.Free] != 3 {
		t.Errorf("listed: %v", listed)
	}
	for _, op := range []costs.Op{costs.Unknown, costs.DeleteObjects, costs.GetBucketSippyConfiguration, 200} {
		if op.Listed() || op.Class() != costs.ClassA {
			t.Errorf("%v is listed: %v, as %v", op, op.Listed(), op.Class())
		}
	}
	for _, op := range []costs.Op{costs.ListBuckets, costs.PutBucketLifecycleConfiguration, costs.AbortMultipartUpload} {
		if !op.Listed() {
			t.Errorf("%v is not listed", op)
		}
	}
}

func TestCharged(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{200: true, 304: true, 400: true, 401: false, 403: false, 404: true, 412: true, 429: true, 500: true, 503: true} {
		if costs.Charged(status) != want {
			t.Errorf("%d: charged %v", status, !want)
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
